"""Sessions of both engines over real Delta tables and Parquet files."""
# ruff: noqa: E501 - a statement or a table of values is read on one line

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from controlplane.lake import tables
from controlplane.lake.engines.base import Engine, LakeConfig
from controlplane.lake.engines.duck import DuckEngine
from controlplane.lake.errors import CommitConflict, LakeError, PartitionMismatch, SchemaMismatch, SnapshotGone, TableNotFound
from tests.lake_support import duck_config

SCHEMA = pa.schema(
    [
        pa.field("order_date", pa.date32()),
        pa.field("order_id", pa.string(), nullable=False),
        pa.field("amount", pa.decimal128(18, 2)),
        pa.field("at", pa.timestamp("us", tz="UTC")),
        pa.field("lines", pa.int64()),
    ]
)
FIRST, SECOND, THIRD = date(2024, 3, 30), date(2024, 3, 31), date(2024, 4, 1)
SELECT = "SELECT order_date, order_id, amount, at, lines FROM src"


@pytest.fixture(params=["duckdb", pytest.param("spark", marks=pytest.mark.spark)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    if request.param == "duckdb":
        from controlplane.lake.engines.duck import DuckEngine

        return DuckEngine(duck_config(tmp_path))
    from controlplane.lake.engines.spark import SparkEngine
    from tests.lake_support import lake_config

    return SparkEngine(lake_config(tmp_path))


@pytest.fixture
def config(tmp_path: Path) -> LakeConfig:
    return duck_config(tmp_path)


def orders(*rows: tuple[date, str, str]) -> pa.Table:
    return pa.table(
        {
            "order_date": pa.array([row[0] for row in rows], pa.date32()),
            "order_id": pa.array([row[1] for row in rows], pa.string()),
            "amount": pa.array([Decimal(row[2]) for row in rows], pa.decimal128(18, 2)),
            "at": pa.array([datetime(2024, 3, 31, 1, tzinfo=UTC) for _ in rows], pa.timestamp("us", tz="UTC")),
            "lines": pa.array([len(row[1]) for row in rows], pa.int64()),
        }
    )


def put(engine: Engine, rows: pa.Table, *, replace: list[date] | None, sql: str = SELECT, **options: Any) -> Any:
    with engine.session() as session:
        session.register_arrow("src", rows)
        given = {"schema": SCHEMA, "partition_by": "order_date", "replace": replace, **options}
        return session.write("silver/orders", sql, **given)


def read(engine: Engine, where: str | None = None) -> list[dict[str, Any]]:
    with engine.session() as session:
        session.register_table("orders", "silver/orders", where=where)
        found: list[dict[str, Any]] = session.fetch(
            "SELECT order_date, order_id, amount FROM orders ORDER BY order_id"
        ).to_pylist()
        return found


THREE = orders((FIRST, "a", "1.00"), (SECOND, "b", "2.50"), (THIRD, "c", "-3.00"))


def test_a_write_makes_the_table_and_says_what_it_made(engine: Engine, config: LakeConfig) -> None:
    written = put(
        engine,
        THREE,
        replace=None,
        properties={"delta.dataSkippingStatsColumns": "lines"},
        metadata={"step": "s-1", "code": "abc"},
    )
    assert (written.table, written.rows, written.files) == ("silver/orders", 3, 3)
    assert written.size_bytes > 0
    assert written.version == tables.table_version(config, "silver/orders")
    assert dict(tables.last_commit(config, "silver/orders").metadata) == {"step": "s-1", "code": "abc"}
    handle = DeltaTable(config.uri("silver/orders"))
    assert handle.metadata().configuration["delta.dataSkippingStatsColumns"] == "lines"
    statistics = pa.table(handle.get_add_actions(flatten=True)).schema.names
    assert "min.order_id" not in statistics
    assert [row["order_id"] for row in read(engine)] == ["a", "b", "c"]


def test_only_the_replaced_partitions_change(engine: Engine) -> None:
    put(engine, THREE, replace=None)
    put(engine, orders((SECOND, "x", "9.00")), replace=[SECOND])
    assert [row["order_id"] for row in read(engine)] == ["a", "c", "x"]


def test_writing_twice_changes_nothing(engine: Engine, config: LakeConfig) -> None:
    put(engine, THREE, replace=None)
    before = tables.content_hash(config, "silver/orders")
    put(engine, orders((SECOND, "b", "2.50")), replace=[SECOND])
    put(engine, orders((SECOND, "b", "2.50")), replace=[SECOND])
    assert tables.content_hash(config, "silver/orders") == before


def test_a_replaced_partition_without_rows_goes(engine: Engine, config: LakeConfig) -> None:
    put(engine, THREE, replace=None)
    written = put(engine, THREE.slice(0, 0), replace=[SECOND])
    assert written.rows == 0
    assert tables.partitions(config, "silver/orders") == ["2024-03-30", "2024-04-01"]


def test_a_whole_table_can_be_emptied_and_a_new_one_be_empty(engine: Engine, config: LakeConfig) -> None:
    put(engine, THREE.slice(0, 0), replace=None)
    assert read(engine) == []
    put(engine, THREE, replace=None)
    put(engine, THREE.slice(0, 0), replace=None)
    assert read(engine) == []
    assert tables.table_schema(config, "silver/orders").names == SCHEMA.names


def test_hundreds_of_partitions_can_be_replaced_at_once(engine: Engine) -> None:
    days = [FIRST + timedelta(days=n) for n in range(400)]
    rows = orders(*((day, f"o{n:03}", "1.00") for n, day in enumerate(days)))
    put(engine, rows, replace=None)
    put(engine, rows.slice(0, 1), replace=days[:399])
    assert [row["order_id"] for row in read(engine)] == ["o000", "o399"]


def test_replacing_nothing_commits_nothing(engine: Engine, config: LakeConfig) -> None:
    put(engine, THREE, replace=None)
    version = tables.table_version(config, "silver/orders")
    assert put(engine, THREE.slice(0, 0), replace=[]).version == version
    assert tables.table_version(config, "silver/orders") == version


def test_rows_outside_the_replaced_partitions_are_refused(engine: Engine) -> None:
    put(engine, THREE, replace=None)
    with pytest.raises(PartitionMismatch, match="2024-04-01"):
        put(engine, orders((SECOND, "x", "1.00"), (THIRD, "y", "1.00")), replace=[SECOND])
    assert [row["order_id"] for row in read(engine)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT order_date, order_id, amount, at FROM src", "lines is missing"),
        ("SELECT order_date, order_id, amount, at, lines, lines AS more FROM src", "more is not in the schema"),
        ("SELECT order_date, order_id, CAST(amount AS DECIMAL(18,3)) AS amount, at, lines FROM src", "amount is decimal128"),
        ("SELECT order_date, order_id, amount, at, order_id AS lines FROM src", "lines is string"),
        ("SELECT order_date, order_id, amount, order_date AS at, lines FROM src", "at is date32"),
        ("SELECT order_date, nullif(order_id, 'a') AS order_id, amount, at, lines FROM src", "1 rows without order_id"),
        (
            "SELECT nullif(order_date, DATE '2024-03-30') AS order_date, order_id, amount, at, lines FROM src",
            "1 rows without order_date",
        ),
    ],
)
def test_rows_that_do_not_fit_the_schema_are_refused(engine: Engine, sql: str, message: str) -> None:
    with pytest.raises(SchemaMismatch, match=message):
        put(engine, THREE, replace=None, sql=sql)


def test_values_are_widened_to_the_schema(engine: Engine) -> None:
    sql = "SELECT order_date, order_id, sum(lines) AS amount, max(at) AS at, sum(lines) AS lines FROM src GROUP BY order_date, order_id"
    put(engine, THREE, replace=None, sql=sql)
    assert [row["amount"] for row in read(engine)] == [Decimal("1.00")] * 3


def test_a_commit_since_the_read_is_refused(engine: Engine, config: LakeConfig) -> None:
    put(engine, THREE, replace=None)
    with engine.session() as session:
        session.register_table("orders", "silver/orders")
        other = orders((FIRST, "other", "1.00"))
        write_deltalake(DeltaTable(config.uri("silver/orders")), other, mode="overwrite", predicate="order_date = '2024-03-30'")
        with pytest.raises(CommitConflict, match="silver/orders"):
            session.write(
                "silver/orders",
                "SELECT order_date, order_id, amount, at, lines FROM orders WHERE order_date = DATE '2024-03-31'",
                schema=SCHEMA,
                partition_by="order_date",
                replace=[SECOND],
            )
    assert [row["order_id"] for row in read(engine)] == ["b", "c", "other"]


def test_a_table_made_since_the_look_is_refused(engine: Engine, config: LakeConfig) -> None:
    with engine.session() as session:
        session.register_table("orders", "silver/orders", schema=SCHEMA)
        write_deltalake(config.uri("silver/orders"), THREE, partition_by="order_date")
        session.register_arrow("src", THREE)
        with pytest.raises(CommitConflict):
            session.write("silver/orders", SELECT, schema=SCHEMA, partition_by="order_date", replace=None)
    assert len(read(engine)) == 3


def test_a_failing_check_before_the_commit_leaves_the_table(engine: Engine, config: LakeConfig) -> None:
    put(engine, THREE, replace=None)
    before = tables.content_hash(config, "silver/orders")

    def refuse() -> None:
        raise LakeError("lease lost")

    with pytest.raises(LakeError, match="lease lost"):
        put(engine, THREE.slice(0, 0), replace=None, before_commit=refuse)
    assert tables.content_hash(config, "silver/orders") == before


def test_a_new_nullable_column_is_added_and_older_files_read_null(engine: Engine, config: LakeConfig) -> None:
    put(engine, THREE, replace=None)
    wider = SCHEMA.append(pa.field("discount_code", pa.string()))
    put(
        engine,
        orders((SECOND, "b", "1.00")),
        replace=[SECOND],
        sql=SELECT.replace("lines", "lines, 'X' AS discount_code"),
        schema=wider,
    )
    with engine.session() as session:
        session.register_table("orders", "silver/orders")
        found = session.fetch("SELECT order_id, discount_code FROM orders ORDER BY order_id").to_pydict()
    assert found == {"order_id": ["a", "b", "c"], "discount_code": [None, "X", None]}


def test_a_column_does_not_change_its_type(engine: Engine) -> None:
    put(engine, THREE, replace=None)
    other = SCHEMA.set(2, pa.field("amount", pa.decimal128(38, 2)))
    with pytest.raises(SchemaMismatch, match="amount"):
        put(engine, THREE, replace=None, schema=other)


def test_where_cuts_partitions_without_opening_the_other_files(engine: Engine, config: LakeConfig) -> None:
    put(engine, THREE, replace=None)
    for path in Path(config.uri("silver/orders"), "order_date=2024-04-01").iterdir():
        path.write_bytes(b"not parquet")
    found = read(engine, where="order_date BETWEEN add_days(DATE '2024-03-31', -1) AND DATE '2024-03-31'")
    assert [row["order_id"] for row in found] == ["a", "b"]


def test_where_may_speak_of_the_partition_column_only(engine: Engine) -> None:
    put(engine, THREE, replace=None)
    with pytest.raises(LakeError, match="order_date"):
        read(engine, where="amount > 1")


def test_a_table_that_does_not_exist_is_an_empty_view_of_the_schema(engine: Engine) -> None:
    with engine.session() as session:
        assert session.register_table("orders", "silver/orders", schema=SCHEMA) is None
        assert session.fetch("SELECT count(*) AS c, sum(amount) AS s FROM orders").to_pylist() == [{"c": 0, "s": None}]
        with pytest.raises(TableNotFound):
            session.register_table("other", "silver/other")


def test_a_schema_adds_columns_that_the_table_lacks(engine: Engine) -> None:
    put(engine, THREE, replace=None)
    with engine.session() as session:
        session.register_table("orders", "silver/orders", schema=SCHEMA.append(pa.field("later", pa.decimal128(12, 8))))
        assert session.fetch("SELECT max(later) AS x, count(*) AS c FROM orders").to_pylist() == [{"x": None, "c": 3}]


def test_files_are_a_view_of_the_schema(engine: Engine, tmp_path: Path) -> None:
    one, two = tmp_path / "order_date=1" / "it's one.parquet", tmp_path / "two.parquet"
    one.parent.mkdir()
    pq.write_table(THREE, one)
    pq.write_table(THREE.drop_columns(["amount"]).append_column("unknown", pa.array(["x", "y", "z"])), two)
    with engine.session() as session:
        session.register_files("f", [str(one), str(two)], SCHEMA)
        session.register_files("none", [], SCHEMA)
        assert session.fetch("SELECT count(*) AS c, count(amount) AS a, max(order_date) AS d FROM f").to_pylist() == [
            {"c": 6, "a": 3, "d": THIRD}
        ]
        assert session.fetch("SELECT count(*) AS c FROM none").to_pylist() == [{"c": 0}]


def test_created_names_are_materialised_and_chain(engine: Engine) -> None:
    with engine.session() as session:
        session.register_arrow("src", THREE)
        session.create("big", "SELECT order_id, amount FROM src WHERE amount > $least", params={"least": 2})
        session.register_arrow("src", THREE.slice(0, 0))  # what was materialised stays
        session.create("total", "SELECT sum(amount) AS total FROM big")
        assert session.fetch("SELECT total AS total FROM total").to_pylist() == [{"total": Decimal("2.50")}]


def test_a_session_leaves_nothing_behind(engine: Engine, config: LakeConfig) -> None:
    with engine.session() as session:
        session.register_arrow("src", THREE)
        session.create("made", SELECT)
    assert [path for path in Path(config.root).rglob("*") if path.is_file()] == []


def test_a_reader_whose_files_were_removed_is_told(engine: Engine, config: LakeConfig) -> None:
    put(engine, THREE, replace=None)
    with engine.session() as session:
        session.register_table("orders", "silver/orders")
        put(engine, THREE, replace=None)
        DeltaTable(config.uri("silver/orders")).vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)
        with pytest.raises(SnapshotGone):
            session.fetch("SELECT sum(amount) AS s FROM orders")


