"""The six KPIs on cases small enough to work out by hand, and at the edges: nothing there, nothing to divide by."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.unit.gold_harness import Row, at, day, days, gold_contracts, run

SKU = "FSH-100001"
TODAY = day("2026-11-20")


def kpi(
    name: str, inputs: dict[str, list[Row]], scope: list[Any] | None = None, **more: Any
) -> dict[str, tuple[Any, Any, Any]]:
    """Business date → (value, numerator, denominator)."""
    found = run(f"kpi_{name}", inputs, scope or [TODAY], **more)
    assert len({row["business_date"] for row in found}) == len(found)
    return {row["business_date"].isoformat(): (row["value"], row["numerator"], row["denominator"]) for row in found}


@pytest.mark.parametrize("dataset", [contract.dataset for contract in gold_contracts() if contract.kpi])
def test_a_day_without_data_has_no_row(dataset: str) -> None:
    assert run(dataset, {}, [TODAY]) == []


def test_net_revenue_sums_the_cells_of_the_day() -> None:
    cells = [
        {"order_date": day(text), "net_revenue": Decimal(amount)}
        for text, amount in (("2026-11-20", "10.10"), ("2026-11-20", "-12.20"), ("2026-11-19", "99.00"))
    ]
    assert kpi("net_revenue", {"mart_daily_revenue": cells}) == {"2026-11-20": (Decimal("-2.10"), Decimal("-2.10"), 1)}


def placed(order_id: str, number: int = 1, *, cancelled: bool = False, on: str = "2026-11-20") -> Row:
    return {"order_id": order_id, "line_no": number, "order_date": day(on), "is_cancelled": cancelled}


def visits(count: int, on: str = "2026-11-20") -> list[Row]:
    return [{"session_id": f"{on} {number}", "session_date": day(on)} for number in range(count)]


def test_conversion_counts_orders_not_lines_and_leaves_cancelled_ones_out() -> None:
    lines = [placed("o1"), placed("o1", 2), placed("o2", cancelled=True), placed("o3"), placed("o4", on="2026-11-19")]
    found = kpi("conversion_rate", {"fact_order": lines, "fact_session": visits(3)})
    assert found == {"2026-11-20": (Decimal("0.666667"), 2, 3)}


def test_conversion_without_sessions_is_not_defined() -> None:
    assert kpi("conversion_rate", {"fact_order": [placed("o1")]}) == {"2026-11-20": (None, 1, 0)}


def test_conversion_of_a_day_with_cancelled_orders_only_is_zero() -> None:
    lines = [placed("o1", cancelled=True)]
    assert kpi("conversion_rate", {"fact_order": lines, "fact_session": visits(4)}) == {"2026-11-20": (0, 0, 4)}


def parcel(promised: str, delivered: str | None) -> Row:
    return {
        "shipment_id": f"{promised} {delivered}", "due_date": TODAY, "promised_delivery_ts": at(promised),
        "delivered_at": at(delivered) if delivered else None,
    }  # fmt: skip


def test_a_parcel_kept_its_promise_when_it_came_at_the_very_moment() -> None:
    parcels = [
        parcel("2026-11-20 10:00", "2026-11-20 10:00"),
        parcel("2026-11-20 10:00", "2026-11-20 10:01"),
        parcel("2026-11-20 10:00", None),
    ]
    assert kpi("fulfilment_sla", {"fact_shipment": parcels}) == {"2026-11-20": (Decimal("0.333333"), 1, 3)}


def test_a_parcel_is_due_from_the_moment_of_its_promise_even_when_it_came_early() -> None:
    parcels = [parcel("2026-11-20 12:00", "2026-11-20 09:00"), parcel("2026-11-20 12:01", "2026-11-20 09:00")]
    assert kpi("fulfilment_sla", {"fact_shipment": parcels}, as_of=at("2026-11-20 12:00")) == {"2026-11-20": (1, 1, 1)}
    assert kpi("fulfilment_sla", {"fact_shipment": parcels}, as_of=at("2026-11-20 11:59")) == {}


def returned(on: str) -> Row:
    return {"return_id": on, "initiated_date": day(on)}


def dispatched(order_id: str, on: str, number: int = 1) -> Row:
    return {"order_id": order_id, "line_no": number, "dispatched_date": day(on), "order_date": day(on)}


def test_returns_and_dispatches_count_for_thirty_days() -> None:
    inputs = {
        "fact_returns": [returned("2026-10-21"), returned("2026-10-22"), returned("2026-11-20"), returned("2026-11-21")],
        "fact_order": [
            dispatched("o1", "2026-10-21"), dispatched("o2", "2026-10-22"), dispatched("o2", "2026-10-22", 2),
            dispatched("o3", "2026-11-20"), dispatched("o4", "2026-11-20"), dispatched("o5", "2026-11-21"),
        ],
    }  # fmt: skip
    assert kpi("return_rate", inputs) == {"2026-11-20": (Decimal("0.666667"), 2, 3)}


def test_return_rate_has_a_row_where_something_happened_and_is_not_defined_without_orders() -> None:
    found = kpi("return_rate", {"fact_returns": [returned("2026-11-18")]}, days("2026-11-10", "2026-11-20"))
    assert found == {"2026-11-18": (None, 1, 0)}


def closed(channel: str, score: int | None, on: str = "2026-11-20", status: str = "closed") -> Row:
    return {
        "case_id": f"{channel}{score}{on}",
        "channel": channel,
        "csat_score": score,
        "closed_date": day(on),
        "status": status,
    }


def test_satisfaction_weighs_the_channels() -> None:
    cases = [closed("phone", 5), closed("chat", 4), closed("email", 1), closed("social", 3), closed("phone", None)]
    cases += [closed("phone", 1, "2026-11-19"), closed("phone", 1, status="open")]
    # (1.0·4 + 0.8·3 + 0.6·0 + 0.4·2) / 4 = 1.8 of 2.8
    found = kpi("csat_index", {"fact_support_case": cases})
    assert found == {"2026-11-20": (Decimal("64.29"), Decimal("1.8"), Decimal("2.8"))}


def test_satisfaction_of_a_day_without_scores_is_not_defined() -> None:
    assert kpi("csat_index", {"fact_support_case": [closed("phone", None)]}) == {"2026-11-20": (None, 0, 0)}


def stock(available: int, *, sku: str = SKU, active: bool = True, lead: int | None = 7) -> Row:
    return {"sku": sku, "snapshot_date": TODAY, "available_qty": available, "active": active, "lead_time_days": lead}


def sale(back: int, quantity: int, *, cancelled: bool = False, sku: str = SKU) -> Row:
    on = days("2026-10-01", "2026-11-20")[-1 - back]
    return {"order_id": str(back), "line_no": 1, "order_date": on, "sku": sku, "quantity": quantity, "is_cancelled": cancelled}


@pytest.mark.parametrize(
    ("available", "sales", "risky"),
    [
        (7, [sale(7, 4)], 0),  # forecast 1 a day, 7 days of cover, lead time 7: enough
        (6, [sale(7, 4)], 1),
        (6, [sale(28, 4)], 1),
        (6, [sale(35, 4)], 0),  # too long ago: no forecast
        (6, [sale(6, 400), sale(0, 400)], 0),  # other weekdays and the day itself do not count
        (6, [sale(7, 400, cancelled=True)], 0),
        (6, [sale(7, 400, sku="FSH-100002")], 0),
        (13, [sale(7, 2), sale(14, 2), sale(21, 2), sale(28, 2)], 1),  # forecast 2 a day
        (14, [sale(7, 2), sale(14, 2), sale(21, 2), sale(28, 2)], 0),
        (0, [], 0),  # nothing in stock, nothing asked for
    ],
)
def test_a_product_is_at_risk_when_its_stock_ends_before_the_supplier_delivers(
    available: int, sales: list[Row], risky: int
) -> None:
    inputs = {"fact_inventory": [stock(available)], "fact_order": sales}
    assert kpi("inventory_risk", inputs) == {"2026-11-20": (risky, risky, 1)}


def test_products_that_are_not_sold_are_not_counted() -> None:
    counted = [stock(0, active=False)]
    assert kpi("inventory_risk", {"fact_inventory": counted, "fact_order": [sale(7, 9)]}) == {"2026-11-20": (None, 0, 0)}


def test_a_product_with_unknown_lead_time_is_counted_and_not_at_risk() -> None:
    counted = [stock(0, lead=None), stock(0, sku="FSH-100002"), stock(0, sku="FSH-100003")]
    inputs = {"fact_inventory": counted, "fact_order": [sale(7, 9), sale(7, 9, sku="FSH-100002")]}
    assert kpi("inventory_risk", inputs) == {"2026-11-20": (Decimal("0.333333"), 1, 3)}
