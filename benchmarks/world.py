"""The demo company at a benchmark's size, landed the way its systems would."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.progress import say

# The order in which a company's systems are connected: what others refer to comes first.
FIRST = ("suppliers", "carriers", "promotions", "channels", "fx_rates", "products", "customers")


def in_order(files: Iterable[Path]) -> list[Path]:
    """Files ``…/dataset/file``, referenced datasets first."""
    rank = {name: at for at, name in enumerate(FIRST)}
    return sorted(files, key=lambda path: (rank.get(path.parent.name, len(FIRST)), path.name))


def land(files: Iterable[Path], landing: Path) -> int:
    """Copy files aside and rename them into the landing folder. Returns how many."""
    count = 0
    for path in files:
        count += 1
        folder = landing / path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{path.name}.part"
        part.write_bytes(path.read_bytes())
        part.rename(folder / path.name)
    return count


def contracts_ready() -> None:
    """Load the shipped contracts. Django must be set up."""
    from catalog.services import contracts_sync
    from pipeline.domain.code import ROOT

    report = contracts_sync(folder=ROOT / "pipeline" / "contracts", actor="system:benchmark")
    if report.refused:
        raise RuntimeError(f"contracts were refused: {[(one.filename, one.messages) for one in report.refused]}")


def wait_until_idle(*, drops: int, timeout_s: float = 3600.0) -> None:
    """Until so many drops were checked, no run is under way and no due work waits.

    Raises TimeoutError, and RuntimeError when a step failed.
    """
    from django.utils import timezone

    from pipeline.models import DatasetState, Drop, DropState, Run, RunState, Step, Work

    deadline = time.monotonic() + timeout_s
    told = time.monotonic()
    quiet_since = None
    never_waited_for = slow_datasets()
    while time.monotonic() < deadline:
        if time.monotonic() - told > 15:
            told = time.monotonic()
            checked = Drop.objects.exclude(state=DropState.LANDED).count()
            say(f"{checked} of {drops} drops checked, {Run.objects.exclude(state=RunState.RUNNING).count()} runs done")
        # One query while a run is under way: asking must not take the time that it measures.
        if Run.objects.filter(state=RunState.RUNNING).exists():
            quiet_since = None
            time.sleep(0.1)
            continue
        if failed := Step.objects.filter(state="failed").values_list("dataset", "error").first():
            raise RuntimeError(f"step {failed[0]} failed: {failed[1]}")
        checked = Drop.objects.exclude(state=DropState.LANDED).count()
        held = set(DatasetState.objects.filter(hold_until__gt=timezone.now()).values_list("dataset", flat=True))
        busy = checked < drops or Work.objects.filter(run__isnull=True).exclude(dataset__in=held | never_waited_for).exists()
        quiet_since = None if busy else quiet_since or time.monotonic()
        if quiet_since and time.monotonic() - quiet_since > 0.5:
            return
        time.sleep(0.1)
    raise TimeoutError(f"the pipeline did not come to rest within {timeout_s:.0f} s")


def rows_landed(**only: Any) -> int:
    """Rows that Bronze accepted, of the drops that the filter names."""
    from django.db.models import Sum

    from pipeline.models import Drop

    return int(Drop.objects.filter(state="accepted", **only).aggregate(rows=Sum("rows"))["rows"] or 0)


def slow_datasets() -> set[str]:
    """Datasets whose contract has them wait longer than any refresh between two of theirs; no KPI is downstream of them."""
    from catalog.selectors import contracts_current
    from pipeline.domain.dag import Dag

    contracts = contracts_current()
    waiting = [name for name, one in contracts.items() if (one.min_refresh_interval_s or 0) >= 60]
    return set(Dag(contracts).closure(waiting))


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
