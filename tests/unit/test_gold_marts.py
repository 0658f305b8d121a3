"""Marts on cases small enough to work out by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.unit.gold_harness import OTHER, TOKEN, Row, at, day, run

SKU, SECOND, THIRD = "FSH-100001", "FSH-100002", "LIF-100003"
TODAY = day("2026-11-20")


def sold(order_id: str = "o1", number: int = 1, **more: Any) -> Row:
    row: Row = {
        "order_id": order_id, "line_no": number, "order_date": TODAY, "ordered_at": at("2026-11-20 10:00"), "sku": SKU,
        "customer_token": TOKEN, "channel_source": "web", "region": "FR", "is_cancelled": False, "quantity": 2,
        "gross_amount": Decimal("10.00"), "discount_amount": Decimal("1.00"), "tax_amount": Decimal("1.50"),
        "net_revenue_amount": Decimal("7.50"), "unit_cost": Decimal("2.25"),
    }  # fmt: skip
    return {**row, **more}


def refund(amount: str, granted: str, **more: Any) -> Row:
    row: Row = {
        "return_id": "r", "channel_source": "web", "region": "FR", "initiated_date": day("2026-11-10"),
        "refunded_date": day(granted), "refund_amount": Decimal(amount),
    }  # fmt: skip
    return {**row, **more}


def revenue(lines: list[Row], refunds: list[Row] | None = None, **more: Any) -> list[Row]:
    found = run("mart_daily_revenue", {"fact_order": lines, "fact_returns": refunds or [], **more}, [TODAY])
    return sorted(found, key=lambda row: (row["channel_source"], row["region"]))


def test_revenue_counts_orders_once_and_money_by_line() -> None:
    (found,) = revenue([sold(), sold(number=2), sold("o2"), sold("o3", is_cancelled=True)])
    assert (found["orders"], found["lines"], found["gross_amount"], found["net_revenue"]) == (
        2, 3, Decimal("30.00"), Decimal("22.50")
    )  # fmt: skip


def test_a_refund_counts_on_the_day_it_is_granted_also_where_nothing_was_sold() -> None:
    refunds = [refund("3.00", "2026-11-20"), refund("5.00", "2026-11-20", region="ES"), refund("9.00", "2026-11-19")]
    french, spanish = sorted(revenue([sold()], refunds), key=lambda row: row["orders"], reverse=True)
    assert (french["refund_amount"], french["net_revenue"]) == (Decimal("3.00"), Decimal("4.50"))
    assert (spanish["orders"], spanish["region"], spanish["net_revenue"]) == (0, "ES", Decimal("-5.00"))


def test_two_refunds_of_a_cell_do_not_double_its_sales() -> None:
    (found,) = revenue([sold(), sold(number=2)], [refund("1.00", "2026-11-20"), refund("2.00", "2026-11-20")])
    assert (found["lines"], found["net_revenue"]) == (2, Decimal("12.00"))


def test_cancelled_orders_alone_make_no_row() -> None:
    assert revenue([sold(is_cancelled=True)]) == []


def test_the_channel_is_named_as_at_the_end_of_the_day() -> None:
    names = [
        {"channel_source": "web", "valid_from": at("1970-01-01 00:00"), "valid_to": at("2026-11-20 15:00"), "name": "Web"},
        {"channel_source": "web", "valid_from": at("2026-11-20 15:00"), "valid_to": None, "name": "Web shop"},
    ]
    (found,) = revenue([sold()], dim_channel=names)
    assert found["channel_name"] == "Web shop"


def test_margin_is_net_revenue_minus_the_cost_of_the_versions_sold() -> None:
    product = {"sku": SKU, "valid_from": at("1970-01-01 00:00"), "valid_to": None, "brand": "Noor", "category": "fashion"}
    lines = [sold(), sold("o2", quantity=1, unit_cost=Decimal("3.00")), sold("o3", is_cancelled=True)]
    (found,) = run("mart_merchandising_margin", {"fact_order": lines, "dim_product": [product]}, [TODAY])
    assert (found["quantity"], found["cost_amount"], found["margin_amount"]) == (3, Decimal("7.50"), Decimal("7.50"))
    assert (found["brand"], found["category"]) == ("Noor", "fashion")


# --- customers ----------------------------------------------------------------------------------------------------------


def months(lines: list[Row], parcels: list[Row] | None = None, cases: list[Row] | None = None) -> list[Row]:
    inputs = {"fact_order": lines, "fact_shipment": parcels or [], "fact_support_case": cases or []}
    return run("customer_month", inputs, [day("2026-11-01")])


def parcel(order_id: str, due: str, *, late: bool = False) -> Row:
    return {"shipment_id": f"{order_id} {due}", "order_id": order_id, "due_date": day(due), "is_late": late}


def test_a_month_of_a_customer_holds_orders_parcels_and_cases() -> None:
    lines = [
        sold(),
        sold(number=2, sku=SECOND, quantity=3),
        sold("o2", order_date=day("2026-10-31")),
        sold("o3", is_cancelled=True),
    ]
    parcels = [
        parcel("o1", "2026-11-23", late=True),
        parcel("o1", "2026-12-01"),
        parcel("o2", "2026-11-02"),
        parcel("o3", "2026-11-23"),
    ]
    cases: list[Row] = [
        {"case_id": "1", "customer_token": TOKEN, "opened_date": day("2026-11-30"), "csat_score": 4},
        {"case_id": "2", "customer_token": TOKEN, "opened_date": day("2026-11-01"), "csat_score": None},
        {"case_id": "3", "customer_token": None, "opened_date": day("2026-11-01"), "csat_score": 1},
        {"case_id": "4", "customer_token": TOKEN, "opened_date": day("2026-12-01"), "csat_score": 1},
    ]
    (found,) = months(lines, parcels, cases)
    assert (found["orders"], found["net_revenue_amount"], found["top_sku"]) == (1, Decimal("15.00"), SECOND)
    assert (found["shipments"], found["late_shipments"]) == (2, 1)
    assert (found["cases"], found["scored_cases"], found["csat_points"]) == (2, 1, 4)


def test_of_products_bought_equally_the_first_by_name_is_on_top() -> None:
    (found,) = months([sold(sku=SECOND), sold(number=2, sku=SKU)])
    assert found["top_sku"] == SKU


def test_parcels_promised_more_than_30_days_after_the_order_do_not_count() -> None:
    (found,) = months([sold()], [parcel("o1", "2026-12-20"), parcel("o1", "2026-12-21")])
    assert found["shipments"] == 1


def person(token: str = TOKEN, **more: Any) -> Row:
    row: Row = {
        "customer_token": token, "is_current": True, "country": "FR", "region": "FR", "loyalty_tier": "gold",
        "segment": "family", "lifetime_value": Decimal("1.00"), "consent_marketing": True, "consent_profiling": True,
    }  # fmt: skip
    return {**row, **more}


def month(first: str, **more: Any) -> Row:
    row: Row = {
        "order_month": day(first), "customer_token": TOKEN, "orders": 1, "net_revenue_amount": Decimal("5.00"),
        "first_order_at": at(f"{first} 10:00"), "last_order_at": at(f"{first} 12:00"), "top_sku": SKU, "shipments": 1,
        "late_shipments": 0, "cases": 1, "scored_cases": 1, "csat_points": 5,
    }  # fmt: skip
    return {**row, **more}


def test_a_profile_sums_the_months_and_takes_the_last_product() -> None:
    empty = {"orders": 0, "first_order_at": None, "last_order_at": None, "top_sku": None, "csat_points": 2}
    customers = [person(), person(is_current=False, loyalty_tier="bronze")]
    rows = [month("2026-09-01"), month("2026-10-01", top_sku=SECOND), month("2026-11-01", **empty)]
    (found,) = run("mart_customer_profile", {"dim_customer": customers, "customer_month": rows})
    assert (found["orders"], found["net_revenue_amount"], found["last_sku"]) == (2, Decimal("15.00"), SECOND)
    assert (found["first_order_at"], found["last_order_at"]) == (at("2026-09-01 10:00"), at("2026-10-01 12:00"))
    assert (found["loyalty_tier"], found["csat_score"]) == ("gold", Decimal("4.00"))


def test_a_customer_who_did_nothing_yet_has_a_profile_without_a_score() -> None:
    (found,) = run("mart_customer_profile", {"dim_customer": [person()]})
    assert (found["orders"], found["net_revenue_amount"], found["csat_score"], found["last_sku"]) == (0, 0, None, None)


# --- trust and recommendations --------------------------------------------------------------------------------------------


def trust(material: str, *, score: int = 70, organic: bool = False) -> int:
    row = {"sku": SKU, "is_current": True, "material": material, "organic": organic, "sustainability_score": score}
    (found,) = run("mart_trust_scores", {"dim_product": [row, {**row, "is_current": False, "sustainability_score": 1}]})
    return int(found["trust_score"])


def test_bamboo_and_organic_products_stand_above_others_with_the_same_score() -> None:
    assert trust("steel") == 70
    assert trust("recycled paper") == trust("cork") == 76
    assert trust("Bamboo") == 80
    assert trust("organic beans", organic=True) == 80
    assert trust("bamboo", score=95, organic=True) == 100


def profile(token: str = TOKEN, **more: Any) -> Row:
    row: Row = {
        "customer_token": token, "loyalty_tier": "gold", "consent_marketing": True, "consent_profiling": True, "orders": 1,
        "first_order_at": at("2026-11-01 10:00"), "last_order_at": at("2026-11-01 10:00"), "last_sku": SKU,
    }  # fmt: skip
    return {**row, **more}


def recommended(*profiles: Row) -> list[Row]:
    products = [
        {"sku": sku, "product_name": sku, "category": category, "active": active, "trust_score": score}
        for sku, category, active, score in (
            (SKU, "fashion", True, 90),
            (SECOND, "fashion", True, 80),
            ("FSH-100009", "fashion", False, 99),
            (THIRD, "lifestyle", True, 95),
        )
    ]
    return run("mart_loyalty_recommendations", {"mart_customer_profile": profiles, "mart_trust_scores": products})


def test_the_best_active_product_of_the_category_is_suggested_but_never_the_one_bought() -> None:
    assert [row["bundle_sku"] for row in recommended(profile())] == [SECOND]
    assert [row["bundle_sku"] for row in recommended(profile(last_sku=SECOND))] == [SKU]


def test_a_category_with_nothing_else_gives_no_suggestion() -> None:
    assert recommended(profile(last_sku=THIRD)) == []


@pytest.mark.parametrize("refused", ["consent_marketing", "consent_profiling"])
@pytest.mark.parametrize("answer", [False, None])
def test_customers_who_did_not_agree_are_not_there(refused: str, answer: bool | None) -> None:
    silent: Row = {refused: answer}
    assert [row["customer_token"] for row in recommended(profile(**silent), profile(OTHER))] == [OTHER]


@pytest.mark.parametrize(
    ("orders", "last", "cadence"),
    [(1, "2026-11-01 10:00", 21), (3, "2026-11-21 10:00", 10), (9, "2026-11-02 10:00", 7), (2, "2027-11-01 10:00", 90)],
)
def test_the_cadence_follows_the_customers_own_rhythm(orders: int, last: str, cadence: int) -> None:
    (found,) = recommended(profile(orders=orders, last_order_at=at(last)))
    assert found["cadence_days"] == cadence
