"""What PostgreSQL serves of a dataset, measured with the same rule as tables of the lake."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from django.db import connection
from psycopg import sql

from catalog.domain.contract import Contract
from controlplane.lake import services as lake
from pipeline.selectors_reproduce import contract_at
from pipeline.services.gold import gold_schema
from pipeline.services.serving import SCHEMA


def served_content(dataset: str, partitions: Sequence[str] | None, version: str) -> tuple[int, str]:
    """(rows, content hash) of the served rows of partitions (None: all) in the columns of a contract version."""
    contract = contract_at(dataset, version)
    schema = gold_schema(contract)
    found = _rows(contract, schema, partitions)
    return lake.arrow_content(found) if found.num_rows else (0, "")


def figure_served(dataset: str, day: str) -> tuple[Any, Any, Any] | None:
    """Value, numerator and denominator that the served table of a KPI holds for a day."""
    query = sql.SQL("SELECT value, numerator, denominator FROM {} WHERE business_date = %s")
    with connection.cursor() as cursor:
        if not _exists(cursor, dataset):
            return None
        cursor.execute(query.format(sql.Identifier(SCHEMA, dataset)), [day])
        row = cursor.fetchone()
    return (row[0], row[1], row[2]) if row else None


def _exists(cursor: Any, dataset: str) -> bool:
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [f'"{SCHEMA}"."{dataset}"'])
    return bool(cursor.fetchone()[0])


def _rows(contract: Contract, schema: pa.Schema, partitions: Sequence[str] | None) -> pa.Table:
    columns = sql.SQL(", ").join(map(sql.Identifier, schema.names))
    query = sql.SQL("SELECT {} FROM {}").format(columns, sql.Identifier(SCHEMA, contract.dataset))
    values: list[Any] = []
    if contract.partition is not None and partitions is not None:
        cast = sql.SQL("text[]" if contract.partition.kind == "hash" else "date[]")
        column = sql.Identifier(contract.partition.column)
        query = sql.SQL("{} WHERE {} = ANY(%s::{})").format(query, column, cast)
        values = [list(partitions)]
    with connection.cursor() as cursor:
        if not _exists(cursor, contract.dataset):
            return schema.empty_table()
        cursor.execute(query, values)
        rows = cursor.fetchall()
    cells = zip(*rows, strict=True) if rows else [[] for _ in schema.names]
    arrays = [pa.array([_plain(cell) for cell in column], field.type) for column, field in zip(cells, schema, strict=True)]
    return pa.table(arrays, schema=schema)


def _plain(cell: Any) -> Any:
    return cell.astimezone(UTC) if isinstance(cell, datetime) else cell
