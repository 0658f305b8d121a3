"""The same drops through DuckDB and through Spark Connect (Sail) give the same tables."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pipeline.demo.world import World
from pipeline.services.parity import compare
from tests import pipeline_support as support
from tests.lake_support import sail_remote

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.spark]


def test_both_engines_build_the_same_tables_from_the_same_drops(
    tmp_path: Path, lake_home: Path, monkeypatch: pytest.MonkeyPatch, settings: object
) -> None:
    settings.ENV = settings.ENV.model_copy(update={"spark_remote": sail_remote()})  # type: ignore[attr-defined]
    world = World(5, 3, 25, "steady", date(2026, 11, 20), True)
    world.write(tmp_path / "drops", truth=False)
    support.contracts_ready()
    found = compare(drops=str(tmp_path / "drops"), engines=["duckdb", "spark"], keep=None, as_of=world.as_of)
    assert [table for table in found if not table.equal] == []
    assert sum(table.rows[0] > 0 for table in found) > 25
