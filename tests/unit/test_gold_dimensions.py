"""SCD 2 dimensions and conversion rates, on cases small enough to work out by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.unit.gold_harness import OTHER, TOKEN, Row, at, day, run

BEGINNING = at("1970-01-01 00:00")


def customer(updated: str, *, token: str = TOKEN, bucket: str = "a", created: str = "2026-01-05 10:00", **more: Any) -> Row:
    row: Row = {
        "customer_token": token, "bucket": bucket, "created_at": at(created), "updated_at": at(updated), "country": "FR",
        "region": "FR", "loyalty_tier": "bronze", "segment": "family", "lifetime_value": Decimal("10.00"),
        "consent_marketing": True, "consent_profiling": False,
    }  # fmt: skip
    return {**row, **more}


def intervals(rows: list[Row]) -> list[tuple[Any, Any, bool]]:
    return sorted(((row["valid_from"], row["valid_to"], row["is_current"]) for row in rows), key=lambda one: one[0])


def test_the_first_version_of_a_customer_starts_when_the_customer_registered() -> None:
    found = run("dim_customer", {"customers": [customer("2026-03-01 09:00"), customer("2026-04-01 09:00")]}, ["a"])
    assert intervals(found) == [
        (at("2026-01-05 10:00"), at("2026-04-01 09:00"), False),
        (at("2026-04-01 09:00"), None, True),
    ]


def test_updates_that_change_nothing_are_versions_too() -> None:
    updates = ["2026-03-01 09:00", "2026-03-02 09:00", "2026-03-03 09:00"]
    found = run("dim_customer", {"customers": [customer(one) for one in updates]}, ["a"])
    assert [valid_to for _, valid_to, _ in intervals(found)] == [at(updates[1]), at(updates[2]), None]


def test_a_registration_told_later_than_the_first_update_does_not_turn_the_interval_round() -> None:
    found = run("dim_customer", {"customers": [customer("2026-03-01 09:00", created="2026-03-05 00:00")]}, ["a"])
    assert intervals(found) == [(at("2026-03-01 09:00"), None, True)]


def test_customers_of_other_buckets_are_left_alone() -> None:
    both = [customer("2026-03-01 09:00"), customer("2026-03-01 09:00", token=OTHER, bucket="b")]
    assert [row["customer_token"] for row in run("dim_customer", {"customers": both}, ["a"])] == [TOKEN]


def product(updated: str, **more: Any) -> Row:
    row: Row = {
        "sku": "FSH-100001", "name": "Shirt", "brand": "Noor", "category": "fashion", "subcategory": "shirts",
        "supplier_id": "SUP-1", "unit_cost": Decimal("5.00"), "list_price": Decimal("12.00"), "sustainability_score": 50,
        "material": "cotton", "organic": False, "active": True, "updated_at": at(updated),
    }  # fmt: skip
    return {**row, **more}


def test_the_first_version_of_a_product_is_valid_from_the_beginning() -> None:
    updates = [product("2026-03-01 09:00"), product("2026-06-01 09:00", active=False)]
    found = run("dim_product", {"products": updates, "suppliers": [{"supplier_id": "SUP-1", "lead_time_days": 7}]})
    assert intervals(found) == [(BEGINNING, at("2026-06-01 09:00"), False), (at("2026-06-01 09:00"), None, True)]
    assert {row["lead_time_days"] for row in found} == {7}


def test_a_product_of_an_unknown_supplier_stays_without_lead_time() -> None:
    found = run("dim_product", {"products": [product("2026-03-01 09:00")]})
    assert [row["lead_time_days"] for row in found] == [None]


def test_a_channel_keeps_the_name_that_facts_use() -> None:
    renamed = [
        {"channel_id": "web", "name": name, "kind": "online", "active": True, "updated_at": at(updated)}
        for name, updated in (("Web", "2026-01-01 00:00"), ("Web shop", "2026-02-01 00:00"))
    ]
    found = sorted(run("dim_channel", {"channels": renamed}), key=lambda row: row["valid_from"])
    assert [(row["channel_source"], row["name"], row["valid_from"]) for row in found] == [
        ("web", "Web", BEGINNING),
        ("web", "Web shop", at("2026-02-01 00:00")),
    ]


def rate(hour: str, published: str, value: str, currency: str = "USD") -> Row:
    return {"currency": currency, "rate_hour": at(hour), "updated_at": at(published), "rate_to_eur": Decimal(value)}


def test_an_hour_converts_with_its_first_published_version_until_the_next_hour_that_has_a_rate() -> None:
    rates = [
        rate("2026-11-01 10:00", "2026-11-02 00:00", "0.90000000"),
        rate("2026-11-01 10:00", "2026-11-01 10:01", "0.80000000"),
        rate("2026-11-01 13:00", "2026-11-01 13:01", "0.81000000"),
        rate("2026-11-01 11:00", "2026-11-01 11:01", "1.20000000", "GBP"),
    ]
    found = {(row["currency"], row["valid_from"]): row for row in run("dim_fx_rate", {"fx_rates": rates})}
    first = found["USD", at("2026-11-01 10:00")]
    assert (first["rate_to_eur"], first["valid_to"]) == (Decimal("0.80000000"), at("2026-11-01 13:00"))
    assert first["published_at"] == at("2026-11-01 10:01")
    assert found["USD", at("2026-11-01 13:00")]["is_current"]
    assert found["GBP", at("2026-11-01 11:00")]["valid_to"] is None


def test_one_euro_is_one_euro_also_without_any_rates() -> None:
    (euro,) = run("dim_fx_rate", {})
    assert (euro["currency"], euro["rate_to_eur"], euro["valid_from"], euro["valid_to"]) == ("EUR", 1, BEGINNING, None)


def test_the_days_of_a_rate_are_business_days_on_both_sides_of_the_clock_change() -> None:
    # 22:30 UTC is past midnight in Paris before the clocks go back on 25 October, and not after.
    rates = [
        rate("2026-10-24 22:30", "2026-10-24 22:31", "0.8"),
        rate("2026-10-25 22:30", "2026-10-25 22:31", "0.9"),
    ]
    found = {row["valid_from"]: row for row in run("dim_fx_rate", {"fx_rates": rates}) if row["currency"] == "USD"}
    assert found[at("2026-10-24 22:30")]["valid_from_date"] == day("2026-10-25")
    assert found[at("2026-10-24 22:30")]["valid_to_date"] == day("2026-10-25")
    assert found[at("2026-10-25 22:30")]["valid_from_date"] == day("2026-10-25")
