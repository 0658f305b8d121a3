"""Delta tables through delta-rs: what both engines share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Field, PostCommitHookProperties
from deltalake import Schema as DeltaSchema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from controlplane.lake.errors import CommitConflict, SchemaMismatch, SnapshotGone, TableNotFound

from .base import LakeConfig

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


def table_open(config: LakeConfig, table: str) -> DeltaTable:
    """The newest snapshot; TableNotFound when there is none."""
    found = table_open_or_none(config, table)
    if found is None:
        raise TableNotFound(f"there is no table {table}")
    return found


def table_open_or_none(config: LakeConfig, table: str) -> DeltaTable | None:
    try:
        return DeltaTable(config.uri(table), storage_options=dict(config.storage_options) or None)
    except TableNotFoundError:
        return None


def table_open_at(config: LakeConfig, table: str, version: int) -> DeltaTable:
    """The snapshot of a version; SnapshotGone when the log does not reach back to it, TableNotFound without a table."""
    try:
        return DeltaTable(config.uri(table), version=version, storage_options=dict(config.storage_options) or None)
    except DeltaError as error:
        table_open(config, table)
        raise SnapshotGone(f"{table} has no version {version} any more") from error


def arrow_schema(handle: DeltaTable) -> pa.Schema:
    """The table's schema with plain (not view or large) types."""
    return pa.schema([pa.field(item.name, plain(item.type)) for item in pa.schema(handle.schema().to_arrow())])


def plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    return kind


def partition_values(uris: Iterable[str], column: str) -> dict[str, str]:
    """File → the text of its partition value, read off its path (``…/order_date=2024-05-31/part-0.parquet``)."""
    marker = f"/{column}="
    return {uri: unquote(uri.rpartition(marker)[2].partition("/")[0]) for uri in uris}


def partition_text(value: object) -> str:
    """A partition value as Delta writes it in paths and logs; SchemaMismatch for NULL, which is never a partition."""
    if value is None:
        raise SchemaMismatch("NULL cannot be a partition")
    if isinstance(value, datetime):
        raise SchemaMismatch("tables are not partitioned by instants")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def partition_predicate(column: str, kind: pa.DataType, values: Sequence[object]) -> str:
    """``column IN (…)`` in the SQL of delta-rs (DataFusion) and Spark alike."""
    texts = [partition_text(value).replace("'", "''") for value in values]
    quoted = texts if pa.types.is_integer(kind) or pa.types.is_boolean(kind) else [f"'{text}'" for text in texts]
    return f"{column} IN ({', '.join(quoted)})"


def commit_properties(metadata: Mapping[str, str] | None) -> CommitProperties:
    """Metadata of the commit; no retries, so that another writer's commit since the read is a conflict, never a merge."""
    return CommitProperties(custom_metadata=dict(metadata or {}), max_commit_retries=0)


def hooks() -> PostCommitHookProperties:
    """Checkpoints by the table's interval; old log files are `maintain`'s to remove, under the lease."""
    return PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)


def table_create(
    config: LakeConfig, table: str, *, schema: pa.Schema, partition_by: str | None, properties: Mapping[str, str] | None
) -> DeltaTable:
    """A new table without rows; CommitConflict when another writer makes it at the same time."""
    fields = pa.schema([item.with_nullable(True) for item in schema])
    try:
        return DeltaTable.create(
            config.uri(table),
            schema=DeltaSchema.from_arrow(fields),
            mode="error",
            partition_by=[partition_by] if partition_by else None,
            configuration=dict(properties or {}),
            storage_options=dict(config.storage_options) or None,
        )
    except DeltaError as error:
        if "already exists" in str(error).lower():
            raise CommitConflict(f"{table}: another writer created it") from error
        raise


def columns_add(handle: DeltaTable, schema: pa.Schema, table: str) -> list[str]:
    """Add the nullable columns that ``schema`` has and the table lacks. SchemaMismatch when a type differs. Returns
    their names.
    """
    have = arrow_schema(handle)
    for item in schema:
        if item.name in have.names and plain(have.field(item.name).type) != plain(item.type):
            raise SchemaMismatch(
                f"{table}: column {item.name} is {have.field(item.name).type} in the table, {item.type} in the schema"
            )
    new = [item for item in schema if item.name not in have.names]
    if new:
        fields: list[Field] = list(DeltaSchema.from_arrow(pa.schema([item.with_nullable(True) for item in new])).fields)
        try:
            handle.alter.add_columns(fields, commit_properties=commit_properties(None), post_commithook_properties=hooks())
        except CommitFailedError as error:
            raise CommitConflict(f"{table}: another writer committed") from error
    return [item.name for item in new]


def properties_set(handle: DeltaTable, properties: Mapping[str, str], table: str) -> None:
    """Make the table's properties what the caller wants, where they differ."""
    have: dict[str, Any] = handle.metadata().configuration
    changed = {key: value for key, value in properties.items() if have.get(key) != value}
    if changed:
        try:
            handle.alter.set_table_properties(changed, raise_if_not_exists=False, commit_properties=commit_properties(None))
        except CommitFailedError as error:
            raise CommitConflict(f"{table}: another writer committed") from error


def data_files(config: LakeConfig, handle: DeltaTable, table: str) -> list[str]:
    """Addresses of the snapshot's files, as a reader opens them.

    delta-rs percent-encodes the folder that the table lies in (a space becomes %20) but not what lies below it.
    """
    uris = list(handle.file_uris())
    if not config.is_local:
        return uris
    depth = len(handle.metadata().partition_columns) + 1
    root = config.uri(table)
    return [f"{root}/{'/'.join(uri.split('/')[-depth:])}" for uri in uris]


def size_of(handle: DeltaTable, uris: set[str]) -> int:
    """Bytes of these files of the snapshot."""
    if not uris:
        return 0
    actions = pa.table(handle.get_add_actions(flatten=True)).select(["path", "size_bytes"]).to_pydict()
    names = {unquote(uri.rpartition("/")[2]) for uri in uris}
    return int(
        sum(
            size
            for path, size in zip(actions["path"], actions["size_bytes"], strict=True)
            if unquote(path.rpartition("/")[2]) in names
        )
    )