def test_parameters_are_typed(engine: Engine) -> None:
    with engine.session() as session:
        session.register_arrow("src", THREE)
        found = session.fetch(
            "SELECT count(*) AS c FROM src WHERE at <= $as_of", params={"as_of": datetime(2024, 3, 31, 1, tzinfo=UTC)}
        )
    assert found.to_pylist() == [{"c": 3}]


def test_rows_are_sorted_when_asked(engine: Engine, config: LakeConfig) -> None:
    put(engine, orders((FIRST, "c", "1.00"), (FIRST, "a", "1.00"), (FIRST, "b", "1.00")), replace=None, sort_by=["order_id"])
    (file,) = DeltaTable(config.uri("silver/orders")).file_uris()
    assert pq.ParquetFile(file).read().column("order_id").to_pylist() == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["a b", "x; DROP TABLE y", "A", 'q"'])
def test_names_are_plain(engine: Engine, name: str) -> None:
    with engine.session() as session, pytest.raises(ValueError, match="not a name"):
        session.register_arrow(name, THREE)


def test_table_names_stay_in_the_lake(config: LakeConfig) -> None:
    for name in ("../other", "/etc", "silver//orders", "silver/Orders", ""):
        with pytest.raises(ValueError, match="not a table name"):
            config.uri(name)


