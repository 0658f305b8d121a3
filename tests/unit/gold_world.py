"""Gold of a demo world without the pipeline: Silver as the ground truth reads it, then every SQL file in order."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from catalog.domain.contract import Contract, Field, Partition
from pipeline.demo import truth as ground_truth
from pipeline.demo.files import Drop
from pipeline.demo.truth_rules import DATASETS
from tests.unit.gold_harness import contracts, gold_contracts, run_table, table

PARIS = ZoneInfo("Europe/Paris")


def silver_tables(drops: Sequence[Drop]) -> dict[str, pa.Table]:
    """Silver table by dataset; tokens are the identifiers written backwards."""
    tables: dict[str, pa.Table] = {}
    keys: dict[str, set[str]] = {}
    for spec in DATASETS:
        mine = [drop for drop in drops if drop.dataset == spec.name]
        _, rows = ground_truth._silver(spec, mine, keys, [])
        keys[spec.name] = {key[0] for key in rows}
        contract = contracts()[spec.name]
        tables[spec.name] = table(spec.name, (_silver_row(contract, row) for row in rows.values()))
    return tables


def _silver_row(contract: Contract, row: dict[str, Any]) -> dict[str, Any]:
    found = {one.name: _value(one, row.get(one.source_name)) for one in contract.drop_fields}
    for one in contract.derived_fields:
        origin = found[str(one.token_of)]
        found[one.name] = origin[::-1] if origin else None
    if contract.partition is not None:
        found[contract.partition.column] = _partition_value(contract.partition, found)
    return found


def _value(one: Field, value: Any) -> Any:
    return datetime.fromtimestamp(value, UTC) if one.type == "timestamp" and value is not None else value


def _partition_value(partition: Partition, row: dict[str, Any]) -> Any:
    source = row[partition.source]
    if partition.kind == "hash":
        return hashlib.md5(source.encode(), usedforsecurity=False).hexdigest()[0]
    return source.astimezone(PARIS).date() if partition.kind == "business_date" else source


def in_order() -> list[Contract]:
    """Gold contracts, upstream first."""
    left = {contract.dataset: contract for contract in gold_contracts()}
    found: list[Contract] = []
    while left:
        ready = sorted(name for name, one in left.items() if not {given.dataset for given in one.inputs} & set(left))
        assert ready, f"a ring among {sorted(left)}"
        found += [left.pop(name) for name in ready]
    return found


def possible_scope(contract: Contract, first: date, last: date) -> list[Any] | None:
    """Every partition that a world between two days can fill."""
    if contract.partition is None:
        return None
    if contract.partition.kind == "hash":
        return list("0123456789abcdef")
    every = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    return sorted({one.replace(day=1) for one in every}) if contract.partition.kind == "month" else every


def cut(contract: Contract, tables: dict[str, pa.Table], outputs: Iterable[Any]) -> dict[str, pa.Table]:
    """The inputs of some output partitions, cut to the windows of the contract, as the runner registers them."""
    found = {}
    for one in contract.inputs:
        given = tables[one.dataset]
        if one.read != "all":
            column, low, high = one.read
            if low == high == 0:
                wanted = set(outputs)
            else:
                wanted = {value + timedelta(days=offset) for value in outputs for offset in range(low, high + 1)}
            kind = given.schema.field(column).type
            given = given.filter(pc.is_in(given[column], value_set=pa.array(sorted(wanted), kind)))
        found[one.dataset] = given
    return found


def gold_tables(silver: dict[str, pa.Table], first: date, last: date, as_of: datetime) -> dict[str, pa.Table]:
    """Silver and every Gold table, each computed once over everything."""
    tables = dict(silver)
    for contract in in_order():
        inputs = {one.dataset: tables[one.dataset] for one in contract.inputs}
        tables[contract.dataset] = run_table(contract.dataset, inputs, possible_scope(contract, first, last), as_of=as_of)
    return tables


def bag(rows: pa.Table) -> Counter[tuple[Any, ...]]:
    """Rows as a multiset: two tables are equal when their bags are."""
    return Counter(tuple(row.values()) for row in rows.to_pylist())
