"""Gold and the six KPIs in plain Python: integers, Decimal and the Paris calendar.

Definitions (the business day is Europe/Paris; money is EUR):

- **EUR** of an amount: amount × rate, rounded half up to cents. The rate is the *first published* version of the last hour at
  or before the moment (``ordered_at`` of the line, ``refunded_at`` of the return); EUR has rate 1.
- **fact_order**: every Silver order line whose order is in Silver on the same business day (a source that corrects an order's
  moment sends its lines again). net = gross − discount − tax, each converted and rounded first.
- **net_revenue** of a day: Σ net of lines of orders that are not cancelled, minus refunds granted (``refunded_at``) that day.
  Days: with any line or refund.
- **conversion_rate**: distinct orders not cancelled (in fact_order, by ``order_date``) / sessions started. Days: with either.
- **fulfilment_sla**: parcels whose promise falls in the day and is ≤ ``as_of``, delivered at or before it / all of those.
  Days: with a parcel that is due; a day in the future has no figure yet.
- **return_rate** of day d: returns initiated in [d−29, d] / distinct orders dispatched in [d−29, d] (fact_order, cancelled or
  not). Days: with a return initiated or an order dispatched.
- **csat_index**: 100 · Σ w·(score−1)/4 / Σ w over cases closed that day with a score; numerator = Σ w·(score−1)/4. Days: with
  any case closed.
- **inventory_risk** of day d: SKUs active at the end of d with a snapshot of d whose available / forecast < lead time, / those
  SKUs. forecast = quantity of not-cancelled lines on d−7, d−14, d−21, d−28, / 4; 0 means not at risk. Days: with a snapshot.
- **fact_fx_adjustment**: one row per later published version of a currency's hour, also when no line was converted with that
  hour (amount 0; such rows are counted apart); amount = Σ net in currency of not-cancelled lines converted with that hour ×
  (new − previous rate), rounded once; dated at the business day of the version's ``updated_at``.
- **mart_daily_revenue**: order_date × channel × region over not-cancelled lines, and refunds on the day they are granted with
  the return's channel and region; ``net_revenue`` is after refunds. Cells with neither are absent.

Ratios are rounded half up to 6 decimals, CSAT to 2.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Any

from pipeline.demo.clock import day_start, paris_day
from pipeline.demo.truth import Kpi, Row, Silver

CENT = Decimal("0.01")
SIX = Decimal("0.000001")
ZERO = Decimal(0)
CSAT_WEIGHTS = {"phone": Decimal("1.0"), "chat": Decimal("0.8"), "email": Decimal("0.6"), "social": Decimal("0.4")}
MEASURES = ("gross_amount", "discount_amount", "tax_amount", "net_revenue_amount")


def _round(value: Decimal, step: Decimal) -> Decimal:
    return value.quantize(step, rounding=ROUND_HALF_UP)


def _ratio(above: Decimal | int, below: Decimal | int, *, step: Decimal = SIX, factor: int = 1) -> Kpi:
    above, below = Decimal(above), Decimal(below)
    return Kpi(_round(factor * above / below, step) if below else None, above, below)


class Rates:
    """The first published rate of each hour, by currency."""

    def __init__(self, rows: list[Row]) -> None:
        versions: dict[tuple[str, int], list[Row]] = defaultdict(list)
        for row in rows:
            versions[row["currency"], row["rate_hour"]].append(row)
        self.versions = {key: sorted(found, key=lambda row: int(row["updated_at"])) for key, found in versions.items()}
        self._hours: dict[str, list[int]] = defaultdict(list)
        for currency, hour in sorted(self.versions):
            self._hours[currency].append(hour)

    def hour(self, currency: str, at: int) -> int | None:
        hours = self._hours[currency]
        place = bisect_right(hours, at)
        return hours[place - 1] if place else None

    def at(self, currency: str, at: int) -> Decimal | None:
        """EUR for one unit, or None when no hour's rate is known at that moment."""
        if currency == "EUR":
            return Decimal(1)
        hour = self.hour(currency, at)
        return None if hour is None else Decimal(self.versions[currency, hour][0]["rate_to_eur"])


