"""Set-wise writes: one statement per table and batch, arrays unnested on the server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg

# psycopg's own cursor: parameters are bound by the server, arrays travel in binary (see ingest).
Cursor = psycopg.Cursor[Any]
Columns = Mapping[str, tuple[str, Sequence[Any]]]


def upsert(
    cursor: Cursor,
    table: str,
    columns: Columns,
    *,
    key: str,
    update: str,
    where: str = "",
    returning: str = "",
    casts: Mapping[str, str] | None = None,
    joined: tuple[str, str] | None = None,
) -> list[Any]:
    """INSERT … ON CONFLICT of many rows; no rows, no statement. Returns what ``returning`` names.

    ``columns``: name → (PostgreSQL type, values); ``casts``: columns whose values arrive as text of another type (unnest would
    flatten an array of arrays); ``joined``: a column taken from a joined table, as (column, join). In ``update`` and ``where``
    the present row is ``t``, the new one ``excluded``. SQL fragments are written in this package; values are parameters.
    """
    if not next(iter(columns.values()))[1]:
        return []
    casts = casts or {}
    names = ", ".join(columns)
    picked = ", ".join(f"i.{name}::{casts[name]}" if name in casts else f"i.{name}" for name in columns)
    arrays = ", ".join(f"%b::{kind}[]" for kind, _ in columns.values())
    extra, join = joined or ("", "")
    statement = (
        f"WITH input AS (SELECT * FROM unnest({arrays}) AS i({names}))"  # noqa: S608
        f" INSERT INTO {table} AS t ({names}{f', {extra}' if extra else ''})"
        f" SELECT {picked}{f', {join.split()[2]}.{extra}' if extra else ''} FROM input i {join}"
        f" ON CONFLICT ({key}) DO {f'UPDATE SET {update}' if update else 'NOTHING'}"
    )
    if where:
        statement += f" WHERE {where}"
    if returning:
        statement += f" RETURNING {returning}"
    cursor.execute(statement, [list(values) for _, values in columns.values()])
    return cursor.fetchall() if returning else []


def last_writer(prefix: str, values: Iterable[str], *, rank: Sequence[str] = ()) -> str:
    """SET clauses of a last-writer register: its values change together, when the new rank is higher."""
    marks = list(rank) or [f"{prefix}_time", f"{prefix}_identity"]
    return ", ".join(f"{name} = CASE WHEN {newer(marks)} THEN excluded.{name} ELSE t.{name} END" for name in [*values, *marks])


def newer(marks: Sequence[str]) -> str:
    """Whether the new row outranks the present one; a register that was never written loses to any."""
    new, old = (", ".join(f"{side}.{name}" for name in marks) for side in ("excluded", "t"))
    return f"(excluded.{marks[0]} IS NOT NULL AND (t.{marks[0]} IS NULL OR ({new}) > ({old})))"
