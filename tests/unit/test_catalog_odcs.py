"""Contracts: what a good one says, and where each fault of a bad one is found."""

from __future__ import annotations

import string
from decimal import Decimal
from pathlib import Path

import jsonschema
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.domain import odcs, values
from catalog.domain.contract import Contract
from catalog.domain.edit import Edit, edited
from catalog.domain.faults import ContractInvalid, Fault
from catalog.domain.links import check_links

DATA = Path(__file__).parents[1] / "data"
ORDERS = (DATA / "catalog_orders.odcs.yaml").read_text()
CUSTOMERS = (DATA / "catalog_customers.odcs.yaml").read_text()
GOLD = """\
apiVersion: v3.1.0
kind: DataContract
id: kpi_orders
version: 1.0.0
status: active
domain: sales
dataProduct: kpis
schema:
  - name: kpi_orders
    properties:
      - {name: business_date, logicalType: date, required: true, primaryKey: true}
      - {name: value, logicalType: number, physicalType: 'DECIMAL(18, 2)'}
      - {name: numerator, logicalType: integer}
      - {name: denominator, logicalType: number}
team:
  members: [{username: olivia, role: owner}]
customProperties:
  - {property: layer, value: gold}
  - {property: partitionBy, value: {column: business_date, kind: date}}
  - property: inputs
    value:
      - {dataset: orders, trigger: order_date, triggerWindow: [0, 29], read: {column: order_date, from: -29, to: 0}}
      - {dataset: customers}
  - {property: kpi, value: {key: orders, title: Orders, unit: orders, cadence: 2 min, target: 0.95}}
  - {property: minRefreshInterval, value: 5 s}
"""


def faults_of(text: str | bytes) -> list[Fault]:
    with pytest.raises(ContractInvalid) as caught:
        odcs.parse(text, "file.yaml")
    return caught.value.faults