def compute(silver: Silver, *, as_of: int) -> dict[str, Any]:
    """The Gold parts of a Truth, as keyword arguments."""
    rates = Rates(list(silver["fx_rates"].values()))
    lines = _fact_order(silver, rates)
    refunds = _refunds(silver, rates)
    dispatched = {row["order_id"]: row["dispatched_date"] for row in lines if row["dispatched_date"]}
    adjustments = _adjustments(lines, rates)
    kpis = {
        "net_revenue": _net_revenue(lines, refunds),
        "conversion_rate": _conversion(lines, silver),
        "fulfilment_sla": _fulfilment(silver, as_of),
        "return_rate": _return_rate(silver, dispatched),
        "csat_index": _csat(silver),
        "inventory_risk": _inventory_risk(silver, lines),
    }
    revenue = _daily_revenue(lines, refunds)
    rows = {
        "dim_customer": len(silver["customers"]),
        "dim_product": len(silver["products"]),
        "dim_channel": len(silver["channels"]),
        "fact_order": len(lines),
        "fact_order_orders": len({row["order_id"] for row in lines}),
        "fact_shipment": len(silver["shipments"]),
        "fact_session": len(silver["sessions"]),
        "fact_returns": len(silver["returns"]),
        "fact_support_case": len(silver["support_cases"]),
        "fact_inventory": len(silver["inventory"]),
        "fact_fx_adjustment": len(adjustments),
        "fact_fx_adjustment_with_lines": sum(1 for _, _, has_lines in adjustments if has_lines),
        "mart_daily_revenue": len(revenue),
        "mart_merchandising_margin": len({(row["order_date"], row["sku"]) for row in lines if not row["is_cancelled"]}),
    }
    by_date = {
        "fact_order": _sums(lines, "order_date", MEASURES, orders=True),
        "fact_shipment": _counts(silver["shipments"], "promised_delivery_ts"),
        "fact_session": _counts(silver["sessions"], "started_at"),
        "fact_returns": _counts(silver["returns"], "initiated_at"),
        "fact_support_case": _counts(silver["support_cases"], "opened_at"),
        "refunds": _refund_sums(refunds),
        "fact_fx_adjustment": _adjustment_sums(adjustments),
        "margin": _margin(silver, lines),
    }
    return {"gold_rows": rows, "gold_by_date": by_date, "kpis": kpis, "daily_revenue": revenue}


def _fact_order(silver: Silver, rates: Rates) -> list[Row]:
    orders = {row["order_id"]: row for row in silver["orders"].values()}
    facts = []
    for line in silver["order_lines"].values():
        order = orders.get(line["order_id"])
        if order is None or paris_day(order["ordered_at"]) != paris_day(line["ordered_at"]):
            continue
        rate = rates.at(line["currency"], line["ordered_at"])
        if rate is None:
            raise ValueError(f"no {line['currency']} rate at or before the order of line {line['order_id']}")
        gross, discount, tax = (_round(line[name] * rate, CENT) for name in MEASURES[:3])
        dispatched = order["dispatched_at"]
        facts.append(
            {
                "order_id": line["order_id"],
                "order_date": paris_day(line["ordered_at"]),
                "ordered_at": line["ordered_at"],
                "sku": line["sku"],
                "channel": order["channel_source"],
                "region": order["region"],
                "is_cancelled": order["status"] == "cancelled",
                "quantity": line["quantity"],
                "currency": line["currency"],
                "gross_amount": gross,
                "discount_amount": discount,
                "tax_amount": tax,
                "net_revenue_amount": gross - discount - tax,
                "net_in_currency": line["gross_amount"] - line["discount_amount"] - line["tax_amount"],
                "dispatched_date": paris_day(dispatched) if dispatched is not None else None,
            }
        )
    return facts


def _refunds(silver: Silver, rates: Rates) -> list[tuple[date, str, str, Decimal]]:
    """(day granted, channel, region, EUR) of every refund."""
    found = []
    for row in silver["returns"].values():
        if row["refunded_at"] is None or row["refund_amount"] is None:
            continue
        rate = rates.at(row["currency"], row["refunded_at"])
        if rate is None:
            raise ValueError(f"no {row['currency']} rate at or before refund {row['return_id']}")
        amount = _round(row["refund_amount"] * rate, CENT)
        found.append((paris_day(row["refunded_at"]), row["channel_source"], row["region"], amount))
    return found


def _net_revenue(lines: list[Row], refunds: list[tuple[date, str, str, Decimal]]) -> dict[str, Kpi]:
    days: dict[date, Decimal] = defaultdict(lambda: Decimal("0.00"))
    for row in lines:
        days[row["order_date"]] += ZERO if row["is_cancelled"] else row["net_revenue_amount"]
    for day, _, _, amount in refunds:
        days[day] -= amount
    return {day.isoformat(): Kpi(value, value, Decimal(1)) for day, value in sorted(days.items())}


