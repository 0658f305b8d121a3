"""The ground truth adds up, does not depend on the order of arrival, and agrees with figures worked out by hand."""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.demo.faults import ORDER_FAULTS
from pipeline.demo.files import CSV_COLUMNS, Drop, csv_bytes, jsonl_bytes, parquet_bytes
from pipeline.demo.truth import Kpi, Truth, compute
from pipeline.demo.world import World

END = date(2026, 11, 20)
CUSTOMER = "11111111-1111-4111-a111-111111111111"
UNKNOWN = "99999999-9999-4999-a999-999999999999"
NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(11, 12, 150, "steady", END)
    made.write(tmp_path_factory.mktemp("world"))
    return made


@pytest.fixture(scope="module")
def truth(world: World) -> Truth:
    return Truth.load(world.drops[0].path.parent.parent / "truth.json")


def test_every_landed_row_is_accepted_or_rejected_and_every_accepted_one_is_in_silver_or_superseded(truth: Truth) -> None:
    for name, one in truth.datasets.items():
        assert one.rows_landed == one.rows_accepted + one.rows_rejected, name
        assert one.rows_accepted == one.rows_silver + one.rows_superseded, name
        assert one.rows_rejected <= sum(one.rejects_by_rule.values()), name


def test_the_truth_does_not_depend_on_the_order_of_arrival(world: World, truth: Truth) -> None:
    drops = list(world.drops)
    random.Random(1).shuffle(drops)
    again = compute(drops, as_of=world.as_of)
    again.planted = truth.planted
    assert again == truth


def test_every_fault_is_planted_and_shows_in_the_truth(truth: Truth) -> None:
    expected = {
        *ORDER_FAULTS,
        "blank_for_missing",
        "closed_after_70_days",
        "currency_symbol",
        "customer_in_a_later_drop",
        "customer_without_key",
        "discount_code_row",
        "duplicate_customer_version",
        "duplicate_drop",
        "late_customer_change",
        "mixed_time_zone",
        "negative_stock",
        "refund_beyond_60_days",
        "repeated_row",
        "revised_rate",
        "score_of_7",
        "truncated_file",
    }
    assert {name for name, count in truth.planted.items() if count} == expected
    of = truth.datasets
    planted = truth.planted
    rules = of["orders"].rejects_by_rule
    # Repeated rows may repeat a faulty one, so the planted figure is the least.
    assert rules["enum:currency"] >= planted["unknown_currency"]
    assert rules["enum:status"] >= planted["unknown_status"]
    assert rules["required:total_amount"] >= planted["null_total_amount"]
    assert rules["minimum:total_amount"] >= planted["negative_total_amount"]
    assert rules["type:ordered_at"] >= planted["unreadable_ordered_at"]
    assert rules["rule:dispatch_window"] >= planted["dispatched_before_ordered"]
    assert rules["pattern:customer_id"] >= planted["malformed_customer_id"]
    assert rules["reference:customer_id"] > rules["pattern:customer_id"]
    assert of["orders"].quarantined == {"discount_code": planted["discount_code_row"]}
    lines = of["order_lines"].rejects_by_rule
    assert {"pattern:sku", "reference:sku", "minimum:discount_amount", "type:quantity"} == set(lines)
    assert lines["reference:sku"] >= planted["bad_sku"] + planted["unknown_sku"]
    assert of["returns"].rejects_by_rule == {"rule:refund_window": planted["refund_beyond_60_days"]}
    assert of["customers"].rejects_by_rule == {"required:customer_id": 1}
    assert of["support_cases"].rejects_by_rule["maximum:csat_score"] >= planted["score_of_7"]
    assert of["support_cases"].rejects_by_rule["rule:close_window"] >= planted["closed_after_70_days"]
    assert of["inventory"].rejects_by_rule == {"minimum:available_qty": planted["negative_stock"]}
    assert sum(one.drops_duplicate for one in of.values()) == planted["duplicate_drop"]
    assert sum(one.drops_refused for one in of.values()) == planted["truncated_file"] == len(truth.refused)
    assert len({Path(name).suffix for name in truth.refused}) == 3


def test_orders_of_customers_that_come_later_are_no_rejects(world: World, truth: Truth) -> None:
    """All rejected references belong to customers that never arrive or have no proper id."""
    never = sum(kpi for rule, kpi in truth.datasets["orders"].rejects_by_rule.items() if rule == "reference:customer_id")
    orders_with_bad_reference = truth.planted["customer_never_arrives"] + truth.planted["malformed_customer_id"]
    assert truth.planted["customer_in_a_later_drop"] > 0
    assert never <= orders_with_bad_reference * 5


def test_each_customer_version_differs_from_its_neighbours(world: World) -> None:
    for customer in world.customers:
        versions = [record["lifetime_value"] for _, record in customer.versions]
        assert len(set(versions)) == len(versions)


