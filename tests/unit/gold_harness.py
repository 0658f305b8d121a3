"""Runs one Gold SQL file in plain DuckDB over rows given as dictionaries: inputs by name, ``scope`` and ``$as_of``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from catalog.domain import odcs
from catalog.domain.contract import Contract
from catalog.domain.shapes import arrow_schema
from controlplane.lake.portable import render

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = ROOT / "pipeline" / "contracts"
GOLD_SQL = ROOT / "pipeline" / "sql" / "gold"
AS_OF = datetime(2026, 11, 20, 23, tzinfo=UTC)
# Two customers, an order and a parcel of each, for tests that need names only.
TOKEN = "0000aaaa-0000-0000-0000-00000000000a"
OTHER = "0000bbbb-0000-0000-0000-00000000000b"

Row = dict[str, Any]


@cache
def contracts() -> dict[str, Contract]:
    """Every contract of the repository, by dataset."""
    found = [odcs.parse(path.read_bytes(), path.name) for path in sorted(CONTRACTS.glob("*.odcs.yaml"))]
    return {contract.dataset: contract for contract in found}


def gold_contracts() -> list[Contract]:
    return [contract for contract in contracts().values() if contract.layer == "gold"]


def sql_of(dataset: str) -> str:
    return (GOLD_SQL / str(contracts()[dataset].transform)).read_text()


def table(dataset: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows as the dataset's Arrow table; columns that a row leaves out are NULL, unknown ones are a mistake of the test."""
    schema = arrow_schema(contracts()[dataset])
    given = list(rows)
    unknown = {name for row in given for name in row} - set(schema.names)
    assert not unknown, f"{dataset} has no {unknown}"
    return pa.table([pa.array([row.get(one.name) for row in given], one.type) for one in schema], schema=schema)


def run(
    dataset: str,
    inputs: Mapping[str, Sequence[Mapping[str, Any]] | pa.Table],
    scope: Iterable[Any] | None = None,
    *,
    as_of: datetime = AS_OF,
) -> list[Row]:
    """The output rows; inputs that are not given are empty. Fails when a column's type is not the contract's."""
    rows: list[Row] = run_table(dataset, inputs, scope, as_of=as_of).to_pylist()
    return rows


def run_table(
    dataset: str,
    inputs: Mapping[str, Sequence[Mapping[str, Any]] | pa.Table],
    scope: Iterable[Any] | None = None,
    *,
    as_of: datetime = AS_OF,
) -> pa.Table:
    contract = contracts()[dataset]
    names = {one.dataset for one in contract.inputs}
    assert set(inputs) <= names, f"{dataset} does not read {set(inputs) - names}"
    sql = sql_of(dataset)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name in names:
            rows = inputs.get(name, ())
            connection.register(name, rows if isinstance(rows, pa.Table) else table(name, rows))
        if contract.partition is not None:
            kind = contract.partition.arrow_type
            connection.register("scope", pa.table({contract.partition.column: pa.array(list(scope or ()), kind)}))
        params = {"as_of": as_of} if "$as_of" in sql else {}
        found = connection.sql(render(sql, "duckdb", params)).to_arrow_table()
    wanted = arrow_schema(contract)
    assert found.schema.names == wanted.names, f"{dataset}: columns of the SQL and of the contract"
    assert found.schema.types == wanted.types, f"{dataset}: types of the SQL and of the contract"
    return found


def at(text: str) -> datetime:
    """``2026-11-20 08:30`` (UTC) as an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def day(text: str) -> date:
    return date.fromisoformat(text)


def days(first: str, last: str) -> list[date]:
    length = (day(last) - day(first)).days
    return [day(first) + timedelta(days=offset) for offset in range(length + 1)]
