"""A hash of rows as a bag: the same for any order, file layout or engine that wrote them."""
# ruff: noqa: S608 - names go into SQL through identifier()

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from .engines.base import identifier

if TYPE_CHECKING:
    from .engines.duck import DuckSession


def rows_hash(session: DuckSession, name: str, schema: pa.Schema, columns: Sequence[str] | None = None) -> tuple[int, str]:
    """(rows, SHA-256 hex) of what is registered under ``name``: names, types and values of ``columns`` (default all).

    Measured by DuckDB whoever wrote, so that every engine's rows are measured with one rule.
    """
    names = sorted(columns if columns is not None else schema.names)
    # Lengths keep ('ab','c') apart from ('a','bc'); NULL is no text.
    parts = " || ".join(
        f"coalesce(length({_text(one, schema)})::VARCHAR || ':' || {_text(one, schema)}, 'N') || ';'" for one in names
    )
    rows = session.connection.execute(
        "SELECT count(*), coalesce(sum(md5_number_lower(r)), 0), coalesce(sum(md5_number_upper(r)), 0) "
        f"FROM (SELECT {parts} AS r FROM {identifier(name)})"
    ).fetchall()
    shape = ",".join(f"{one}:{schema.field(one).type}" for one in names)
    return int(rows[0][0]), hashlib.sha256(f"{shape}|{rows[0][0]}|{rows[0][1]}|{rows[0][2]}".encode()).hexdigest()


def _text(name: str, schema: pa.Schema) -> str:
    quoted = identifier(name)
    if pa.types.is_timestamp(schema.field(name).type):
        return f"epoch_us({quoted})::VARCHAR"
    return f"{quoted}::VARCHAR"