def test_without_faults_nothing_is_rejected_refused_or_doubled(tmp_path: Path) -> None:
    clean = World(11, 4, 80, "steady", END, False).write(tmp_path)
    for one in clean.datasets.values():
        assert (one.rows_rejected, one.drops_refused, one.drops_duplicate, one.quarantined) == (0, 0, 0, {})


def test_the_business_is_plausible(truth: Truth) -> None:
    conversion = [kpi.value for kpi in truth.kpis["conversion_rate"].values() if kpi.value is not None]
    assert all(Decimal("0.015") < value < Decimal("0.05") for value in conversion)
    market = sum(cell["orders"] for name, cell in truth.daily_revenue.items() if "|marketplace|" in name)
    assert 0.3 < market / sum(cell["orders"] for cell in truth.daily_revenue.values()) < 0.4
    fulfilment = [kpi.value for kpi in truth.kpis["fulfilment_sla"].values() if kpi.value is not None]
    assert Decimal("0.7") < min(fulfilment) < 1


def test_net_revenue_is_the_sum_of_its_cells(truth: Truth) -> None:
    for day, kpi in truth.kpis["net_revenue"].items():
        cells = [cell for name, cell in truth.daily_revenue.items() if name.startswith(day)]
        assert kpi.value == sum(cell["net_revenue"] for cell in cells)
        for cell in cells:
            assert cell["net_revenue"] == cell["gross"] - cell["discounts"] - cell["taxes"] - cell["refunds"]


# --- figures worked out by hand ---------------------------------------------------------------------------------------------


