"""Spark through Spark Connect: the cluster reads, computes and commits; the client checks, and alters table metadata."""
# ruff: noqa: S608 - names go into SQL through identifier() or check_name(), values through literal()

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
from deltalake import DeltaTable

from controlplane.lake.errors import CommitConflict, LakeError, PartitionMismatch, SchemaMismatch, SnapshotGone, TableNotFound
from controlplane.lake.portable.render import render
from controlplane.lake.portable.types import arrow_type_sql

from . import delta, staging
from .base import LakeConfig, Params, Written, check_columns, check_name

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession

# One task writes a result up to this size, so that a small partition stays one file.
ONE_FILE_ROWS = 2_000_000


class SparkEngine:
    """Sessions on the Spark Connect server of the settings (``SPARK_REMOTE``)."""

    name: Literal["spark"] = "spark"

    def __init__(self, config: LakeConfig) -> None:
        if not config.spark_remote:
            raise LakeError("the Spark engine needs SPARK_REMOTE=sc://host:port")
        self.config = config

    @contextmanager
    def session(self) -> Iterator[SparkLakeSession]:
        session = SparkLakeSession(self.config)
        try:
            yield session
        finally:
            session.close()


class SparkLakeSession:
    """See ``base.Session``. Table versions are pinned when registered, so a name means the same rows all through the
    session.
    """

    engine: Literal["spark"] = "spark"

    def __init__(self, config: LakeConfig) -> None:
        self.config = config
        self.spark = _connect(str(config.spark_remote))
        # Sessions of one server share nothing by name, but staged tables do share the lake.
        self.id = uuid.uuid4().hex
        self.handles: dict[str, DeltaTable | None] = {}
        self._staged = 0

    def close(self) -> None:
        self.handles.clear()
        try:
            self.spark.stop()
        finally:
            staging.remove(self.config, self.id)

    # --- reading ------------------------------------------------------------------------------------------------------

    def register_files(self, name: str, uris: Sequence[str], schema: pa.Schema) -> None:
        """Parquet files as a view of exactly ``schema``; a column that a file lacks is NULL there. No files: an empty view."""
        if not uris:
            self._empty(name, schema)
            return
        columns = ", ".join(f"`{check_name(f.name)}` {arrow_type_sql(f.type, 'spark')}" for f in schema)
        self._view(name, self.spark.read.schema(columns).parquet(*uris))

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
        """As ``DuckSession.register_table``: the newest snapshot, pinned by its version, cut by a predicate on the
        partition column.
        """
        place = at or self.config
        if version is not None:
            handle: DeltaTable | None = delta.table_open_at(place, table, version)
        else:
            handle = delta.table_open_or_none(place, table)
        if version is None and at is None:
            self.handles.setdefault(table, handle)
        if handle is None:
            if schema is None:
                raise TableNotFound(f"there is no table {table}")
            self._empty(name, schema)
            return None
        version = int(handle.version())
        own = delta.arrow_schema(handle)
        frame: DataFrame = self.spark.read.format("delta").option("versionAsOf", version).load(place.uri(table))
        if where is not None:
            columns = list(handle.metadata().partition_columns)
            if not columns:
                raise LakeError(f"{table} has no partitions; it cannot be read by {where!r}")
            predicate = render(f"SELECT {columns[0]} FROM _values WHERE {where}", "spark").partition(" WHERE ")[2]
            self._check_where(table, columns[0], where)
            frame = frame.where(predicate)
        wanted = schema if schema is not None else own
        self._view(name, frame.selectExpr(*(_shaped(f, present=f.name in own.names) for f in wanted)))
        return version

    def register_arrow(self, name: str, table: pa.Table) -> None:
        """Rows of the control plane, sent to the cluster."""
        if table.num_rows:
            self._view(name, self.spark.createDataFrame(table))
        else:  # which pyspark refuses to send
            self._empty(name, table.schema)

    def _check_where(self, table: str, column: str, where: str) -> None:
        from sqlglot import exp

        from controlplane.lake.portable.dialect import parse

        others = {found.name for found in parse(f"SELECT 1 AS x WHERE {where}").find_all(exp.Column)} - {column}
        if others:
            raise LakeError(f"{table}: {where!r} may only speak of the partition column {column}")

    def _empty(self, name: str, schema: pa.Schema) -> None:
        self._view(name, self.spark.sql(f"SELECT {', '.join(_shaped(f, present=False) for f in schema)} WHERE FALSE"))

    def _view(self, name: str, frame: DataFrame) -> None:
        frame.createOrReplaceTempView(check_name(name))

    # --- work ---------------------------------------------------------------------------------------------------------

    def create(self, name: str, sql: str, *, params: Params | None = None) -> None:
        """Materialise a SELECT (portable SQL) under a name: the cluster writes it to a staging table, gone with the session."""
        frame = self._guard(lambda: self.spark.sql(render(sql, "spark", params)))
        self._view(name, self._stage(frame))

    def fetch(self, sql: str, *, params: Params | None = None) -> pa.Table:
        """Rows of a SELECT (portable SQL) as Arrow."""
        found: pa.Table = self._guard(lambda: self.spark.sql(render(sql, "spark", params)).toArrow())
        return found

    def _stage(self, frame: DataFrame) -> DataFrame:
        self._staged += 1
        uri = staging.uri(self.config, self.id, self._staged)
        self._guard(lambda: frame.write.format("delta").mode("error").save(uri))
        return self.spark.read.format("delta").load(uri)

    def _guard(self, call: Callable[[], Any]) -> Any:
        from pyspark.errors import PySparkException

        try:
            return call()
        except PySparkException as error:
            text = str(error)
            if "not found" in text.lower() and ".parquet" in text:
                raise SnapshotGone(text.splitlines()[0]) from error
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
        """As ``DuckSession.write``. The cluster commits; the client makes the table and adds columns (metadata only) before.

        Spark Connect cannot hand the snapshot that was read to the commit, so a foreign commit is looked for right
        before it; the lease covers the moment between.
        """
        if replace is not None and partition_by is None:
            raise PartitionMismatch(f"{table}: replace needs partition_by")
        frame = self._cast(table, sql, schema=schema, params=params)
        staged = self._stage(frame)
        name = f"_staged_{self._staged}"
        self._view(name, staged)
        rows = self._check_rows(name, table, schema=schema, partition_by=partition_by, replace=replace)
        handle = self._prepare(table, schema=schema, partition_by=partition_by, properties=properties)
        if before_commit is not None:
            before_commit()
        if replace is not None and not replace:
            return Written(table, int(handle.version()), rows, 0, 0)
        self._refuse_foreign_commit(table, handle)
        before = set(handle.file_uris())
        writer = (
            self._arranged(staged, rows, partition_by=partition_by, sort_by=sort_by).write.format("delta").mode("overwrite")
        )
        if metadata:
            writer = writer.option("userMetadata", json.dumps(dict(metadata), sort_keys=True))
        if partition_by is not None:
            writer = writer.partitionBy(partition_by)
            if replace is not None:
                # Never dynamic partition overwrite: there Sail replaces the whole table.
                kind = schema.field(partition_by).type
                writer = writer.option("replaceWhere", delta.partition_predicate(partition_by, kind, replace))
        self._guard(lambda: writer.save(self.config.uri(table)))
        handle.update_incremental()
        added = set(handle.file_uris()) - before
        return Written(table, int(handle.version()), rows, len(added), delta.size_of(handle, added))

    def _cast(self, table: str, sql: str, *, schema: pa.Schema, params: Params | None) -> DataFrame:
        frame = self._guard(lambda: self.spark.sql(render(sql, "spark", params)))
        found = pa.schema([(item.name, _arrow_type(item.dataType.simpleString())) for item in frame.schema.fields])
        check_columns(found, schema, table)
        cast: DataFrame = frame.selectExpr(*(_shaped(f, present=True) for f in schema))
        return cast

    def _check_rows(
        self, staged: str, table: str, *, schema: pa.Schema, partition_by: str | None, replace: Sequence[object] | None
    ) -> int:
        required = [f.name for f in schema if not f.nullable or f.name == partition_by]
        counts = ["count(*) AS c", *(f"count(*) FILTER (WHERE `{name}` IS NULL) AS n{i}" for i, name in enumerate(required))]
        found = list(self.spark.sql(f"SELECT {', '.join(counts)} FROM {staged}").toArrow().to_pylist()[0].values())
        faults = [f"{number} rows without {name}" for name, number in zip(required, found[1:], strict=True) if number]
        if faults:
            raise SchemaMismatch(f"{table}: " + "; ".join(faults))
        if replace is not None and partition_by is not None:
            allowed = {delta.partition_text(value) for value in replace}
            values = self.spark.sql(f"SELECT DISTINCT CAST(`{partition_by}` AS STRING) AS v FROM {staged}").toArrow()
            outside = sorted(set(values.column("v").to_pylist()) - allowed)
            if outside:
                raise PartitionMismatch(f"{table}: rows outside the replaced partitions: {', '.join(outside[:5])}")
        return int(found[0])

    def _prepare(
        self, table: str, *, schema: pa.Schema, partition_by: str | None, properties: Mapping[str, str] | None
    ) -> DeltaTable:
        if table not in self.handles:
            self.handles[table] = delta.table_open_or_none(self.config, table)
        handle = self.handles[table]
        if handle is None:
            handle = delta.table_create(self.config, table, schema=schema, partition_by=partition_by, properties=properties)
            self.handles[table] = handle
        else:
            delta.properties_set(handle, properties or {}, table)
            delta.columns_add(handle, schema, table)
        return handle

    def _refuse_foreign_commit(self, table: str, handle: DeltaTable) -> None:
        if delta.table_open(self.config, table).version() != handle.version():
            self.handles.pop(table, None)
            raise CommitConflict(f"{table}: another writer committed since it was read")

    def _arranged(self, frame: DataFrame, rows: int, *, partition_by: str | None, sort_by: Sequence[str]) -> DataFrame:
        if rows <= ONE_FILE_ROWS:
            frame = frame.coalesce(1)
        elif partition_by is not None:
            frame = frame.repartition(partition_by)
        if not sort_by:
            return frame
        return frame.sortWithinPartitions(*([partition_by] if partition_by else []), *sort_by)


