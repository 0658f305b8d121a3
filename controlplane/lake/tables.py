"""Lake tables as wholes: what there is, what it holds, and its upkeep."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from . import leases
from .engines import delta
from .engines.base import LakeConfig
from .engines.duck import DuckEngine
from .errors import CommitConflict, SnapshotGone, TableNotFound
from .hashing import rows_hash

# What Delta itself writes into a commit.
_COMMIT_FIELDS = {
    "timestamp", "operation", "operationParameters", "operationMetrics", "engineInfo", "clientVersion", "version",
    "readVersion",
    "isolationLevel", "isBlindAppend", "userMetadata", "txnId", "userId", "userName", "notebook", "clusterId",
}  # fmt: skip
COMPACT_TARGET_BYTES = 64 * 2**20
WAIT_FOR_READERS_S = 60.0


@dataclass(frozen=True)
class Commit:
    """The newest commit of a table: its version and the metadata that its writer left."""

    version: int
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Maintained:
    """What upkeep did: files merged into how many, files physically removed, the version after it; ``waited_out``: readers
    were still busy, so nothing was removed this time."""

    table: str
    version: int
    files_merged: int
    files_made: int
    files_removed: int
    waited_out: bool


def table_exists(config: LakeConfig, table: str) -> bool:
    return delta.table_open_or_none(config, table) is not None


def rows_of(
    config: LakeConfig, table: str, *, schema: pa.Schema, where: str | None = None, version: int | None = None
) -> tuple[int, str]:
    """(rows, content hash) of what ``where`` leaves of a table, now or as of a version; ``schema`` names the columns measured.

    TableNotFound; SnapshotGone when the version is not kept any more.
    """
    with DuckEngine(config).session() as session:
        if session.register_table("content", table, where=where, schema=schema, version=version) is None:
            raise TableNotFound(f"there is no table {table}")
        try:
            return rows_hash(session, "content", schema)
        except duckdb.IOException as error:
            raise SnapshotGone(str(error).splitlines()[0]) from error


def rows_of_arrow(config: LakeConfig, rows: pa.Table) -> tuple[int, str]:
    """(rows, content hash) of an Arrow table."""
    with DuckEngine(config).session() as session:
        session.register_arrow("content", rows)
        return rows_hash(session, "content", rows.schema)


def table_version(config: LakeConfig, table: str) -> int:
    """The newest version (0-based); TableNotFound."""
    return int(delta.table_open(config, table).version())


def table_schema(config: LakeConfig, table: str) -> pa.Schema:
    return delta.arrow_schema(delta.table_open(config, table))


def files_of(config: LakeConfig, table: str, version: int) -> list[str]:
    """Data files of a version as they are named in the store, relative to the table; TableNotFound."""
    handle = delta.table_open(config, table)
    handle.load_as_version(version)
    # The log writes paths as addresses; a file's name is what they decode to.
    return sorted(unquote(str(path)) for path in pa.table(handle.get_add_actions())["path"].to_pylist())


def last_commit(config: LakeConfig, table: str) -> Commit:
    """The newest version with the metadata given to ``write``; TableNotFound."""
    handle = delta.table_open(config, table)
    entry: dict[str, Any] = dict(handle.history(1)[0])
    metadata = {key: str(value) for key, value in entry.items() if key not in _COMMIT_FIELDS}
    if "userMetadata" in entry:  # where Spark keeps it
        metadata |= json.loads(entry["userMetadata"])
    return Commit(int(handle.version()), metadata)


def partitions(config: LakeConfig, table: str) -> list[str]:
    """The table's partition values as text, sorted; [] when it is not partitioned or empty."""
    handle = delta.table_open(config, table)
    columns = list(handle.metadata().partition_columns)
    return sorted(set(delta.partition_values(handle.file_uris(), columns[0]).values())) if columns else []


def content_hash(config: LakeConfig, table: str, columns: Sequence[str] | None = None) -> str:
    """SHA-256 hex over the rows as a bag: the same for any order, file layout or engine that wrote them.

    Covers names, types and values of ``columns`` (default all). Read by DuckDB whoever wrote, so that both engines' tables are
    measured with one rule.
    """
    with DuckEngine(config).session() as session:
        session.register_table("content", table)
        return rows_hash(session, "content", delta.arrow_schema(delta.table_open(config, table)), columns)[1]


def maintain(
    config: LakeConfig,
    table: str,
    retention: timedelta,
    *,
    holder: str,
    wait_for_readers_s: float = WAIT_FOR_READERS_S,
) -> Maintained:
    """Merge small files, remove files and log entries that no version younger than ``retention`` needs, write a checkpoint.

    Works under the table's write lease (LeaseHeld when a writer is busy: come again) and waits for readers that began
    before; a reader that begins meanwhile opens a snapshot that stays. TableNotFound; CommitConflict when a writer
    without lease got between.
    """
    with leases.lease(table, holder=holder) as held:
        handle = delta.table_open(config, table)
        try:
            merged, made = _compact(handle)
            leases.check(held)
            free = leases.wait_for_readers(held, timeout_s=wait_for_readers_s)
            removed = _vacuum(config, handle, table, retention, held) if free else 0
        except CommitFailedError as error:
            raise CommitConflict(f"{table}: another writer committed during maintenance") from error
        handle.create_checkpoint()
        if free:
            handle.cleanup_metadata()
        return Maintained(table, int(handle.version()), merged, made, removed, waited_out=not free)


def _compact(handle: DeltaTable) -> tuple[int, int]:
    metrics = handle.optimize.compact(
        target_size=COMPACT_TARGET_BYTES,
        max_concurrent_tasks=1,
        commit_properties=delta.commit_properties({"maintenance": "compact"}),
        post_commithook_properties=delta.hooks(),
    )
    return int(metrics["numFilesRemoved"]), int(metrics["numFilesAdded"])


def _vacuum(config: LakeConfig, handle: DeltaTable, table: str, retention: timedelta, held: leases.Lease) -> int:
    hours = math.ceil(retention.total_seconds() / 3600)
    # The log's clean-up and the checkpoint (which forgets files that were removed) read their age limits from the table.
    limits = ("delta.logRetentionDuration", "delta.deletedFileRetentionDuration")
    delta.properties_set(handle, dict.fromkeys(limits, f"interval {hours} hours"), table)
    # A vacuum commits twice even when it finds nothing, so look first.
    unneeded = handle.vacuum(hours, dry_run=True, enforce_retention_duration=False, full=True)
    if not unneeded:
        return 0
    leases.check(held)
    removed = handle.vacuum(
        hours,
        dry_run=False,
        enforce_retention_duration=False,
        full=True,
        commit_properties=delta.commit_properties({"maintenance": "vacuum"}),
    )
    if config.is_local:
        _remove_empty_folders(Path(config.uri(table)))
    return len(removed)


def _remove_empty_folders(root: Path) -> None:
    """An emptied partition leaves its folder, whose name still tells the value."""
    for folder in root.iterdir():
        if folder.is_dir() and "=" in folder.name:
            with suppress(OSError):  # not empty
                folder.rmdir()