def _conversion(lines: list[Row], silver: Silver) -> dict[str, Kpi]:
    orders: dict[date, set[str]] = defaultdict(set)
    sessions: dict[date, int] = defaultdict(int)
    for row in lines:
        if not row["is_cancelled"]:
            orders[row["order_date"]].add(row["order_id"])
        else:
            orders[row["order_date"]] |= set()
    for row in silver["sessions"].values():
        sessions[paris_day(row["started_at"])] += 1
    return {day.isoformat(): _ratio(len(orders[day]), sessions[day]) for day in sorted({*orders, *sessions})}


def _fulfilment(silver: Silver, as_of: int) -> dict[str, Kpi]:
    due: dict[date, int] = defaultdict(int)
    kept: dict[date, int] = defaultdict(int)
    for row in silver["shipments"].values():
        promise, delivered = row["promised_delivery_ts"], row["delivered_at"]
        day = paris_day(promise)
        if promise <= as_of:
            due[day] += 1
            kept[day] += delivered is not None and delivered <= promise
    return {day.isoformat(): _ratio(kept[day], due[day]) for day in sorted(due) if due[day]}


def _return_rate(silver: Silver, dispatched: dict[str, date]) -> dict[str, Kpi]:
    returns: dict[date, int] = defaultdict(int)
    orders: dict[date, int] = defaultdict(int)
    for row in silver["returns"].values():
        returns[paris_day(row["initiated_at"])] += 1
    for day in dispatched.values():
        orders[day] += 1
    found = {}
    for day in sorted({*returns, *orders}):
        window = [day - timedelta(days=back) for back in range(30)]
        found[day.isoformat()] = _ratio(sum(returns.get(d, 0) for d in window), sum(orders.get(d, 0) for d in window))
    return found


def _csat(silver: Silver) -> dict[str, Kpi]:
    above: dict[date, Decimal] = defaultdict(Decimal)
    below: dict[date, Decimal] = defaultdict(Decimal)
    for row in silver["support_cases"].values():
        if row["status"] != "closed" or row["closed_at"] is None:
            continue
        day = paris_day(row["closed_at"])
        weight = CSAT_WEIGHTS[row["channel"]] if row["csat_score"] is not None else ZERO
        above[day] += weight * ((row["csat_score"] or 1) - 1) / 4
        below[day] += weight
    return {day.isoformat(): _ratio(above[day], below[day], step=CENT, factor=100) for day in sorted(below)}


class Products:
    """Product versions by SKU; the first one is valid from the beginning of time."""

    def __init__(self, silver: Silver) -> None:
        versions: dict[str, list[Row]] = defaultdict(list)
        for row in silver["products"].values():
            versions[row["sku"]].append(row)
        self._rows = {sku: sorted(found, key=lambda row: int(row["updated_at"])) for sku, found in versions.items()}
        self._from = {sku: [int(row["updated_at"]) for row in found] for sku, found in self._rows.items()}

    def at(self, sku: str, moment: int) -> Row:
        """The version valid at a moment (an interval includes its beginning)."""
        return self._rows[sku][max(0, bisect_right(self._from[sku], moment) - 1)]


def _inventory_risk(silver: Silver, lines: list[Row]) -> dict[str, Kpi]:
    sold: dict[tuple[str, date], int] = defaultdict(int)
    for row in lines:
        if not row["is_cancelled"]:
            sold[row["sku"], row["order_date"]] += row["quantity"]
    products = Products(silver)
    lead = {row["supplier_id"]: row["lead_time_days"] for row in silver["suppliers"].values()}
    risky: dict[date, int] = defaultdict(int)
    active: dict[date, int] = defaultdict(int)
    for row in silver["inventory"].values():
        day, sku = row["snapshot_date"], row["sku"]
        risky[day] += 0
        # The last second of the day, whole seconds being the grain of every source.
        product = products.at(sku, day_start(day + timedelta(days=1)) - 1)
        if not product["active"]:
            continue
        active[day] += 1
        four_weeks = sum(sold.get((sku, day - timedelta(days=back)), 0) for back in (7, 14, 21, 28))
        # available / (four_weeks / 4) < lead, without a division
        risky[day] += four_weeks > 0 and row["available_qty"] * 4 < lead[product["supplier_id"]] * four_weeks
    return {day.isoformat(): _ratio(risky[day], active[day]) for day in sorted(risky)}


def _adjustments(lines: list[Row], rates: Rates) -> list[tuple[date, Decimal, bool]]:
    """(day, EUR, whether any line was converted with that hour) per later version of an hour's rate."""
    exposed: dict[tuple[str, int], Decimal] = {}
    for row in lines:
        if row["is_cancelled"] or row["currency"] == "EUR":
            continue
        hour = rates.hour(row["currency"], row["ordered_at"])
        assert hour is not None
        exposed[row["currency"], hour] = exposed.get((row["currency"], hour), ZERO) + row["net_in_currency"]
    found = []
    for key, versions in rates.versions.items():
        for before, after in pairwise(versions):
            amount = exposed.get(key, ZERO) * (after["rate_to_eur"] - before["rate_to_eur"])
            found.append((paris_day(after["updated_at"]), _round(amount, CENT), key in exposed))
    return found