@pytest.mark.spark
def test_both_engines_leave_the_same_content(tmp_path: Path) -> None:
    from controlplane.lake.engines.duck import DuckEngine
    from controlplane.lake.engines.spark import SparkEngine
    from tests.lake_support import lake_config

    makers: dict[str, Callable[[LakeConfig], Engine]] = {"one": DuckEngine, "two": SparkEngine}
    hashes = []
    for name, maker in makers.items():
        place = lake_config(tmp_path / name)
        put(maker(place), THREE, replace=None)
        put(maker(place), orders((SECOND, "é€", "0.10"), (SECOND, "b", "2.50")), replace=[SECOND])
        hashes.append(tables.content_hash(place, "silver/orders"))
    assert hashes[0] == hashes[1]


def test_the_content_hash_sees_values_and_not_their_order(config: LakeConfig) -> None:
    from controlplane.lake.engines.duck import DuckEngine

    engine = DuckEngine(config)

    def hash_of(table: pa.Table, columns: list[str] | None = None) -> str:
        put(engine, table, replace=None)
        return tables.content_hash(config, "silver/orders", columns)

    base = hash_of(THREE)
    assert hash_of(THREE.take([2, 0, 1])) == base
    assert hash_of(THREE.slice(0, 2)) != base
    assert hash_of(pa.concat_tables([THREE, THREE])) != base
    assert hash_of(orders((FIRST, "a", "1.01"), (SECOND, "b", "2.50"), (THIRD, "c", "-3.00"))) != base
    assert hash_of(THREE, ["order_id"]) == hash_of(
        orders((FIRST, "a", "7.00"), (SECOND, "b", "7.00"), (THIRD, "c", "7.00")), ["order_id"]
    )


