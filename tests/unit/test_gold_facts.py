"""Facts on cases small enough to work out by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.unit.gold_harness import OTHER, TOKEN, Row, at, day, run

SKU = "FSH-100001"
TODAY = day("2026-11-20")
EUR = {
    "currency": "EUR", "valid_from": at("1970-01-01 00:00"), "rate_to_eur": Decimal(1), "is_current": True,
    "valid_from_date": day("1970-01-01"),
}  # fmt: skip


def rate(start: str, end: str | None, value: str, currency: str = "USD") -> Row:
    """A row of dim_fx_rate; the times are within the same Paris day as UTC day here."""
    return {
        "currency": currency, "valid_from": at(start), "valid_to": at(end) if end else None, "rate_to_eur": Decimal(value),
        "valid_from_date": day(start[:10]), "valid_to_date": day(end[:10]) if end else None,
    }  # fmt: skip


def order(order_id: str = "o1", ordered: str = "2026-11-20 10:00", **more: Any) -> Row:
    row: Row = {
        "order_id": order_id, "order_date": TODAY, "customer_token": TOKEN, "channel_source": "web", "region": "FR",
        "country": "FR", "status": "placed", "ordered_at": at(ordered), "promised_delivery_ts": at("2026-11-23 19:00"),
    }  # fmt: skip
    return {**row, **more}


def line(order_id: str = "o1", number: int = 1, **more: Any) -> Row:
    row: Row = {
        "order_id": order_id, "line_no": number, "order_date": TODAY, "sku": SKU, "quantity": 2, "currency": "EUR",
        "gross_amount": Decimal("10.00"), "discount_amount": Decimal("1.00"), "tax_amount": Decimal("1.50"),
        "ordered_at": at("2026-11-20 10:00"),
    }  # fmt: skip
    return {**row, **more}


def fact_order(orders: list[Row], lines: list[Row], *, rates: list[Row] | None = None, **dimensions: list[Row]) -> list[Row]:
    inputs = {"orders": orders, "order_lines": lines, "dim_fx_rate": [EUR, *(rates or [])], **dimensions}
    return sorted(run("fact_order", inputs, [TODAY]), key=lambda row: (row["order_id"], row["line_no"]))


def test_a_line_carries_its_order_and_its_net_revenue() -> None:
    (found,) = fact_order([order()], [line()])
    assert (found["net_revenue_amount"], found["net_amount_currency"]) == (Decimal("7.50"), Decimal("7.50"))
    assert (found["fx_rate"], found["is_cancelled"], found["customer_token"]) == (1, False, TOKEN)


def test_a_line_without_its_order_is_not_a_fact() -> None:
    assert fact_order([order("o2")], [line("o1")]) == []


def test_a_line_whose_order_was_corrected_to_another_day_is_not_a_fact() -> None:
    assert fact_order([order(order_date=day("2026-11-19"))], [line()]) == []


def test_lines_of_days_out_of_scope_are_left_alone() -> None:
    yesterday: Row = {"order_date": day("2026-11-19")}
    assert fact_order([order(**yesterday)], [line(**yesterday)]) == []


def test_lines_of_cancelled_orders_stay_and_are_marked() -> None:
    (found,) = fact_order([order(status="cancelled")], [line()])
    assert found["is_cancelled"]


def test_each_amount_is_converted_and_rounded_half_up_on_its_own() -> None:
    amounts: Row = {"gross_amount": Decimal("1.01"), "discount_amount": Decimal("0.01"), "tax_amount": Decimal("0.03")}
    (found,) = fact_order([order()], [line(currency="USD", **amounts)], rates=[rate("2026-11-20 09:00", None, "0.50000000")])
    assert (found["gross_amount"], found["discount_amount"], found["tax_amount"]) == (
        Decimal("0.51"), Decimal("0.01"), Decimal("0.02")
    )  # fmt: skip
    assert found["net_revenue_amount"] == Decimal("0.48")
    assert found["net_amount_currency"] == Decimal("0.97")


@pytest.mark.parametrize(
    ("ordered", "expected"),
    [
        ("2026-11-20 09:59", "0.70"),
        ("2026-11-20 10:00", "0.80"),
        ("2026-11-20 12:59", "0.80"),
        ("2026-11-20 13:00", "0.90"),
    ],
)
def test_the_rate_is_that_of_the_last_hour_at_or_before_the_order(ordered: str, expected: str) -> None:
    rates = [
        rate("2026-11-19 08:00", "2026-11-20 10:00", "0.70"),
        rate("2026-11-20 10:00", "2026-11-20 13:00", "0.80"),
        rate("2026-11-20 13:00", None, "0.90"),
        rate("2026-11-20 08:00", None, "1.15", "GBP"),
    ]
    (found,) = fact_order([order(ordered=ordered)], [line(currency="USD")], rates=rates)
    assert found["fx_rate"] == Decimal(expected)


def test_an_amount_without_any_earlier_rate_is_not_defined() -> None:
    (found,) = fact_order([order()], [line(currency="USD")], rates=[rate("2026-11-20 11:00", None, "0.90")])
    assert (found["fx_rate"], found["gross_amount"], found["net_revenue_amount"]) == (None, None, None)
    assert found["net_amount_currency"] == Decimal("7.50")


def customer(start: str, end: str | None, token: str = TOKEN) -> Row:
    return {"customer_token": token, "valid_from": at(start), "valid_to": at(end) if end else None}


@pytest.mark.parametrize(
    ("ordered", "version"),
    [
        ("2026-11-20 07:59", None),  # before the customer registered, as far as we know
        ("2026-11-20 08:00", "2026-11-20 08:00"),
        ("2026-11-20 08:59", "2026-11-20 08:00"),
        ("2026-11-20 09:00", "2026-11-20 09:00"),
        ("2026-11-20 23:00", "2026-11-20 09:00"),
    ],
)
def test_the_customer_version_is_the_one_valid_when_the_order_was_placed(ordered: str, version: str | None) -> None:
    versions = [
        customer("2026-11-20 08:00", "2026-11-20 09:00"),
        customer("2026-11-20 09:00", None),
        customer("2026-11-20 08:00", None, OTHER),
    ]
    (found,) = fact_order([order(ordered=ordered)], [line()], dim_customer=versions)
    assert found["customer_valid_from"] == (at(version) if version else None)


def test_the_unit_cost_is_that_of_the_product_version_sold() -> None:
    versions = [
        {"sku": SKU, "valid_from": at("1970-01-01 00:00"), "valid_to": at("2026-11-20 10:00"), "unit_cost": Decimal("4.00")},
        {"sku": SKU, "valid_from": at("2026-11-20 10:00"), "valid_to": None, "unit_cost": Decimal("6.00")},
    ]
    orders = [order("o1", "2026-11-20 09:59"), order("o2", "2026-11-20 10:00")]
    found = fact_order(orders, [line("o1"), line("o2")], dim_product=versions)
    assert [row["unit_cost"] for row in found] == [Decimal("4.00"), Decimal("6.00")]


def test_fulfilment_is_measured_from_order_to_delivery_and_dispatch_falls_on_a_business_day() -> None:
    times: Row = {"dispatched_at": at("2026-11-20 23:30"), "delivered_at": at("2026-11-22 10:00")}
    open_order, done = fact_order([order("o1"), order("o2", **times)], [line("o1"), line("o2")])
    assert (open_order["time_to_fulfil_s"], open_order["dispatched_date"]) == (None, None)
    assert (done["time_to_fulfil_s"], done["dispatched_date"]) == (2 * 86_400, day("2026-11-21"))


# --- parcels, visits, conversations, stock ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "delivered", "late"),
    [
        ("in_transit", None, False),
        ("lost", None, True),
        ("delivered", "2026-11-20 18:00", False),
        ("delivered", "2026-11-20 18:01", True),
    ],
)
def test_a_parcel_is_late_when_it_came_after_its_promise_or_never(status: str, delivered: str | None, late: bool) -> None:
    parcel = {
        "shipment_id": "s", "due_date": TODAY, "status": status, "shipped_at": at("2026-11-19 18:00"),
        "promised_delivery_ts": at("2026-11-20 18:00"), "delivered_at": at(delivered) if delivered else None,
    }  # fmt: skip
    (found,) = run("fact_shipment", {"shipments": [parcel]}, [TODAY])
    assert found["is_late"] is late


def test_a_case_closes_on_a_business_day_and_takes_seconds() -> None:
    case = {
        "case_id": "c", "opened_date": TODAY, "opened_at": at("2026-11-20 22:00"), "closed_at": at("2026-11-20 23:10"),
        "status": "closed", "channel": "chat",
    }  # fmt: skip
    (found,) = run("fact_support_case", {"support_cases": [case]}, [TODAY])
    assert (found["closed_date"], found["resolution_time_s"]) == (day("2026-11-21"), 4200)


def test_a_visit_lasts_from_start_to_end() -> None:
    visit = {
        "session_id": "v", "session_date": TODAY, "started_at": at("2026-11-20 10:00"), "ended_at": at("2026-11-20 10:05"),
    }  # fmt: skip
    (found,) = run("fact_session", {"sessions": [visit]}, [TODAY])
    assert found["duration_s"] == 300


@pytest.mark.parametrize(("changed", "active"), [("2026-11-20 22:59", False), ("2026-11-20 23:00", True)])
def test_stock_is_seen_with_the_product_at_the_end_of_the_day(changed: str, active: bool) -> None:
    versions = [
        {"sku": SKU, "valid_from": at("1970-01-01 00:00"), "valid_to": at(changed), "active": True, "lead_time_days": 7},
        {"sku": SKU, "valid_from": at(changed), "valid_to": None, "active": False, "lead_time_days": 7},
    ]
    count = {"sku": SKU, "snapshot_date": TODAY, "available_qty": 3, "reserved_qty": 0}
    (found,) = run("fact_inventory", {"inventory": [count], "dim_product": versions}, [TODAY])
    assert found["active"] is active
    assert found["day_end_at"] == at("2026-11-20 22:59").replace(second=59)


def test_the_last_second_of_a_day_follows_the_clock_change() -> None:
    for text, end in (("2026-03-29", "2026-03-29 21:59"), ("2026-10-25", "2026-10-25 22:59")):
        count = {"sku": SKU, "snapshot_date": day(text), "available_qty": 3}
        (found,) = run("fact_inventory", {"inventory": [count]}, [day(text)])
        assert found["day_end_at"] == at(end).replace(second=59)


# --- returns ------------------------------------------------------------------------------------------------------------


def returned(**more: Any) -> Row:
    row: Row = {
        "return_id": "r", "order_id": "gone", "line_no": 1, "sku": SKU, "channel_source": "web", "region": "FR",
        "initiated_date": TODAY, "initiated_at": at("2026-11-20 10:00"), "currency": "USD",
    }  # fmt: skip
    return {**row, **more}


def test_a_refund_is_converted_with_the_rate_of_the_moment_it_is_granted() -> None:
    rates = [rate("2026-11-20 09:00", "2026-11-29 23:30", "0.80"), rate("2026-11-29 23:30", None, "0.90")]
    rates[0]["valid_to_date"] = rates[1]["valid_from_date"] = day("2026-11-30")
    granted = returned(refunded_at=at("2026-11-30 10:00"), refund_amount=Decimal("10.05"))
    (found,) = run("fact_returns", {"returns": [granted], "dim_fx_rate": rates}, [TODAY])
    assert (found["refund_amount"], found["refunded_date"]) == (Decimal("9.05"), day("2026-11-30"))


def test_a_return_without_a_refund_is_a_return_all_the_same() -> None:
    announced = returned(refund_amount=Decimal("10.00"))
    (found,) = run("fact_returns", {"returns": [announced], "dim_fx_rate": [EUR]}, [TODAY])
    assert (found["refund_amount"], found["refunded_date"], found["fx_rate"]) == (None, None, None)


# --- exchange adjustments -----------------------------------------------------------------------------------------------


def version(hour: str, published: str, value: str) -> Row:
    return {
        "currency": "USD", "rate_hour": at(hour), "rate_date": day(hour[:10]), "updated_at": at(published),
        "rate_to_eur": Decimal(value),
    }  # fmt: skip


def sold(net: str, hour: str = "2026-11-18 10:00", **more: Any) -> Row:
    row: Row = {
        "order_id": "o", "line_no": 1, "order_date": day("2026-11-18"), "currency": "USD", "fx_rate_hour": at(hour),
        "is_cancelled": False, "net_amount_currency": Decimal(net),
    }  # fmt: skip
    return {**row, **more}


def adjustments(versions: list[Row], lines: list[Row]) -> list[Row]:
    found = run("fact_fx_adjustment", {"fx_rates": versions, "fact_order": lines}, [day("2026-11-19"), TODAY])
    return sorted(found, key=lambda row: row["published_at"])


def test_each_later_version_is_booked_against_the_one_before_on_the_day_it_is_published() -> None:
    versions = [
        version("2026-11-18 10:00", "2026-11-18 10:01", "0.80000000"),
        version("2026-11-18 10:00", "2026-11-19 12:00", "0.81000000"),
        version("2026-11-18 10:00", "2026-11-19 23:30", "0.79000000"),
    ]
    first, second = adjustments(versions, [sold("10.10"), sold("20.20")])
    assert (first["adjustment_date"], first["adjustment_amount"]) == (day("2026-11-19"), Decimal("0.30"))
    assert (second["adjustment_date"], second["adjustment_amount"]) == (TODAY, Decimal("-0.61"))
    assert (first["lines"], first["net_amount_currency"]) == (2, Decimal("30.30"))


def test_cancelled_lines_and_lines_of_other_hours_are_not_adjusted() -> None:
    versions = [
        version("2026-11-18 10:00", "2026-11-18 10:01", "0.80000000"),
        version("2026-11-18 10:00", "2026-11-19 12:00", "0.90000000"),
    ]
    lines = [sold("10.00", is_cancelled=True), sold("10.00", "2026-11-18 11:00"), sold("10.00", currency="GBP")]
    (found,) = adjustments(versions, lines)
    assert (found["lines"], found["adjustment_amount"]) == (0, 0)


def test_a_rate_published_once_needs_no_adjustment() -> None:
    assert adjustments([version("2026-11-18 10:00", "2026-11-19 10:01", "0.80000000")], [sold("10.00")]) == []
