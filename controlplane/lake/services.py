"""The lake's public face: engines, tables, the object store and leases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path

import pyarrow as pa
from django.conf import settings

from . import tables
from .engines import staging
from .engines.base import Engine, LakeConfig, Session, Written
from .leases import Lease, alive, check, keep, lease, reading
from .store import ObjectStore, open_store
from .tables import Commit, Maintained

__all__ = [
    "Commit",
    "Engine",
    "LakeConfig",
    "Lease",
    "Maintained",
    "ObjectStore",
    "Session",
    "Written",
    "alive",
    "arrow_content",
    "check",
    "config",
    "content_hash",
    "engine",
    "keep",
    "last_commit",
    "lease",
    "maintain",
    "reading",
    "rows_content",
    "staging_remove",
    "store",
    "table_exists",
    "table_files",
    "table_partitions",
    "table_schema",
    "table_uri",
    "table_version",
]


def config() -> LakeConfig:
    """Place and limits of the lake, from the settings."""
    return _config(
        str(settings.LAKE_URL).rstrip("/"),
        Path(settings.HOME) / "tmp" / "engine",
        settings.ENV.engine_memory_mb,
        settings.ENV.engine_threads,
        settings.ENV.spark_remote,
    )


@cache
def _config(root: str, temp: Path, memory_mb: int, threads: int, spark_remote: str | None) -> LakeConfig:
    return LakeConfig(root=root, temp=temp, memory_mb=memory_mb, threads=threads, spark_remote=spark_remote)


def engine(name: str | None = None, *, at: LakeConfig | None = None) -> Engine:
    """The engine by name ("duckdb" or "spark"), default that of the settings; ``at`` another lake than that of the settings."""
    chosen = name or settings.ENV.engine
    place = at or config()
    if chosen == "duckdb":
        from .engines.duck import DuckEngine

        return DuckEngine(place)
    if chosen == "spark":
        from .engines.spark import SparkEngine

        return SparkEngine(place)
    raise ValueError(f"there is no engine {chosen!r}; engines are duckdb and spark")


def staging_remove(older_than: timedelta) -> int:
    """Remove what Spark sessions that were killed left in the lake's staging folder; how many sessions."""
    return staging.remove_older(config(), older_than.total_seconds())


def store() -> ObjectStore:
    """The object store of raw drops: the lake's own root, so keys start with ``bronze/…``."""
    return _store(config().root)


@cache
def _store(root: str) -> ObjectStore:
    return open_store(root)


def table_exists(table: str, *, at: LakeConfig | None = None) -> bool:
    return tables.table_exists(at or config(), table)


def table_version(table: str) -> int:
    """The newest version (0-based); TableNotFound."""
    return tables.table_version(config(), table)


def table_uri(table: str) -> str:
    return config().uri(table)


def table_schema(table: str) -> pa.Schema:
    """The table's Arrow schema; TableNotFound."""
    return tables.table_schema(config(), table)


def table_partitions(table: str, *, at: LakeConfig | None = None) -> list[str]:
    """The table's partition values as text, sorted."""
    return tables.partitions(at or config(), table)


def table_files(table: str, *, version: int) -> list[str]:
    """Data files of a version, relative to the table's folder; TableNotFound."""
    return tables.files_of(config(), table, version)


def last_commit(table: str) -> Commit:
    """Newest version and the metadata that its writer left: tells a restarted step that its commit had happened."""
    return tables.last_commit(config(), table)


def content_hash(table: str, columns: Sequence[str] | None = None, *, at: LakeConfig | None = None) -> str:
    """Order-independent SHA-256 of a table's rows, the same whichever engine wrote them."""
    return tables.content_hash(at or config(), table, columns)


def rows_content(
    table: str, *, schema: pa.Schema, where: str | None = None, version: int | None = None, at: LakeConfig | None = None
) -> tuple[int, str]:
    """(rows, content hash) of a part of a table, now or as of a version; see ``tables.rows_of``."""
    return tables.rows_of(at or config(), table, schema=schema, where=where, version=version)


def arrow_content(rows: pa.Table) -> tuple[int, str]:
    """(rows, content hash) of rows at hand, by the rule of ``content_hash``."""
    return tables.rows_of_arrow(config(), rows)


def maintain(table: str, retention: timedelta, *, holder: str = "maintenance") -> Maintained:
    """Compact, vacuum, checkpoint and clean the log under the table's lease; see ``tables.maintain``."""
    return tables.maintain(config(), table, retention, holder=holder)