def test_a_big_result_stays_within_the_memory_of_a_session(tmp_path: Path) -> None:
    from controlplane.lake.engines.duck import DuckEngine

    config = LakeConfig(root=str(tmp_path / "lake"), temp=tmp_path / "tmp", memory_mb=128, threads=2)
    schema = pa.schema([("bucket", pa.int64()), ("text", pa.string())])
    with DuckEngine(config).session() as session:
        session.register_arrow("k", pa.table({"k": pa.array(range(1000), pa.int64())}))
        sql = (
            "SELECT CAST(a.k % 4 AS BIGINT) AS bucket, digest(CAST(a.k AS VARCHAR) || '-' || CAST(b.k AS VARCHAR)) || "
            "digest(CAST(b.k AS VARCHAR)) || digest(CAST(a.k AS VARCHAR)) AS text FROM k AS a CROSS JOIN k AS b"
        )
        written = session.write(
            "silver/big", sql, schema=schema, partition_by="bucket", replace=None, sort_by=["bucket", "text"]
        )
    assert written.rows == 1_000_000


def test_a_lake_below_a_path_with_a_space_is_read_as_it_was_written(tmp_path: Path) -> None:
    place = LakeConfig(root=str(tmp_path / "a b é" / "lake"), temp=tmp_path / "tmp", memory_mb=128, threads=1)
    schema = pa.schema([pa.field("d", pa.date32()), pa.field("v", pa.int64())])
    with DuckEngine(place).session() as session:
        session.write(
            "silver/t", "SELECT DATE '2026-11-20' AS d, CAST(1 AS BIGINT) AS v", schema=schema, partition_by="d", replace=None
        )
    with DuckEngine(place).session() as session:
        session.register_table("t", "silver/t", where="d IN (DATE '2026-11-20')")
        assert session.fetch("SELECT t.v AS v FROM t")["v"].to_pylist() == [1]