def changed(text: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert text.count(old) >= 1, old
        text = text.replace(old, new, 1)
    return text


def line_of(text: str, fragment: str) -> int:
    return text[: text.index(fragment)].count("\n") + 1


# -- good contracts ----------------------------------------------------------------------------------------------------------


def test_a_silver_contract_says_what_its_author_wrote():
    contract = odcs.parse(ORDERS)
    assert (contract.dataset, contract.version, contract.layer, contract.product) == ("orders", "1.0.0", "silver", "orders")
    assert (contract.owner, contract.steward, contract.key) == ("olivia", "stefan", ("order_id",))
    assert contract.order_by == ("updated_at", "source_seq")
    assert (contract.source.format, contract.source.time_zone, contract.source.cadence_s) == ("csv", "Europe/Paris", 300)
    assert (contract.sla.freshness_s, contract.sla.retention_days) == (900, 90)
    assert (contract.partition.column, contract.partition.stable, contract.touches) == ("order_date", False, ("order_date",))
    amount = contract.field("total_amount")
    assert (amount.type, amount.precision, amount.scale, amount.minimum, amount.critical) == (
        "decimal",
        18,
        2,
        Decimal(0),
        True,
    )
    assert contract.field("region").enum == ("FR", "ES", "DE", "ME")
    assert (contract.field("currency").enum, contract.field("currency").normalise) == (
        ("EUR", "USD", "AED", "SAR", "GBP"),
        "currency",
    )
    assert contract.references == {"customer_id": ("customers", "customer_id")}
    assert [field.name for field in contract.derived_fields] == ["customer_token"]
    assert "customer_token" not in [field.name for field in contract.drop_fields]
    assert contract.rules[0].name == "dispatch_window"


def test_a_nested_object_becomes_columns_with_a_prefix():
    contract = odcs.parse(CUSTOMERS)
    consent = contract.field("consent_marketing")
    assert (consent.source_name, consent.type, consent.required) == ("consent.marketing", "boolean", True)
    assert (contract.history, contract.steward, contract.partition.buckets) == (True, "carla", 16)


def test_a_gold_contract_says_what_its_inputs_contribute():
    contract = odcs.parse(GOLD)
    orders, customers = contract.inputs
    assert (orders.trigger, orders.trigger_window, orders.read) == ("order_date", (0, 29), ("order_date", -29, 0))
    assert (customers.trigger, customers.read, customers.dimension) == (None, "all", None)
    assert (contract.transform, contract.min_refresh_interval_s) == ("kpi_orders.sql", 5)
    assert (contract.kpi.cadence_s, contract.kpi.target) == (120, Decimal("0.95"))
    assert [field.type_name for field in contract.fields] == ["date", "decimal(18,2)", "integer", "number"]
    assert contract.upstreams == ("orders", "customers")


def test_an_exclusive_bound_becomes_the_next_value_of_the_type():
    contract = odcs.parse(changed(ORDERS, ("{minimum: 0}", "{exclusiveMinimum: 0}")))
    assert contract.field("total_amount").minimum == Decimal("0.01")


def test_the_stored_document_rebuilds_the_same_contract():
    for text in (ORDERS, CUSTOMERS, GOLD):
        contract = odcs.parse(text)
        assert odcs.from_document(contract.document, text=text) == contract
        assert odcs.to_yaml(contract) == text


def test_bytes_with_a_byte_order_mark_read_like_text():
    assert odcs.parse(b"\xef\xbb\xbf" + ORDERS.encode()) == odcs.parse(ORDERS)


def test_every_contract_of_the_repository_is_sound():
    folder = Path(__file__).parents[2] / "pipeline" / "contracts"
    known: dict[str, Contract] = {}
    for path in sorted(folder.glob("*.odcs.yaml")):
        contract = odcs.parse(path.read_bytes(), path.name)
        assert path.name == f"{contract.dataset}.odcs.yaml"
        known[contract.dataset] = contract
    assert known
    assert [fault for contract in known.values() for fault in check_links(contract, known)] == []


# -- the example in the documentation ----------------------------------------------------------------------------------------


def test_the_example_of_the_documentation_is_a_good_contract():
    page = (Path(__file__).parents[2] / "docs" / "contracts.md").read_text()
    example = page.split("```yaml\n", 1)[1].split("```", 1)[0]
    assert odcs.parse(example).dataset == "orders"


# -- YAML --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("", 1, 1, "the file is empty"),
        (" \n\n", 1, 1, "the file is empty"),
        ("# only this\n", 1, 1, "comments only"),
        ("- a\n", 1, 1, "a mapping"),
        ("a: 1\n\tb: 2\n", 2, 1, "indent with spaces"),
        ("a: 1\nb:\n\t- 2\n", 3, 1, "indent with spaces"),
        ("a: [1, 2\nb: 3\n", 2, 2, "not valid YAML"),
        ("a: 'open\n", 2, 1, "not valid YAML"),
        ("a: 1\n---\nb: 2\n", 3, 1, "2 documents"),
        ("a: *nothing\n", 1, 4, "not valid YAML"),
        ("a: \x01\n", 1, 1, "U+0001"),
        (b"a: 1\nb: \xff\n", 2, 4, "not UTF-8"),
        (b"\xff\xfea\x00", 1, 1, "not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_place(text, line, column, words):
    [fault] = faults_of(text)
    assert (fault.line, fault.column) == (line, column)
    assert words in fault.reason


def test_a_key_that_stands_twice_is_named_with_both_lines():
    faults = faults_of(changed(ORDERS, ("domain: sales\n", "domain: sales\ndomain: more\n")))
    assert [(fault.line, fault.reason) for fault in faults] == [(9, "the key 'domain' stands twice; first on line 8")]


@pytest.mark.parametrize(
    "text",
    ["a: !!python/object/apply:os.system ['true']\n", "base: &b {x: 1}\nother:\n  <<: *b\n", "a: &a [*a]\n", 'a: "nul \\0"\n'],
)
def test_tags_merge_keys_cycles_and_nul_are_refused(text):
    words = ("tag", "merge keys", "contains it", "U+0000")
    assert any(word in fault.reason for fault in faults_of(text) for word in words)


def test_an_alias_bomb_is_refused_quickly():
    text = "a: &a [1,1,1,1,1,1,1,1,1]\n"
    for before, name in zip("abcdefghij", "bcdefghijk", strict=True):
        text += f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
    assert "too large once its aliases" in faults_of(text)[0].reason


@pytest.mark.parametrize("text", ["[" * 100_000, "a: " + "{a: " * 100_000, "x: 1\n" * 300_000])
def test_deep_and_huge_files_are_refused(text):
    assert faults_of(text)


def test_no_and_dates_are_text_in_a_contract():
    contract = odcs.parse(changed(ORDERS, ("validValues: [FR, ES, DE, ME]", "validValues: [no, yes, on, 2026-01-01]")))
    assert contract.field("region").enum == ("no", "yes", "on", "2026-01-01")


# -- the standard and our own rules --------------------------------------------------------------------------------------------

FAULTS = [
    # (replace, by, fragment whose line the fault is on, words of the reason)
    ("apiVersion: v3.1.0", "apiVersion: v2.2.2", "apiVersion:", "v2.2.2 is not supported"),
    ("kind: DataContract", "kind: Contract", "kind:", "not one of DataContract"),
    ("version: 1.0.0", "version: '1.0'", "version: '1.0'", "major.minor.patch"),
    ("version: 1.0.0", "version: 1.0", "version: 1.0", "a number, expected string"),
    ("status: active", "status: alive", "status:", "the status is one of"),
    ("domain: sales", "domain: ''", "domain:", "empty"),
    ("domain: sales", "domian: sales", "domian:", "no key 'domian'"),
    ("dataProduct: orders", "dataProduct: My Orders", "dataProduct:", "not a valid name"),
    (
        "  - name: orders\n    physicalType: table",
        "  - name: Orders\n    physicalType: table",
        "  - name: Orders",
        "not a valid name",
    ),
    ("physicalType: table", "physicalType: view", "physicalType: view", "only tables"),
    ("logicalType: integer", "logicalType: int", "logicalType: int", "not one of string"),
    ("logicalType: integer", "logicalType: array", "logicalType: array", "not supported"),
    ("name: source_seq", "name: updated_at", "updated_at\n        logicalType: integer", "a second field named 'updated_at'"),
    ("name: source_seq", "name: _seq", "name: _seq", "not a valid column name"),
    ("        required: true\n        primaryKey: true", "        primaryKey: true", "primaryKey: true", "must be required"),
    ("        primaryKey: true\n", "", "properties:", "no key"),
    ("[0-9a-f]{12}$'", "[0-9a-f]{12$('", "pattern:", "does not compile"),
    ("'^[0-9a-f]{8}", "'^(?=x)[0-9a-f]{8}", "pattern:", "look-around"),
    ("{minimum: 0}", "{minimum: 0, maximum: -1}", "{minimum: 0", "above the maximum"),
    ("{minimum: 0}", "{minimum: zero}", "{minimum:", "expected number"),
    ("{maxLength: 36}", "{minLength: 3}", "{minLength:", "no effect"),
    ("decimal(18,2)", "decimal(40,2)", "decimal(40,2)", "at most 38"),
    ("classification: medium", "classification: secret", "classification: secret", "not one of low"),
    (
        "classification: high\n        relationships",
        "classification: low\n        relationships",
        "classification: low",
        "personal data",
    ),
    ("customers.customer_id", "customers", "{to: customers}", "table.column"),
    ("value: customer_id}", "value: client_id}", "value: client_id", "not a field of the drop"),
    ("value: currency}", "value: money}", "value: money", "not one of currency"),
    ("[FR, ES, DE, ME]", "[FR, ES, FR]", "[FR, ES, FR]", "listed twice"),
    ("[FR, ES, DE, ME]", "[FR, 1]", "[FR, 1]", "quote it"),
    (
        "arguments: {validValues: [FR, ES, DE, ME]}, mustBe: 0",
        "arguments: {validValues: [FR]}, mustBe: 3",
        "mustBe: 3",
        "mustBe: 0",
    ),
    ("name: dispatch_window", "name: Dispatch window", "name: Dispatch window", "not a valid name"),
    ("        mustBe: true", "        mustBe: 0", "query:", "mustBe: true"),
    ("        mustBe: true\n", "", "- name: dispatch_window", "exactly one condition"),
    ("BETWEEN ordered_at AND", "BETWEEN AND", "query:", "does not parse"),
    ("ordered_at + INTERVAL 14 DAY", "shipped_at", "query:", "names shipped_at"),
    ("ordered_at + INTERVAL 14 DAY", "(SELECT max(ordered_at) FROM t)", "query:", "no subquery"),
    ("role: owner", "role: boss", "team:", "no owner"),
    ("role: steward", "role: owner", "stefan, role: owner", "a second owner"),
    ("value: 15, unit: min", "value: 15, unit: fortnights", "fortnights", "not known"),
    ("value: 90, unit: d", "value: 3, unit: months", "months", "not of one length"),
    ("property: retention", "property: freshness", "value: 90, unit: d", "promised twice"),
    ("value: silver", "value: bronze", "value: bronze", "not one of silver, gold"),
    ("format: csv", "format: xml", "format: xml", "not one of csv"),
    ("timeZone: Europe/Paris", "timeZone: Europe/Pariss", "Pariss", "not a time zone"),
    ("timeZone: Europe/Paris", "timezone: Europe/Paris", "timezone:", "'timezone' is not known here"),
    ("property: partitionBy", "property: partition_by", "partition_by", "did you mean 'partitionBy'"),
    ("source: ordered_at", "source: order_at", "source: order_at", "not a field"),
    ("source: ordered_at", "source: dispatched_at", "source: dispatched_at", "must be required"),
    ("source: ordered_at", "source: region", "source: region", "of type timestamp"),
    ("kind: business_date", "kind: hash", "kind: hash", "16 buckets"),
    ("value: [order_date]", "value: [ordered_date]", "[ordered_date]", "not a field"),
]


@pytest.mark.parametrize(
    ("old", "new", "place", "words"), FAULTS, ids=[f"{old[:25]} -> {new[:25]}" for old, new, _, _ in FAULTS]
)
def test_a_fault_is_found_on_its_line(old, new, place, words):
    text = changed(ORDERS, (old, new))
    found = [(fault.line, fault.reason) for fault in faults_of(text)]
    assert any(line == line_of(text, place) and words in reason for line, reason in found), found


GOLD_FAULTS = [
    ("{dataset: customers}", "{dataset: orders}", "named twice"),
    ("{dataset: customers}", "{dataset: kpi_orders}", "its own input"),
    ("[0, 29]", "[29, 0]", "the smaller one first"),
    ("{column: order_date, from: -29, to: 0}", "some", "expected all"),
    ("{dataset: customers}", "{dataset: customers, dimension: {key: sku, time: ordered_at}}", "fields of this"),
    ("cadence: 2 min", "cadence: soon", "not a duration"),
    ("name: denominator", "name: divisor", "missing here"),
    (
        "- {property: layer, value: gold}",
        "- {property: layer, value: gold}\n  - {property: source, value: {format: csv}}",
        "not a source",
    ),
    (
        "- {property: layer, value: gold}",
        "- {property: layer, value: gold}\n  - {property: transform, value: ../x.sql}",
        "without a folder",
    ),
]


@pytest.mark.parametrize(("old", "new", "words"), GOLD_FAULTS)
def test_faults_of_gold_contracts_are_found(old, new, words):
    assert any(words in fault.reason for fault in faults_of(changed(GOLD, (old, new))))


def test_all_faults_are_told_at_once_in_the_order_of_the_file():
    text = changed(
        ORDERS, ("domain: sales", "domain: 7"), ("logicalType: integer", "logicalType: int"), ("unit: d}", "unit: mo}")
    )
    assert [fault.line for fault in faults_of(text)] == [8, line_of(text, "logicalType: int"), line_of(text, "unit: mo")]


def test_a_message_reads_like_a_compilers():
    with pytest.raises(ContractInvalid, match=r"^orders\.yaml:66:22: 'int' is not one of"):
        odcs.parse(changed(ORDERS, ("logicalType: integer", "logicalType: int")), "orders.yaml")


def test_custom_properties_of_other_tools_are_left_alone():
    text = changed(
        ORDERS,
        (
            "customProperties:\n  - property: layer",
            "customProperties:\n  - {property: dbtModel, value: x}\n  - property: layer",
        ),
    )
    assert odcs.parse(text).layer == "silver"


# -- contracts together ------------------------------------------------------------------------------------------------------


def links(*texts: str) -> list[str]:
    contracts = {contract.dataset: contract for contract in map(odcs.parse, texts)}
    return [fault.reason for contract in contracts.values() for fault in check_links(contract, contracts)]


def test_contracts_that_fit_together_have_no_fault():
    assert links(ORDERS, CUSTOMERS, GOLD) == []


def test_references_and_inputs_that_lead_nowhere_are_named():
    assert any("no contract describes 'customers'" in reason for reason in links(ORDERS))
    assert any(
        "not part of that dataset's key" in reason
        for reason in links(changed(ORDERS, ("customers.customer_id", "customers.email")), CUSTOMERS)
    )
    assert any(
        "does not announce" in reason
        for reason in links(ORDERS, CUSTOMERS, changed(GOLD, ("trigger: order_date", "trigger: ordered_at")))
    )
    assert any(
        "cannot be read by" in reason
        for reason in links(ORDERS, CUSTOMERS, changed(GOLD, ("column: order_date", "column: updated_at")))
    )


def test_a_ring_of_inputs_is_named():
    first = changed(GOLD, ("{dataset: customers}", "{dataset: kpi_other}"))
    second = GOLD.replace("kpi_orders", "kpi_other").replace("{dataset: customers}", "{dataset: kpi_orders}")
    assert any("kpi_orders → kpi_other → kpi_orders" in reason for reason in links(ORDERS, CUSTOMERS, first, second))


# -- shapes ------------------------------------------------------------------------------------------------------------------


def test_the_schema_of_a_record_refuses_shapes_and_leaves_values_to_silver():
    validator = jsonschema.Draft202012Validator(odcs.json_schema(odcs.parse(CUSTOMERS)))
    good = {
        "customer_id": "not a uuid",
        "consent": {"marketing": "maybe"},
        "created_at": None,
        "updated_at": "x",
        "source_seq": "1",
    }
    assert validator.is_valid(good)
    assert validator.is_valid({**good, "unknown": 1})
    for bad in (  # type: ignore[var-annotated]
        {**good, "customer_id": {}},
        {**good, "consent": "yes"},
        {**good, "consent": {}},
        {**good, "created_at": 5},
        {},
        [],
    ):
        assert not validator.is_valid(bad), bad


def test_the_arrow_schema_ends_with_partition_and_origin():
    schema = odcs.arrow_schema(odcs.parse(ORDERS))
    assert schema.names[-3:] == ["order_date", "_bronze_file", "_bronze_row"]
    assert schema.field("total_amount").type == pa.decimal128(18, 2)
    assert schema.field("ordered_at").type == pa.timestamp("us", tz="UTC")
    assert odcs.arrow_schema(odcs.parse(GOLD)).names == ["business_date", "value", "numerator", "denominator"]


# -- whatever people write -----------------------------------------------------------------------------------------------------


@given(st.text(max_size=200))
def test_any_text_is_refused_with_a_place_and_never_crashes(text):
    for fault in faults_of(text):
        assert fault.line >= 1
        assert fault.reason


@given(st.integers(0, len(ORDERS) - 1), st.text(string.printable, max_size=4), st.integers(0, 6))
def test_a_damaged_contract_is_read_or_refused_and_never_crashes(place, inserted, removed):
    text = ORDERS[:place] + inserted + ORDERS[place + removed :]
    try:
        contract = odcs.parse(text)
    except ContractInvalid as error:
        assert error.faults  # noqa: PT017
    else:
        assert contract.fields


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PLACES = ["schema", "team", "slaProperties", "customProperties", "description", "version", "dataProduct"]


@given(st.sampled_from(PLACES), JUNK)
def test_wrong_kinds_anywhere_are_faults_and_never_crashes(place, junk):
    import json

    document = {**odcs.parse(ORDERS).document, place: junk}
    try:
        odcs.parse(json.dumps(document))
    except ContractInvalid as error:
        assert error.faults  # noqa: PT017


@given(st.integers(1, 10_000), st.sampled_from(["s", "min", "h", "d", "w"]))
def test_durations_read_with_and_without_a_separate_unit(amount, unit):
    assert values.seconds(f"{amount} {unit}") == values.seconds(amount, unit) == values.seconds(f"{amount}{unit}")


# -- edits -------------------------------------------------------------------------------------------------------------------


def test_an_edit_touches_only_the_lines_it_is_about():
    before, after = ORDERS.splitlines(), edited(ORDERS, Edit(sla={"freshness": (10, "min")}), version="1.1.0").splitlines()
    different = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert different == [
        ("version: 1.0.0", "version: 1.1.0"),
        ("  - {property: freshness, value: 15, unit: min}", "  - {property: freshness, value: 10, unit: min}"),
    ]


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_an_owner_writes_the_contract_stays_readable(purpose, usage):
    try:
        contract = odcs.parse(edited(ORDERS, Edit(purpose=purpose, usage=usage), version="1.0.1"))
    except ContractInvalid as error:
        assert any("U+" in fault.reason for fault in error.faults)  # noqa: PT017  (control characters, which YAML forbids)
    else:
        assert contract.fields == odcs.parse(ORDERS).fields
