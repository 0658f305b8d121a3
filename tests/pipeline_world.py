"""A small company's world taken through the pipeline once, and what its tables and figures are: compared in several tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.test.utils import override_settings

from catalog.selectors import contracts_current
from controlplane.lake import services as lake
from pipeline.demo.world import World
from pipeline.models import HeldState, KpiValue, QuarantinedRow, SilverReject
from pipeline.services import provenance
from pipeline.services.steps import table_of
from tests import pipeline_support as support

SEED, DAYS, ORDERS, LAST_DAY = 11, 5, 40, date(2026, 10, 20)


@dataclass(frozen=True)
class Prepared:
    """A world whose drops lie in ``drops`` and have all been taken in."""

    world: World
    home: Path

    @property
    def files(self) -> list[Path]:
        return [drop.path for drop in self.world.drops]


def make(folder: Path, **options: Any) -> World:
    """The world's drops under ``folder``; the same bytes every time."""
    world = World(options.pop("seed", SEED), options.pop("days", DAYS), options.pop("orders", ORDERS), "steady", LAST_DAY)
    world.write(folder, truth=False)
    return world


@contextmanager
def home(folder: Path) -> Iterator[Path]:
    """A lake and a landing folder of one's own."""
    with override_settings(LAKE_URL=str(folder / "lake"), LANDING_DIR=folder / "landing"):
        yield folder


@contextmanager
def shared(folder: Path, blocker: Any) -> Iterator[Prepared]:
    """A world for all tests of a module, with real transactions; everything is emptied at the end."""
    with blocker.unblock(), home(folder):
        try:
            world = make(folder / "drops")
            support.contracts_ready()
            support.land(drop.path for drop in world.drops)
            support.drain(as_of=world.as_of)
            assert support.failures() == []
            yield Prepared(world, folder)
        finally:
            empty()


def empty() -> None:
    """Every table of the database as after the migrations, and no lake."""
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS gold CASCADE")
    # Numbers are not given twice: contracts are cached by the number of their version.
    call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=True, reset_sequences=False)
    provenance._known_texts.clear()
    shutil.rmtree(settings.LAKE_URL, ignore_errors=True)
    shutil.rmtree(settings.LANDING_DIR, ignore_errors=True)


def start_afresh() -> None:
    """No data, but the contracts that are known, and what was derived from their SQL (seconds of work)."""
    kept = {"pipeline_columnlineage"}
    prefixes = ("pipeline_", "silver_", "lake_", "evidence_")
    tables = [name for name in connection.introspection.table_names() if name.startswith(prefixes)]
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS gold CASCADE")
        cursor.execute(f"TRUNCATE {', '.join(sorted(set(tables) - kept))}, quality_qualityresult, outbox_outboxmessage")
    provenance._known_texts.clear()
    shutil.rmtree(settings.LAKE_URL, ignore_errors=True)


def hashes() -> dict[str, str]:
    """Content hash of every table of the lake, by name."""
    tables = [table_of(contract) for contract in contracts_current().values()]
    return {table: lake.content_hash(table) for table in sorted(tables) if lake.table_exists(table)}


def served() -> dict[str, str]:
    """Digest of the rows of every table in the PostgreSQL schema ``gold``."""
    found = {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'gold' ORDER BY 1")
        for (name,) in cursor.fetchall():
            cursor.execute(
                f"SELECT count(*) || ':' || coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM gold.{name} t"
            )
            found[name] = cursor.fetchone()[0]
    return found


def figures() -> dict[tuple[str, str], tuple[Any, Any, Any]]:
    """Newest value, numerator and denominator of every KPI and day."""
    rows = KpiValue.objects.order_by("id").values_list("kpi", "business_date", "value", "numerator", "denominator")
    return {(kpi, day.isoformat()): (value, numerator, denominator) for kpi, day, value, numerator, denominator in rows}


def held() -> dict[str, list[Any]]:
    """What is held back and open: rows with their rules, quarantined values with their columns."""
    rejects = SilverReject.objects.filter(state=HeldState.OPEN).values_list("bronze_file__logical_id", "row", "rules")
    unknown = QuarantinedRow.objects.filter(state=HeldState.OPEN).values_list("bronze_file__logical_id", "row", "column")
    return {"rejects": sorted(map(list, rejects)), "quarantined": sorted(map(list, unknown))}


def everything() -> dict[str, Any]:
    """All that a replay must leave as it was."""
    return {"lake": hashes(), "served": served(), "figures": figures(), "held": held()}