def _daily_revenue(lines: list[Row], refunds: list[tuple[date, str, str, Decimal]]) -> dict[str, dict[str, Decimal | int]]:
    cells: dict[tuple[date, str, str], dict[str, Any]] = {}
    orders: dict[tuple[date, str, str], set[str]] = defaultdict(set)

    def cell(key: tuple[date, str, str]) -> dict[str, Any]:
        zero = Decimal("0.00")
        empty = {"orders": 0, "lines": 0, "gross": zero, "discounts": zero, "taxes": zero, "refunds": zero, "net_revenue": zero}
        return cells.setdefault(key, empty)

    for row in lines:
        if row["is_cancelled"]:
            continue
        key = (row["order_date"], row["channel"], row["region"])
        found = cell(key)
        orders[key].add(row["order_id"])
        found["lines"] += 1
        found["gross"] += row["gross_amount"]
        found["discounts"] += row["discount_amount"]
        found["taxes"] += row["tax_amount"]
        found["net_revenue"] += row["net_revenue_amount"]
    for day, channel, region, amount in refunds:
        found = cell((day, channel, region))
        found["refunds"] += amount
        found["net_revenue"] -= amount
    for key, ids in orders.items():
        cells[key]["orders"] = len(ids)
    return {f"{day.isoformat()}|{channel}|{region}": cells[day, channel, region] for day, channel, region in sorted(cells)}


def _sums(rows: list[Row], column: str, measures: tuple[str, ...], *, orders: bool) -> dict[str, dict[str, Any]]:
    """Rows, distinct orders and Σ measures by day; cancelled lines included (the fact holds them)."""
    days: dict[date, dict[str, Any]] = {}
    ids: dict[date, set[str]] = defaultdict(set)
    for row in rows:
        day = days.setdefault(row[column], {"rows": 0, **dict.fromkeys(measures, Decimal("0.00"))})
        day["rows"] += 1
        for name in measures:
            day[name] += row[name]
        ids[row[column]].add(row["order_id"])
    if orders:
        for at, found in ids.items():
            days[at]["orders"] = len(found)
    return {day.isoformat(): days[day] for day in sorted(days)}


def _counts(rows: dict[tuple[Any, ...], Row], column: str) -> dict[str, dict[str, int]]:
    days: dict[date, int] = defaultdict(int)
    for row in rows.values():
        days[paris_day(row[column])] += 1
    return {day.isoformat(): {"rows": days[day]} for day in sorted(days)}


def _refund_sums(refunds: list[tuple[date, str, str, Decimal]]) -> dict[str, dict[str, Any]]:
    days: dict[date, Decimal] = defaultdict(lambda: Decimal("0.00"))
    for day, _, _, amount in refunds:
        days[day] += amount
    return {day.isoformat(): {"refund_amount": days[day]} for day in sorted(days)}


def _adjustment_sums(adjustments: list[tuple[date, Decimal, bool]]) -> dict[str, dict[str, Any]]:
    days: dict[date, dict[str, Any]] = {}
    for day, amount, has_lines in adjustments:
        found = days.setdefault(day, {"rows": 0, "rows_with_lines": 0, "amount": Decimal("0.00")})
        found["rows"] += 1
        found["rows_with_lines"] += has_lines
        found["amount"] += amount
    return {day.isoformat(): days[day] for day in sorted(days)}


def _margin(silver: Silver, lines: list[Row]) -> dict[str, dict[str, Any]]:
    """Not-cancelled lines by day: net revenue, cost (quantity × unit cost as valid at the order), the difference."""
    products = Products(silver)
    days: dict[date, dict[str, Any]] = {}
    for row in lines:
        if row["is_cancelled"]:
            continue
        cost = row["quantity"] * products.at(row["sku"], row["ordered_at"])["unit_cost"]
        zero = Decimal("0.00")
        day = days.setdefault(row["order_date"], {"net_revenue_amount": zero, "cost_amount": zero, "margin_amount": zero})
        day["net_revenue_amount"] += row["net_revenue_amount"]
        day["cost_amount"] += cost
        day["margin_amount"] += row["net_revenue_amount"] - cost
    return {day.isoformat(): days[day] for day in sorted(days)}
