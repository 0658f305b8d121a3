"""Two engines side by side: DuckDB, and Spark Connect served by Sail from its wheel."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from controlplane.lake.engines.base import LakeConfig, Session
from controlplane.lake.engines.duck import DuckEngine
from controlplane.lake.engines.spark import SparkEngine
from controlplane.lake.portable import check


@cache
def sail_server() -> Any:
    """This process's Sail server, started at first use; it ends when it is no longer referred to, so the cache keeps it."""
    from pysail.spark import SparkConnectServer

    # A worker of pytest-xdist has a main module without a file; pyspark takes that for its own doctests and exits.
    main = sys.modules["__main__"]
    if not hasattr(main, "__file__"):
        main.__file__ = "pytest-xdist"
    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    return server


def sail_remote() -> str:
    host, port = sail_server().listening_address
    return f"sc://{host}:{port}"


def lake_config(folder: Path) -> LakeConfig:
    return LakeConfig(root=str(folder / "lake"), temp=folder / "tmp", memory_mb=256, threads=2, spark_remote=sail_remote())


def duck_config(folder: Path) -> LakeConfig:
    return LakeConfig(root=str(folder / "lake"), temp=folder / "tmp", memory_mb=256, threads=2)


class Pair:
    """One session on each engine, with the same names in both."""

    def __init__(self, duck: Session, spark: Session) -> None:
        self.sessions = {"duckdb": duck, "spark": spark}

    def register(self, name: str, table: pa.Table) -> None:
        for session in self.sessions.values():
            session.register_arrow(name, table)

    def both(self, sql: str, **params: Any) -> pa.Table:
        """Rows of a portable SELECT; fails unless both engines give the same values under the same names."""
        check(sql)
        found = {name: session.fetch(sql, params=params) for name, session in self.sessions.items()}
        duck, spark = found["duckdb"], found["spark"]
        assert duck.column_names == spark.column_names
        assert values(duck) == values(spark)
        return duck

    def column(self, expression: str, table: str, *, order: str = "i", **params: Any) -> list[Any]:
        """Values of one expression over ``table`` in the order of ``order``, equal on both engines in value and type."""
        found = self.both(f"SELECT {expression} AS x, {order} AS o FROM {table} ORDER BY {order}", **params)
        spark = self.sessions["spark"].fetch(f"SELECT {expression} AS x FROM {table}", params=params)
        assert kind(found.schema.field("x").type) == kind(spark.schema.field("x").type)
        result: list[Any] = found.column("x").to_pylist()
        return result


def values(table: pa.Table) -> list[tuple[Any, ...]]:
    rows = [tuple(row.values()) for row in table.to_pylist()]
    return [tuple(_plain(value) for value in row) for row in rows]


def kind(found: pa.DataType) -> str:
    """The type, with the widths of whole numbers left aside (a write casts them)."""
    if pa.types.is_integer(found) or (pa.types.is_decimal(found) and found.scale == 0):
        return "integer"
    if pa.types.is_decimal(found):
        return f"decimal scale {found.scale}"
    return str(found).replace("large_", "").replace("_view", "")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    return value


@contextmanager
def pair(folder: Path) -> Iterator[Pair]:
    config = lake_config(folder)
    with ExitStack() as stack:
        duck = stack.enter_context(DuckEngine(config).session())
        spark = stack.enter_context(SparkEngine(config).session())
        yield Pair(duck, spark)
