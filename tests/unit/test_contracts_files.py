"""The contracts that the repository ships: sound, fitting together, and saying what the source document promises."""

from __future__ import annotations

import pytest

from catalog.domain.contract import Contract, Field
from catalog.domain.links import check_links
from controlplane.lake.portable import check
from tests.unit.gold_harness import CONTRACTS, contracts

EVERY = sorted(path.name.removesuffix(".odcs.yaml") for path in CONTRACTS.glob("*.odcs.yaml"))
SOURCES = {
    "customers", "products", "channels", "orders", "order_lines", "shipments", "returns", "support_cases", "sessions",
    "inventory", "fx_rates", "suppliers", "carriers", "promotions",
}  # fmt: skip
CADENCE_MIN = {
    "net_revenue": 2, "conversion_rate": 2, "fulfilment_sla": 5, "return_rate": 10, "csat_index": 2, "inventory_risk": 15,
}  # fmt: skip


def rules_of(field: Field) -> list[str]:
    """The ids of the rules that Silver applies to a field."""
    tests = {
        "required": field.required,
        "type": field.type != "string",
        "enum": field.enum,
        "pattern": field.pattern,
        "minimum": field.minimum is not None,
        "maximum": field.maximum is not None,
        "max_length": field.max_length,
        "reference": field.reference,
    }
    return [f"{rule}:{field.name}" for rule, there in tests.items() if there]


@pytest.mark.parametrize("name", EVERY)
def test_a_contract_describes_the_dataset_its_file_is_named_after(name: str) -> None:
    contract = contracts()[name]
    assert contract.document["id"] == name
    assert contract.description
    assert contract.document["description"]["usage"]
    assert all(one.description for one in contract.fields), "every column is explained"


@pytest.mark.parametrize("name", EVERY)
def test_a_contract_fits_with_the_others(name: str) -> None:
    assert check_links(contracts()[name], contracts()) == []


def test_every_source_of_the_company_has_a_contract() -> None:
    assert {name for name, one in contracts().items() if one.layer == "silver"} == SOURCES


@pytest.mark.parametrize("name", EVERY)
def test_retention_is_90_days_in_silver_and_400_in_gold(name: str) -> None:
    contract = contracts()[name]
    assert contract.sla.retention_days == {"silver": 90, "gold": 400}[contract.layer]
    assert contract.sla.freshness_s


def test_at_least_68_rules_stand_over_at_least_68_critical_fields() -> None:
    critical = [(one.dataset, field) for one in contracts().values() for field in one.fields if field.critical]
    assert len(critical) >= 68
    silver = [rule for dataset, field in critical if contracts()[dataset].layer == "silver" for rule in rules_of(field)]
    assert len(silver) >= 68
    assert all(rules_of(field) for dataset, field in critical if contracts()[dataset].layer == "silver")


def test_kpis_have_the_cadence_of_the_source_document_as_their_freshness() -> None:
    kpis = {one.kpi.key: one for one in contracts().values() if one.kpi}
    assert {key: one.kpi.cadence_s // 60 for key, one in kpis.items() if one.kpi} == CADENCE_MIN
    for contract in kpis.values():
        assert contract.kpi is not None
        assert contract.sla.freshness_s == contract.kpi.cadence_s
        assert contract.serve
        assert contract.product == "kpi"


def test_the_margin_mart_promises_five_minutes_and_names_whom_to_ask() -> None:
    contract = contracts()["mart_merchandising_margin"]
    assert contract.sla.freshness_s == 300
    assert contract.owner
    assert "@" in contract.document["support"][0]["channel"]


def test_marts_and_kpis_are_served_and_facts_stay_in_the_lake() -> None:
    served = {name for name, one in contracts().items() if one.serve}
    assert served == {name for name in contracts() if name.startswith(("mart_", "kpi_"))}


def test_a_data_product_has_one_owner_one_steward_and_one_home() -> None:
    products: dict[str, list[Contract]] = {}
    for contract in contracts().values():
        products.setdefault(contract.product, []).append(contract)
    assert {"orders", "customers", "products", "revenue", "merchandising-margin", "reference-fx", "kpi"} <= set(products)
    for product, members in products.items():
        assert len({(one.owner, one.steward, one.domain, one.tier) for one in members}) == 1, product


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_row_rules_and_patterns_of_a_source_are_portable(name: str) -> None:
    contract = contracts()[name]
    tests = [rule.sql for rule in contract.rules]
    tests += [f"matches({one.name}, '{one.pattern}')" for one in contract.fields if one.pattern]
    for test in tests:
        check(f"SELECT ({test}) AS passes FROM {name}")


def test_personal_columns_of_customers_are_classified_and_their_token_stands_beside() -> None:
    customers = contracts()["customers"]
    personal = {one.name for one in customers.fields if one.pii and not one.derived}
    assert personal == {
        "customer_id", "email", "first_name", "last_name", "phone", "birth_date", "city", "postal_code",
    }  # fmt: skip
    assert all(customers.field(name).classification == "high" for name in personal)
    for contract in contracts().values():
        if contract.layer == "silver" and "customer_id" in contract.field_names:
            assert contract.field("customer_token").token_of == "customer_id", contract.dataset


def test_marts_that_read_many_facts_are_refreshed_at_most_every_few_minutes() -> None:
    slow = {name: one.min_refresh_interval_s for name, one in contracts().items() if one.min_refresh_interval_s}
    assert slow == {
        "customer_month": 300, "fact_fx_adjustment": 300, "mart_customer_profile": 300, "mart_loyalty_recommendations": 900,
    }  # fmt: skip


@pytest.mark.parametrize("name", [name for name, one in contracts().items() if one.layer == "gold"])
def test_an_input_that_triggers_is_read_at_least_as_far_back_as_it_reaches_forward(name: str) -> None:
    """A changed day x touches x+lo … x+hi, so an output day p must read p-hi … p-lo."""
    contract = contracts()[name]
    for one in contract.inputs:
        upstream = contracts()[one.dataset].partition
        if one.trigger is None or one.read == "all" or upstream is None or one.trigger != upstream.column:
            continue
        low, high = one.trigger_window
        _, first, last = one.read
        assert first <= -high, one.dataset
        assert last >= -low, one.dataset
