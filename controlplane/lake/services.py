"""The lake's public face: engines, tables, the object store and leases."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from django.conf import settings

from .engines.base import Engine, LakeConfig, Session, Written

__all__ = ["Engine", "LakeConfig", "Session", "Written", "config", "engine"]


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


def engine(name: str | None = None) -> Engine:
    """The engine by name ("duckdb" or "spark"); without a name the one of the settings."""
    chosen = name or settings.ENV.engine
    if chosen == "duckdb":
        from .engines.duck import DuckEngine

        return DuckEngine(config())
    if chosen == "spark":
        from .engines.spark import SparkEngine

        return SparkEngine(config())
    raise ValueError(f"there is no engine {chosen!r}; engines are duckdb and spark")
