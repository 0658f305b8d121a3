"""Every Gold SQL file gives the same rows on Spark (Sail) as on DuckDB, over a demo world."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from pipeline.demo.world import World
from tests.lake_support import Pair, pair
from tests.unit.gold_harness import contracts, gold_contracts, sql_of
from tests.unit.gold_world import gold_tables, possible_scope, silver_tables

pytestmark = pytest.mark.spark

END = date(2026, 10, 27)  # two days after the clocks went back
DAYS = 10
FIRST, LAST = END - timedelta(days=DAYS + 80), END + timedelta(days=10)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(5, DAYS, 40, "steady", END)
    made.write(tmp_path_factory.mktemp("world"), truth=False)
    return made


@pytest.fixture(scope="module")
def tables(world: World) -> dict[str, pa.Table]:
    return gold_tables(silver_tables(world.drops), FIRST, LAST, world.as_of)


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory, tables: dict[str, pa.Table]) -> Iterator[Pair]:
    with pair(tmp_path_factory.mktemp("pair")) as found:
        for name in {one.dataset for contract in gold_contracts() for one in contract.inputs}:
            found.register(name, tables[name])
        yield found


@pytest.mark.parametrize("dataset", [contract.dataset for contract in gold_contracts()])
def test_both_engines_give_the_same_rows(dataset: str, engines: Pair, tables: dict[str, pa.Table], world: World) -> None:
    contract = contracts()[dataset]
    scope = possible_scope(contract, FIRST, LAST)
    if contract.partition is not None:
        engines.register("scope", pa.table({contract.partition.column: pa.array(scope, contract.partition.arrow_type)}))
    sql = sql_of(dataset)
    params = {"as_of": world.as_of} if "$as_of" in sql else {}
    found = engines.sessions["spark"].fetch(sql, params=params)
    assert found.num_rows
    assert found.column_names == tables[dataset].column_names
    assert plain_bag(found) == plain_bag(tables[dataset])


def plain_bag(rows: pa.Table) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(_plain(value) for value in row.values()) for row in rows.to_pylist())


def _plain(value: Any) -> Any:
    return value.normalize() if isinstance(value, Decimal) else value