def test_tables_and_files_behind_urls_are_read_without_extensions_of_duckdb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from controlplane.lake.engines.duck import DuckEngine, DuckSession

    engine = DuckEngine(duck_config(tmp_path))
    put(engine, THREE, replace=None)
    pq.write_table(THREE, tmp_path / "one.parquet")
    pq.write_table(THREE.drop_columns(["amount"]), tmp_path / "two.parquet")
    with engine.session() as session:
        session.register_files("f", [f"file://{tmp_path}/one.parquet", f"file://{tmp_path}/two.parquet"], SCHEMA)
        assert session.fetch("SELECT count(*) AS c, count(amount) AS a FROM f").to_pylist() == [{"c": 6, "a": 3}]
    monkeypatch.setattr(DuckSession, "_source", lambda self, uris, _, handle: self._remote_source(uris, handle))
    found = read(engine, where="order_date IN (DATE '2024-03-30', DATE '2024-04-01')")
    assert [row["order_id"] for row in found] == ["a", "c"]


def test_what_killed_spark_sessions_left_is_removed_when_old(config: LakeConfig) -> None:
    import os

    from controlplane.lake.engines import staging

    for name, age_s in (("old", 7200), ("new", 0)):
        folder = Path(config.root, "_staging", name)
        (folder / "1").mkdir(parents=True)
        stamp = folder.stat().st_mtime - age_s
        os.utime(folder, (stamp, stamp))
    assert staging.remove_older(config, 3600) == 1
    assert [found.name for found in Path(config.root, "_staging").iterdir()] == ["new"]