class Tiny:
    """A handful of drops written by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.drops: list[Drop] = []

    def add(self, dataset: str, extension: str, content: bytes) -> None:
        path = self.folder / f"{dataset}_{len(self.drops):02d}.{extension}"
        path.write_bytes(content)
        self.drops.append(Drop(dataset, path, NOW))

    def csv(self, dataset: str, *lines: str) -> None:
        self.add(dataset, "csv", csv_bytes(CSV_COLUMNS[dataset], lines))


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    made = Tiny(tmp_path)
    t0 = "2026-10-01T00:00:00Z"
    made.csv("suppliers", f"SUP-1,Maison,FR,7,net,{t0},1")
    made.csv("carriers", f"CAR-1,DHL,DE,{t0},1")
    common = ("n", "b", "c", "s", "SUP-1", Decimal("4.00"), Decimal("10.00"), 90, "bamboo", True, True, t0)
    columns = list(zip(("AAA-000001", *common, 1), ("AAA-000002", *common, 2), strict=True))
    made.add("products", "parquet", parquet_bytes("products", columns))
    customer = {
        **dict.fromkeys(("email", "first_name", "last_name", "phone", "city", "postal_code", "segment"), "x"),
        **{"customer_id": CUSTOMER, "birth_date": "1990-01-01", "country": "AE", "region": "ME", "loyalty_tier": "gold"},
        **{"lifetime_value": "1.00", "consent": {"marketing": True, "profiling": True, "updated_at": t0}},
        **{"created_at": t0, "updated_at": t0, "source_seq": 1},
    }
    made.add("customers", "jsonl", jsonl_bytes([customer]))
    rates = [
        ("2026-11-18T09:00:00Z", "0.25000000", "2026-11-18T09:00:05Z"),
        ("2026-11-18T09:00:00Z", "0.26000000", "2026-11-19T23:30:00Z"),  # a correction, on 20 November in Paris
        ("2026-11-18T11:00:00Z", "0.50000000", "2026-11-18T11:00:05Z"),
    ]
    made.add(
        "fx_rates",
        "jsonl",
        jsonl_bytes(
            [
                {"currency": "AED", "rate_hour": hour, "rate_to_eur": rate, "updated_at": at, "source_seq": seq}
                for seq, (hour, rate, at) in enumerate(rates)
            ]
        ),
    )
    return made


def _order(number: int, **changes: str) -> str:
    row = {
        "order_id": f"00000000-0000-4000-a000-{number:012d}",
        "customer_id": CUSTOMER,
        "channel_source": "web",
        "region": "ME",
        "country": "AE",
        "seller_id": "",
        "status": "placed",
        "currency": "AED",
        "total_amount": "10.00",
        "ordered_at": "2026-11-18T10:59:59Z",
        "promised_delivery_ts": "2026-11-20T10:00:00Z",
        "dispatched_at": "",
        "delivered_at": "",
        "updated_at": "2026-11-18T10:59:59Z",
        "source_seq": "1",
    }
    return ",".join({**row, **changes}.values())


def _line(number: int, line: int, amounts: str, **changes: str) -> str:
    quantity, unit, gross, discount, tax = amounts.split()
    row = {
        "order_id": f"00000000-0000-4000-a000-{number:012d}",
        "line_no": str(line),
        "sku": "AAA-000001",
        "quantity": quantity,
        "unit_price": unit,
        "gross_amount": gross,
        "discount_amount": discount,
        "tax_amount": tax,
        "currency": "AED",
        "ordered_at": "2026-11-18T10:59:59Z",
        "updated_at": "2026-11-18T10:59:59Z",
        "source_seq": "1",
    }
    return ",".join({**row, **changes}.values())


def test_money_is_converted_at_the_first_rate_of_the_last_hour_and_rounded_half_up_before_it_is_added(tiny: Tiny) -> None:
    tiny.csv("orders", _order(1), _order(2, status="cancelled"), _order(3, customer_id=UNKNOWN))
    tiny.csv("order_lines", _line(1, 1, "1 10.02 10.02 0.04 1.02"), _line(2, 1, "1 99.00 99.00 0 0"), _line(3, 1, "1 5 5 0 0"))
    found = compute(tiny.drops, as_of=NOW)
    # 10.02 → 2.505 → 2.51; 0.04 → 0.01; 1.02 → 0.255 → 0.26; the rate of 09:00 serves 10:59:59.
    assert found.kpis["net_revenue"]["2026-11-18"] == Kpi(Decimal("2.24"), Decimal("2.24"), Decimal(1))
    assert found.gold_rows["fact_order"] == 2
    # (10.02 − 0.04 − 1.02) × 0.01 = 0.0896, the cancelled order left out.
    assert found.gold_by_date["fact_fx_adjustment"] == {
        "2026-11-20": {"rows": 1, "rows_with_lines": 1, "amount": Decimal("0.09")}
    }
    cost = found.gold_by_date["margin"]["2026-11-18"]
    assert (cost["cost_amount"], cost["margin_amount"]) == (Decimal("4.00"), Decimal("-1.76"))


def test_a_refund_lowers_the_day_on_which_it_is_granted(tiny: Tiny) -> None:
    tiny.csv("orders", _order(1))
    tiny.csv("order_lines", _line(1, 1, "1 10.00 10.00 0 0"))
    refund = "2026-11-18T22:59:59Z,2026-11-19T23:00:00Z,8.00,AED"
    tiny.csv("returns", f"{UNKNOWN},{CUSTOMER},1,AAA-000001,web,ME,why,{refund},2026-11-19T23:00:00Z,1")
    found = compute(tiny.drops, as_of=NOW)
    assert {day: kpi.value for day, kpi in found.kpis["net_revenue"].items()} == {
        "2026-11-18": Decimal("2.50"),
        "2026-11-20": Decimal("-4.00"),
    }
    assert found.daily_revenue["2026-11-20|web|ME"]["refunds"] == Decimal("4.00")
    # One return, nothing dispatched: not defined, not zero.
    assert found.kpis["return_rate"]["2026-11-18"].value is None


def test_a_parcel_is_due_only_when_its_promise_has_passed(tiny: Tiny) -> None:
    def parcel(number: int, promised: str, delivered: str) -> str:
        head = f"00000000-0000-4000-b000-{number:012d},{CUSTOMER},CAR-1,FR,in_transit"
        return f"{head},{promised},{promised},{delivered},{promised},1"

    tiny.csv(
        "shipments",
        parcel(1, "2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z"),
        parcel(2, "2026-11-20T10:00:00Z", "2026-11-20T10:00:01Z"),
        parcel(3, "2026-11-20T10:00:00Z", ""),
        parcel(4, "2026-11-20T22:00:00Z", ""),
        parcel(5, "2026-11-21T22:00:00Z", ""),
    )
    found = compute(tiny.drops, as_of=datetime(2026, 11, 20, 12, tzinfo=UTC)).kpis["fulfilment_sla"]
    assert found["2026-11-20"] == Kpi(Decimal("0.333333"), Decimal(1), Decimal(3))
    assert set(found) == {"2026-11-20"}, "a day in the future has no figure"


def test_satisfaction_is_weighted_by_channel_and_counts_closed_cases_with_a_score(tiny: Tiny) -> None:
    def case(number: int, channel: str, score: int | None, status: str = "closed") -> dict[str, object]:
        closed = "2026-11-19T10:00:00Z" if status == "closed" else None
        return {
            "case_id": f"00000000-0000-4000-a000-{number:012d}",
            **{"customer_id": " ", "order_id": None, "channel": channel, "opened_at": "2026-11-18T10:00:00Z"},
            **{"closed_at": closed, "status": status, "csat_score": score, "sentiment": "0.1000"},
            **{"updated_at": "2026-11-19T10:00:00Z", "source_seq": number},
        }

    cases = [case(1, "phone", 5), case(2, "social", 2), case(3, "chat", None), case(4, "email", 3, "open"), case(5, "phone", 7)]
    tiny.add("support_cases", "jsonl", jsonl_bytes(cases))
    found = compute(tiny.drops, as_of=NOW)
    # (1.0 × 4/4 + 0.4 × 1/4) / 1.4 = 78.571…
    assert found.kpis["csat_index"]["2026-11-19"] == Kpi(Decimal("78.57"), Decimal("1.1"), Decimal("1.4"))
    assert found.datasets["support_cases"].rejects_by_rule == {"maximum:csat_score": 1}


def test_stock_is_at_risk_below_the_lead_time_at_the_forecast_of_the_weekday(tiny: Tiny) -> None:
    old = {"ordered_at": "2026-11-13T10:00:00Z", "currency": "EUR"}
    tiny.csv("orders", _order(1, **old), _order(2, **old, status="cancelled"))
    tiny.csv("order_lines", _line(1, 1, "4 1 4 0 0", **old), _line(2, 1, "400 1 400 0 0", **old))
    # Four pieces a week ago and none in the three weeks before: one a day; the lead time is seven days.
    for available, risky in (("6", 1), ("7", 0)):
        stock = Tiny(tiny.folder)
        stock.drops = list(tiny.drops)
        rows = [f"AAA-00000{n},2026-11-20,{available},0,2026-11-20T05:00:00Z,{n}" for n in (1, 2)]
        stock.csv("inventory", *rows)
        found = compute(stock.drops, as_of=NOW).kpis["inventory_risk"]
        assert found["2026-11-20"] == Kpi(Decimal(risky) / 2 if risky else Decimal(0), Decimal(risky), Decimal(2))


def test_the_newest_accepted_row_wins_and_a_rejected_newer_one_does_not(tiny: Tiny) -> None:
    newer = {"updated_at": "2026-11-18T15:00:00Z", "ordered_at": "2026-11-18T12:00:00+01:00"}
    tiny.csv(
        "orders", _order(1, status="delivered", **newer, source_seq="2"), _order(1, status="cancelled", **newer, source_seq="1")
    )
    tiny.csv("orders", _order(1), _order(1, updated_at="2026-11-19T10:00:00Z", total_amount=" "))
    tiny.csv("order_lines", _line(1, 1, "1 8.00 8.00 0 0", currency="د.إ"))
    found = compute(tiny.drops, as_of=NOW)
    orders = found.datasets["orders"]
    assert (orders.rows_landed, orders.rows_accepted, orders.rows_silver, orders.rows_superseded) == (4, 3, 1, 2)
    assert orders.rejects_by_rule == {"required:total_amount": 1}
    assert found.kpis["net_revenue"]["2026-11-18"].value == Decimal("2.00")


def test_lines_sent_again_for_another_day_leave_old_rows_behind_that_count_nowhere(tiny: Tiny) -> None:
    moved = {"ordered_at": "2026-11-17T10:00:00Z", "updated_at": "2026-11-18T12:00:00Z", "currency": "EUR"}
    tiny.csv("orders", _order(1), _order(1, **moved), _order(2, **moved))
    tiny.csv("order_lines", _line(1, 1, "1 8 8 0 0"), _line(1, 1, "1 8 8 0 0", **moved), _line(2, 1, "1 5 5 0 0"))
    found = compute(tiny.drops, as_of=NOW)
    assert (found.datasets["order_lines"].rows_silver, found.datasets["order_lines"].rows_left_behind) == (2, 1)
    # The line of order 2 stands under another day than its order.
    assert {day: kpi.value for day, kpi in found.kpis["net_revenue"].items()} == {"2026-11-17": Decimal("8.00")}


def test_an_unreadable_drop_is_refused_whole_and_an_equal_one_lands_once(tiny: Tiny) -> None:
    tiny.csv("orders", _order(1))
    tiny.csv("orders", _order(1))
    tiny.add("orders", "csv", csv_bytes(CSV_COLUMNS["orders"], [_order(2), "cut,off"]))
    tiny.add("fx_rates", "jsonl", b'{"currency": "AED",')
    tiny.add("sessions", "parquet", b"PAR1")
    found = compute(tiny.drops, as_of=NOW)
    orders = found.datasets["orders"]
    assert (orders.drops_accepted, orders.drops_duplicate, orders.drops_refused, orders.rows_landed) == (1, 1, 1, 1)
    assert len(found.refused) == 3


def test_a_saved_truth_reads_back_as_it_was(truth: Truth, tmp_path: Path) -> None:
    truth.save(tmp_path / "truth.json")
    assert Truth.load(tmp_path / "truth.json") == truth
    assert json.loads((tmp_path / "truth.json").read_text())["as_of"] == "2026-11-20T23:00:00+00:00"
