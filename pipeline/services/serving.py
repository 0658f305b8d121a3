"""Publishing Gold to PostgreSQL: changed partitions are replaced inside the same table, in the step's own transaction.

Views, grants and row-level policies on the tables hold, because the tables themselves stay.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as pacsv
from django.db import connection
from django.utils import timezone
from psycopg import sql

from catalog.domain.contract import Contract, Field
from pipeline.models import KpiValue

if TYPE_CHECKING:
    from pipeline.services.steps import StepContext

SCHEMA = "gold"
_TYPES = {
    "string": "text",
    "integer": "bigint",
    "timestamp": "timestamptz",
    "date": "date",
    "boolean": "boolean",
    "number": "double precision",
}


def publish(ctx: StepContext, rows: pa.Table, outputs: list[str] | None) -> None:
    """Replace the output partitions (None: everything) of the served table with ``rows``."""
    contract = ctx.contract
    table = sql.Identifier(SCHEMA, contract.dataset)
    with connection.cursor() as cursor:
        table_ensure(cursor, contract)
        if outputs is None or contract.partition is None:
            cursor.execute(sql.SQL("DELETE FROM {}").format(table))
        else:
            column = sql.Identifier(contract.partition.column)
            cast = sql.SQL("text[]" if contract.partition.kind == "hash" else "date[]")
            cursor.execute(sql.SQL("DELETE FROM {} WHERE {} = ANY(%s::{})").format(table, column, cast), [outputs])
        if rows.num_rows:
            columns = sql.SQL(", ").join(map(sql.Identifier, rows.column_names))
            statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(table, columns)
            with cursor.copy(statement) as copy:
                copy.write(_csv(rows))


def table_ensure(cursor: Any, contract: Contract) -> None:
    """Create the served table, or add the columns that a newer contract has."""
    table = sql.Identifier(SCHEMA, contract.dataset)
    columns = [sql.SQL("{} {}").format(sql.Identifier(one.name), sql.SQL(_type(one))) for one in contract.fields]
    cursor.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s",
        [SCHEMA, contract.dataset],
    )
    present = {row[0] for row in cursor.fetchall()}
    if present >= set(contract.field_names):
        return
    cursor.execute("SELECT pg_advisory_xact_lock(hashtext('touchstone.serving'))")  # two first publishers at once
    cursor.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(SCHEMA)))
    cursor.execute(sql.SQL("CREATE TABLE IF NOT EXISTS {} ({})").format(table, sql.SQL(", ").join(columns)))
    for definition in columns:
        cursor.execute(sql.SQL("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {}").format(table, definition))
    if contract.partition is not None:
        name = sql.Identifier(f"{contract.dataset}_{contract.partition.column}"[:60])
        cursor.execute(
            sql.SQL("CREATE INDEX IF NOT EXISTS {} ON {} ({})").format(name, table, sql.Identifier(contract.partition.column))
        )


def _type(one: Field) -> str:
    return (
        f"numeric({one.precision or 18},{2 if one.scale is None else one.scale})" if one.type == "decimal" else _TYPES[one.type]
    )


def _csv(rows: pa.Table) -> bytes:
    buffer = io.BytesIO()
    text = pa.table({name: _plain(rows[name]) for name in rows.column_names})
    pacsv.write_csv(text, buffer, pacsv.WriteOptions(include_header=False, quoting_style="needed"))
    return buffer.getvalue()


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Arrow names zones in a way PostgreSQL does not read; UTC without zone means the session's zone, which is UTC."""
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us"))
    return column


def kpi_values_save(ctx: StepContext, rows: pa.Table) -> None:
    """Append a KPI's figures where they differ from the newest known ones."""
    contract = ctx.contract
    assert contract.kpi is not None
    key = contract.kpi.key
    found = rows.to_pylist()
    newest = {
        value.business_date: value
        for value in KpiValue.objects.filter(kpi=key, business_date__in=[row["business_date"] for row in found])
        .order_by("business_date", "-id")
        .distinct("business_date")
    }
    now = timezone.now()
    KpiValue.objects.bulk_create(
        KpiValue(
            kpi=key,
            business_date=row["business_date"],
            value=row["value"],
            numerator=row["numerator"],
            denominator=row["denominator"],
            as_of=ctx.run.as_of,
            computed_at=now,
            step=ctx.step,
        )
        for row in found
        if _differs(newest.get(row["business_date"]), row)
    )


def _differs(before: KpiValue | None, row: dict[str, Any]) -> bool:
    if before is None:
        return True
    return (before.value, before.numerator, before.denominator) != (row["value"], row["numerator"], row["denominator"])
