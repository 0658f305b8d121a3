"""DuckDB: one in-memory database per session; it reads Parquet itself, delta-rs says which files and commits."""
# ruff: noqa: S608 - names go into SQL through identifier() or check_name(), values through literal()

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import duckdb
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from controlplane.lake.errors import CommitConflict, LakeError, PartitionMismatch, SchemaMismatch, SnapshotGone, TableNotFound
from controlplane.lake.portable.render import literal, render
from controlplane.lake.portable.types import arrow_type_sql

from . import delta
from .base import LakeConfig, Params, Written, check_columns, identifier

BATCH_ROWS = 65_536
_PICKED = re.compile(r"SELECT \w+\.\w+(?:, \w+\.\w+)* FROM (\w+) AS \w+")  # columns of one relation, nothing else


class DuckEngine:
    """Sessions on DuckDB, each with the memory and threads of the settings."""

    name: Literal["duckdb"] = "duckdb"

    def __init__(self, config: LakeConfig) -> None:
        self.config = config

    @contextmanager
    def session(self) -> Iterator[DuckSession]:
        session = DuckSession(self.config)
        try:
            yield session
        finally:
            session.close()


class DuckSession:
    """See ``base.Session``. Not for use by two threads at once."""

    engine: Literal["duckdb"] = "duckdb"

    def __init__(self, config: LakeConfig) -> None:
        self.config = config
        self.config.temp.mkdir(parents=True, exist_ok=True)
        self.connection = duckdb.connect(
            config={
                "memory_limit": f"{config.memory_mb}MB",
                "threads": config.threads,
                "temp_directory": str(config.temp),
                "autoinstall_known_extensions": False,
                "preserve_insertion_order": True,
            }
        )
        self.connection.execute("SET TimeZone = 'UTC'")
        self.handles: dict[str, DeltaTable | None] = {}
        self._counter = 0
        self._made: set[str] = set()  # tables that `create` has filled

    def close(self) -> None:
        self.handles.clear()
        self.connection.close()

    # --- reading ------------------------------------------------------------------------------------------------------

    def register_files(self, name: str, uris: Sequence[str], schema: pa.Schema) -> None:
        """Parquet files as a view of exactly ``schema``; a column that a file lacks is NULL there. No files: an empty view."""
        self._view(name, list(uris), schema, partition=None, present=None)

    def register_table(
        self,
        name: str,
        table: str,
        *,
        where: str | None = None,
        schema: pa.Schema | None = None,
        version: int | None = None,
        at: LakeConfig | None = None,
    ) -> int | None:
        """The newest snapshot of a lake table as a view, or an older ``version``; returns its version (None: no table yet).

        ``where`` is a portable predicate over the partition column: files that it excludes are not opened. ``schema``
        is the shape of the view: columns the table lacks are NULL; without it the table's own. TableNotFound when
        there is neither table nor schema; SnapshotGone when the version is no longer kept (its log; files that are gone show
        when they are read). ``at``: a table of another lake than the session's, only to be read.
        """
        place = at or self.config
        if version is not None:
            handle: DeltaTable | None = delta.table_open_at(place, table, version)
        else:
            handle = delta.table_open_or_none(place, table)
        if version is None and at is None:
            # The first snapshot read is the one that a later write must still find.
            self.handles.setdefault(table, handle)
        if handle is None:
            if schema is None:
                raise TableNotFound(f"there is no table {table}")
            self._view(name, [], schema, partition=None, present=None)
            return None
        own = delta.arrow_schema(handle)
        columns = list(handle.metadata().partition_columns)
        partition = own.field(columns[0]) if columns else None
        uris = delta.data_files(place, handle, table)
        if where is not None:
            uris = self._prune(uris, partition, where, table)
        self._view(name, uris, schema or own, partition=partition, present=own, handle=handle)
        return int(handle.version())

    def register_arrow(self, name: str, table: pa.Table) -> None:
        """Rows of the control plane, copied in."""
        self.connection.register("_arrow", table)
        try:
            self._run(f"CREATE OR REPLACE TEMP TABLE {identifier(name)} AS SELECT * FROM _arrow")
        finally:
            self.connection.unregister("_arrow")

    def _prune(self, uris: list[str], partition: pa.Field | None, where: str, table: str) -> list[str]:
        if partition is None:
            raise LakeError(f"{table} has no partitions; it cannot be read by {where!r}")
        values = delta.partition_values(uris, partition.name)
        distinct = pa.table({"text": pa.array(sorted(set(values.values())), pa.string())})
        kind = arrow_type_sql(partition.type, "duckdb")
        self.connection.register("_partitions", distinct)
        try:
            # DuckDB evaluates the predicate over the few distinct values, so any portable SQL prunes.
            predicate = render(f"SELECT _text FROM _values WHERE {where}", "duckdb").partition(" WHERE ")[2]
            chosen = self._run(
                f"SELECT _text FROM (SELECT text AS _text, CAST(text AS {kind}) AS {identifier(partition.name)} "
                f"FROM _partitions) WHERE {predicate}"
            )
        except duckdb.BinderException as error:
            raise LakeError(f"{table}: {where!r} may only speak of the partition column {partition.name}") from error
        finally:
            self.connection.unregister("_partitions")
        keep = {row[0] for row in chosen}
        return [uri for uri, value in values.items() if value in keep]

    def _view(
        self,
        name: str,
        uris: list[str],
        schema: pa.Schema,
        *,
        partition: pa.Field | None,
        present: pa.Schema | None,
        handle: DeltaTable | None = None,
    ) -> None:
        if not uris:
            columns = ", ".join(f"CAST(NULL AS {arrow_type_sql(f.type, 'duckdb')}) AS {identifier(f.name)}" for f in schema)
            self._run(f"CREATE OR REPLACE TEMP VIEW {identifier(name)} AS SELECT {columns} WHERE FALSE")
            return
        source, found = self._source(uris, partition, handle)
        if present is not None:
            found = found & set(present.names)
        selected = []
        for column in schema:
            kind, quoted = arrow_type_sql(column.type, "duckdb"), identifier(column.name)
            selected.append(f"CAST({quoted if column.name in found else 'NULL'} AS {kind}) AS {quoted}")
        self._run(f"CREATE OR REPLACE TEMP VIEW {identifier(name)} AS SELECT {', '.join(selected)} FROM {source}")

    def _source(self, uris: list[str], partition: pa.Field | None, handle: DeltaTable | None) -> tuple[str, set[str]]:
        """What to select from, and the columns that it has."""
        if any("://" in uri for uri in uris):
            return self._remote_source(uris, handle)
        files = "[" + ", ".join(literal(uri, "duckdb") for uri in uris) + "]"
        # The union of the files' columns: files written before a column was added lack it.
        options = "union_by_name = true, hive_partitioning = false"
        if partition is not None:
            kind = arrow_type_sql(partition.type, "duckdb")
            options = (
                f"union_by_name = true, hive_partitioning = true, hive_types = {{{literal(partition.name, 'duckdb')}: {kind}}}"
            )
        source = f"read_parquet({files}, {options})"
        described = self._run(f"DESCRIBE SELECT * FROM {source}")
        return source, {row[0] for row in described}

    def _remote_source(self, uris: list[str], handle: DeltaTable | None) -> tuple[str, set[str]]:
        """Files behind a URL: DuckDB's own readers need an extension that cannot always be downloaded, pyarrow's do not."""
        from .remote import files_dataset

        dataset = files_dataset(uris, handle)
        self._counter += 1
        name = f"_remote_{self._counter}"
        self.connection.register(name, dataset)
        return name, set(dataset.schema.names)

    # --- work ---------------------------------------------------------------------------------------------------------

    def create(self, name: str, sql: str, *, params: Params | None = None) -> None:
        """Materialise a SELECT (portable SQL) as a table of this session."""
        self._run(f"CREATE OR REPLACE TEMP TABLE {identifier(name)} AS {render(sql, 'duckdb', params)}")
        self._made.add(name)

    def fetch(self, sql: str, *, params: Params | None = None) -> pa.Table:
        """Rows of a SELECT (portable SQL) as Arrow."""
        return self._guard(lambda: self.connection.sql(render(sql, "duckdb", params)).to_arrow_table())

    def _run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement to its end; a result left open would bar the connection from other work."""
        rows: list[tuple[Any, ...]] = self._guard(lambda: self.connection.execute(sql).fetchall())
        return rows

    def _guard(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except duckdb.IOException as error:
            if "No such file" in str(error) or "No files found" in str(error):
                raise SnapshotGone(str(error).splitlines()[0]) from error
            raise

    # --- writing ------------------------------------------------------------------------------------------------------

    def write(
        self,
        table: str,
        sql: str,
        *,
        schema: pa.Schema,
        partition_by: str | None = None,
        replace: Sequence[object] | None = None,
        properties: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
        sort_by: Sequence[str] = (),
        params: Params | None = None,
        before_commit: Callable[[], None] | None = None,
    ) -> Written:
        """Replace partitions ``replace`` of ``table`` (None: all of it) by the rows of a SELECT, in one commit.

        Fields of ``schema`` that are not nullable may hold no NULL. ``before_commit`` runs when everything is checked,
        right before the commit (a lease check). Raises SchemaMismatch, PartitionMismatch, CommitConflict; the table is
        then unchanged, save that new nullable columns of ``schema`` may have been added.
        """
        if replace is not None and partition_by is None:
            raise PartitionMismatch(f"{table}: replace needs partition_by")
        staged = self._stage(table, sql, schema=schema, sort_by=sort_by, params=params)
        try:
            rows = self._check_rows(staged, table, schema=schema, partition_by=partition_by, replace=replace)
            if table not in self.handles:
                self.handles[table] = delta.table_open_or_none(self.config, table)
            handle = self.handles[table]
            if handle is not None:
                delta.properties_set(handle, properties or {}, table)
                delta.columns_add(handle, schema, table)
            if before_commit is not None:
                before_commit()
            version, files, size = self._commit(
                table,
                handle,
                staged,
                schema=schema,
                partition_by=partition_by,
                replace=replace,
                properties=properties,
                metadata=metadata,
            )
        finally:
            if staged.startswith('"'):
                self._run(f"DROP TABLE IF EXISTS {staged}")
        return Written(table, version, rows, files, size)

    def _stage(self, table: str, sql: str, *, schema: pa.Schema, sort_by: Sequence[str], params: Params | None) -> str:
        """What to select the rows from: a temporary table that spills to disk when it must, cast to the schema.

        Columns picked from a table that ``create`` made, in the right types already, are not copied once more: there the SELECT
        itself, in brackets.
        """
        inner = render(sql, "duckdb", params)
        described = pa.schema([(row[0], _arrow_type(row[1])) for row in self._run(f"DESCRIBE {inner}")])
        check_columns(described, schema, table)
        picked = _PICKED.fullmatch(sql)
        if picked and picked[1] in self._made and not sort_by and all(described.field(f.name).type == f.type for f in schema):
            return f"(SELECT {', '.join(identifier(f.name) for f in schema)} FROM ({inner}))"
        columns = ", ".join(
            f"CAST({identifier(f.name)} AS {arrow_type_sql(f.type, 'duckdb')}) AS {identifier(f.name)}" for f in schema
        )
        order = f" ORDER BY {', '.join(identifier(name) for name in sort_by)}" if sort_by else ""
        self._counter += 1
        staged = f'"_staged_{self._counter}"'
        try:
            self._run(f"CREATE TEMP TABLE {staged} AS SELECT {columns} FROM ({inner}){order}")
        except (duckdb.ConversionException, duckdb.OutOfRangeException) as error:
            raise SchemaMismatch(f"{table}: {str(error).splitlines()[0]}") from error
        return staged

    def _check_rows(
        self, staged: str, table: str, *, schema: pa.Schema, partition_by: str | None, replace: Sequence[object] | None
    ) -> int:
        required = [f.name for f in schema if not f.nullable or f.name == partition_by]
        counts = ["count(*)", *(f"count(*) FILTER (WHERE {identifier(name)} IS NULL)" for name in required)]
        found = self._run(f"SELECT {', '.join(counts)} FROM {staged}")[0]
        faults = [f"{number} rows without {name}" for name, number in zip(required, found[1:], strict=True) if number]
        if faults:
            raise SchemaMismatch(f"{table}: " + "; ".join(faults))
        if replace is not None and partition_by is not None:
            allowed = {delta.partition_text(value) for value in replace}
            present = self._run(f"SELECT DISTINCT CAST({identifier(partition_by)} AS VARCHAR) FROM {staged}")
            outside = sorted({row[0] for row in present} - allowed)
            if outside:
                raise PartitionMismatch(f"{table}: rows outside the replaced partitions: {', '.join(outside[:5])}")
        return int(found[0])

    def _commit(
        self,
        table: str,
        handle: DeltaTable | None,
        staged: str,
        *,
        schema: pa.Schema,
        partition_by: str | None,
        replace: Sequence[object] | None,
        properties: Mapping[str, str] | None,
        metadata: Mapping[str, str] | None,
    ) -> tuple[int, int, int]:
        before = set(handle.file_uris()) if handle is not None else set()
        options: dict[str, Any] = {
            "commit_properties": delta.commit_properties(metadata),
            "post_commithook_properties": delta.hooks(),
        }
        if handle is None:
            options |= {
                "mode": "error",
                "configuration": dict(properties or {}),
                "storage_options": dict(self.config.storage_options) or None,
            }
        else:
            options["mode"] = "overwrite"
            if replace is not None and partition_by is not None:
                if not replace:
                    return int(handle.version()), 0, 0
                options["predicate"] = delta.partition_predicate(partition_by, schema.field(partition_by).type, replace)
        place = handle if handle is not None else self.config.uri(table)
        source = self.connection.sql(f"SELECT * FROM {staged}").to_arrow_reader(BATCH_ROWS)
        try:
            write_deltalake(place, _shaped(source, schema), partition_by=partition_by, **options)
        except CommitFailedError as error:
            self.handles.pop(table, None)
            raise CommitConflict(f"{table}: another writer committed since it was read") from error
        except DeltaError as error:
            if handle is None and "already exists" in str(error):
                raise CommitConflict(f"{table}: another writer created it") from error
            raise
        finally:
            source.close()  # a refused commit leaves it open, which bars the connection from other work
        if handle is None:
            handle = self.handles[table] = delta.table_open(self.config, table)
        added = set(handle.file_uris()) - before
        return int(handle.version()), len(added), delta.size_of(handle, added)


def _shaped(source: pa.RecordBatchReader, schema: pa.Schema) -> pa.RecordBatchReader:
    """The stream in exactly the types of ``schema`` (DuckDB may hand out views of text)."""
    wanted = pa.schema([pa.field(f.name, f.type) for f in schema])
    if source.schema.equals(wanted):
        return source
    return pa.RecordBatchReader.from_batches(wanted, (batch.cast(wanted) for batch in source))


def _arrow_type(name: str) -> pa.DataType:
    """A DuckDB type as Arrow; what the lake does not hold becomes a type that fits no column."""
    if name.startswith("DECIMAL("):
        precision, scale = name[8:-1].split(",")
        return pa.decimal128(int(precision), int(scale))
    if name.endswith("[]"):
        return pa.list_(_arrow_type(name[:-2]))
    return {
        "VARCHAR": pa.string(),
        "BIGINT": pa.int64(),
        "INTEGER": pa.int32(),
        "SMALLINT": pa.int16(),
        "TINYINT": pa.int8(),
        "HUGEINT": pa.decimal128(38, 0),
        "DOUBLE": pa.float64(),
        "FLOAT": pa.float32(),
        "BOOLEAN": pa.bool_(),
        "DATE": pa.date32(),
        "TIMESTAMP": pa.timestamp("us"),
        "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", tz="UTC"),
        "BLOB": pa.binary(),
        '"NULL"': pa.null(),
        "NULL": pa.null(),
    }.get(name, pa.month_day_nano_interval())
