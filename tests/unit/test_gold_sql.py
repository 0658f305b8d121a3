"""Every Gold SQL file: portable, typed as its contract says, explained, repeatable, with lineage of each column."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest

from catalog.domain.contract import Contract
from catalog.domain.shapes import arrow_schema
from controlplane.lake.portable import ColumnLineage, check, column_lineage
from tests.unit.gold_harness import GOLD_SQL, contracts, gold_contracts, run_table, sql_of

GOLD = [contract.dataset for contract in gold_contracts()]
CONSTANTS = {("kpi_net_revenue", "denominator")}


def lineage(contract: Contract) -> dict[str, ColumnLineage]:
    schemas = {one.dataset: arrow_schema(contracts()[one.dataset]) for one in contract.inputs}
    if contract.partition is not None:
        schemas["scope"] = pa.schema([(contract.partition.column, contract.partition.arrow_type)])
    return column_lineage(sql_of(contract.dataset), schemas)


def test_every_contract_has_its_sql_and_every_sql_its_contract() -> None:
    assert sorted(path.stem for path in GOLD_SQL.glob("*.sql")) == sorted(GOLD)


@pytest.mark.parametrize("dataset", GOLD)
def test_sql_keeps_to_the_portable_subset(dataset: str) -> None:
    check(sql_of(dataset))


@pytest.mark.parametrize("dataset", GOLD)
def test_sql_without_any_input_rows_gives_the_columns_and_types_of_the_contract(dataset: str) -> None:
    rows = run_table(dataset, {})
    assert rows.num_rows == (1 if dataset == "dim_fx_rate" else 0)


@pytest.mark.parametrize("dataset", GOLD)
def test_sql_opens_with_its_grain_and_its_inputs(dataset: str) -> None:
    head = re.match(r"(--[^\n]*\n)+", sql_of(dataset))
    assert head is not None
    assert head[0].startswith(f"-- {dataset}: ")
    text = " ".join(line.removeprefix("--").strip() for line in head[0].splitlines())
    named = text.partition("Inputs: ")[2]
    assert [one.dataset for one in contracts()[dataset].inputs if one.dataset not in named] == []


@pytest.mark.parametrize("dataset", GOLD)
def test_every_output_column_has_sources_or_is_declared_constant(dataset: str) -> None:
    found = lineage(contracts()[dataset])
    assert list(found) == list(contracts()[dataset].field_names)
    for name, sources in found.items():
        assert sources.constant is ((dataset, name) in CONSTANTS), name


@pytest.mark.parametrize("dataset", GOLD)
def test_every_input_of_the_contract_is_read(dataset: str) -> None:
    used = {item.dataset for one in lineage(contracts()[dataset]).values() for item in (*one.direct, *one.indirect)}
    assert used - {"scope"} == {one.dataset for one in contracts()[dataset].inputs}


@pytest.mark.parametrize("dataset", [contract.dataset for contract in gold_contracts() if contract.partition])
def test_outputs_are_held_to_the_scope(dataset: str) -> None:
    column = contracts()[dataset].partition.column
    sources = lineage(contracts()[dataset])[column].indirect
    assert any(item.dataset == "scope" and item.subtype == "JOIN" for item in sources)


def test_only_the_fulfilment_sla_depends_on_the_time_it_is_computed() -> None:
    assert [dataset for dataset in GOLD if "$" in re.sub(r"--[^\n]*", "", sql_of(dataset))] == ["kpi_fulfilment_sla"]


def test_no_direct_identifier_of_a_customer_reaches_gold() -> None:
    personal = {one.name for one in contracts()["customers"].fields if one.pii and not one.derived}
    assert {"email", "customer_id", "birth_date"} <= personal
    for contract in gold_contracts():
        assert not personal & set(contract.field_names), contract.dataset
        for name, sources in lineage(contract).items():
            assert not {item.field for item in sources.direct if item.dataset == "customers"} & personal, (
                contract.dataset,
                name,
            )


def test_a_gold_column_that_shows_a_token_says_that_it_is_personal() -> None:
    for contract in gold_contracts():
        for name, sources in lineage(contract).items():
            if any(item.field == "customer_token" and item.subtype == "IDENTITY" for item in sources.direct):
                field = contract.field(name)
                assert field.pii == "user.unique_id.pseudonymous", (contract.dataset, name)
                assert field.classification == "high", (contract.dataset, name)
