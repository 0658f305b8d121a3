"""A second set of the projected tables, in a schema of its own: filled beside the one that readers see, then put in its place.

The writing code names tables without a schema, so it fills whichever set the search path finds first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from lineage.models import PROJECTED
from lineage.services.upsert import Cursor

__all__ = ["SHADOW", "SNAPSHOT", "TABLES", "exclusive", "exists", "filled", "keep", "make", "rows", "swap"]

SHADOW, SNAPSHOT, OLD = "lineage_shadow", "lineage_snapshot", "lineage_old"
TABLES = tuple(model._meta.db_table for model in PROJECTED)


@contextmanager
def exclusive() -> Iterator[bool]:
    """Held by one rebuild or retention at a time, for the life of the session; False when another has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext('lineage.shadow'))")
        held = bool(cursor.fetchone()[0])
    try:
        yield held
    finally:
        if held and not connection.needs_rollback and connection.connection is not None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(hashtext('lineage.shadow'))")


@contextmanager
def filled(cursor: Cursor) -> Iterator[None]:
    """Inside, statements without a schema meet the shadow's tables, and the others' where it has none of that name."""
    cursor.execute("SELECT current_setting('search_path')")
    (before,) = cursor.fetchone() or ("public",)
    cursor.execute("SELECT set_config('search_path', %b || ', ' || %b, true)", [SHADOW, before])
    yield
    # Not in a finally: after an error the rollback restores it, and the transaction would refuse the statement.
    cursor.execute("SELECT set_config('search_path', %b, true)", [before])


def exists(cursor: Cursor, schema: str) -> bool:
    cursor.execute("SELECT to_regnamespace(%b) IS NOT NULL", [schema])
    return bool((cursor.fetchone() or (False,))[0])


def make(cursor: Cursor) -> None:
    """Empty tables of the same shape in the shadow, or those of the snapshot; what a killed attempt left there is dropped."""
    home = _home(cursor)
    cursor.execute(f"DROP SCHEMA IF EXISTS {SHADOW} CASCADE")
    cursor.execute(f"CREATE SCHEMA {SHADOW}")
    copied = exists(cursor, SNAPSHOT)
    for table in TABLES:
        cursor.execute(f"CREATE TABLE {SHADOW}.{table} (LIKE {home}.{table} INCLUDING ALL EXCLUDING INDEXES)")
        if copied:
            _copy(cursor, table)
        _indexes(cursor, table, home)


def _copy(cursor: Cursor, table: str) -> None:
    cursor.execute(
        "SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns"
        " WHERE table_schema = %b AND table_name = %b",
        [SNAPSHOT, table],
    )
    (names,) = cursor.fetchone() or (None,)
    if names:
        cursor.execute(f"INSERT INTO {SHADOW}.{table} ({names}) SELECT {names} FROM {SNAPSHOT}.{table}")  # noqa: S608


def _indexes(cursor: Cursor, table: str, home: str) -> None:
    """The same indexes under the same names, so that a later migration finds them wherever the table came from."""
    cursor.execute(
        "SELECT c.relname, pg_get_indexdef(i.indexrelid), i.indisprimary"
        " FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = %b::regclass ORDER BY c.relname",
        [f"{home}.{table}"],
    )
    for name, definition, primary in cursor.fetchall():
        cursor.execute(definition.replace(f" ON {home}.{table} ", f" ON {SHADOW}.{table} ").encode())
        if primary:
            cursor.execute(f'ALTER TABLE {SHADOW}.{table} ADD CONSTRAINT "{name}" PRIMARY KEY USING INDEX "{name}"')


def swap(cursor: Cursor) -> None:
    """Put the shadow's tables in the place of the others, which are dropped. Readers wait for the length of a catalogue update.

    Gives up (``lock_timeout``) before PostgreSQL would call two waiting sides a deadlock and end a reader.
    """
    home = _home(cursor)
    cursor.execute("SET LOCAL lock_timeout = '800ms'")
    cursor.execute(f"DROP SCHEMA IF EXISTS {OLD} CASCADE")
    cursor.execute(f"CREATE SCHEMA {OLD}")
    cursor.execute(f"LOCK TABLE {', '.join(f'{home}.{table}' for table in TABLES)} IN ACCESS EXCLUSIVE MODE")
    for table in TABLES:
        cursor.execute(f"ALTER TABLE {home}.{table} SET SCHEMA {OLD}")
        cursor.execute(f"ALTER TABLE {SHADOW}.{table} SET SCHEMA {home}")
    cursor.execute(f"DROP SCHEMA {OLD} CASCADE")
    cursor.execute(f"DROP SCHEMA {SHADOW} CASCADE")
    cursor.execute("SET LOCAL lock_timeout = 0")


def keep(cursor: Cursor) -> None:
    """The shadow becomes the snapshot, in place of the one there was."""
    cursor.execute(f"DROP SCHEMA IF EXISTS {SNAPSHOT} CASCADE")
    cursor.execute(f"ALTER SCHEMA {SHADOW} RENAME TO {SNAPSHOT}")


def rows(cursor: Cursor, schema: str) -> dict[str, int]:
    """How many rows each table of a set holds."""
    found: dict[str, int] = {}
    for table in TABLES:
        cursor.execute(f"SELECT count(*) FROM {schema}.{table}")  # noqa: S608
        found[table] = int((cursor.fetchone() or (0,))[0])
    return found


def _home(cursor: Cursor) -> str:
    """The schema in which the tables live that readers see."""
    cursor.execute(
        "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = %b::regclass",
        ["lineage_event"],
    )
    return str((cursor.fetchone() or ("public",))[0])