def _connect(remote: str) -> SparkSession:
    import warnings

    with warnings.catch_warnings():
        # pyspark 4.2 warns of pandas 3, of which only the import matters here.
        warnings.simplefilter("ignore", FutureWarning)
        from pyspark.sql.connect.client.retries import DefaultPolicy
        from pyspark.sql.connect.session import SparkSession

        spark = SparkSession.builder.remote(remote).create()
    # pyspark's own policy tries an unreachable server for ten minutes.
    spark.client.set_retry_policies([DefaultPolicy(max_retries=6, max_backoff=4000)])
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    return spark


def _shaped(column: pa.Field, *, present: bool) -> str:
    name = check_name(column.name)
    return f"CAST({f'`{name}`' if present else 'NULL'} AS {arrow_type_sql(column.type, 'spark')}) AS `{name}`"


def _arrow_type(name: str) -> pa.DataType:
    """A Spark type (``simpleString``) as Arrow; what the lake does not hold becomes a type that fits no column."""
    if name.startswith("decimal("):
        precision, scale = name[8:-1].split(",")
        return pa.decimal128(int(precision), int(scale))
    if name.startswith("array<"):
        return pa.list_(_arrow_type(name[6:-1]))
    return {
        "string": pa.string(),
        "bigint": pa.int64(),
        "int": pa.int32(),
        "smallint": pa.int16(),
        "tinyint": pa.int8(),
        "double": pa.float64(),
        "float": pa.float32(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "timestamp_ntz": pa.timestamp("us"),
        "binary": pa.binary(),
        "void": pa.null(),
    }.get(name, pa.month_day_nano_interval())


__all__ = ["SparkEngine", "SparkLakeSession"]
