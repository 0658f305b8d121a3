"""What the home page shows, put together from the apps below. A fixed number of queries (pinned in tests)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils import timezone

from controlplane.accounts.roles import Role
from controlplane.home.attention import Item, attention_items
from controlplane.home.blocks import Block, block_for
from controlplane.home.tiles import Tile, tile
from pipeline import selectors_attention, selectors_drops, selectors_kpi, selectors_runs

RUNS_SHOWN = 8


@dataclass(frozen=True)
class RunLine:
    """One run in the list of latest runs."""

    uuid: str
    state: str
    trigger: str
    started_at: datetime
    duration_s: float | None
    step_done: int
    step_count: int
    step_failed: int
    rows_in: int
    rows_rejected: int
    url: str


@dataclass(frozen=True)
class Home:
    """Content of the home page. ``fingerprint`` leaves out what changes with the clock alone."""

    block: Block | None
    tiles: Sequence[Tile]
    runs: Sequence[RunLine]
    attention: Sequence[Item]
    changed_today: Sequence[tuple[str, int, str]]

    def fingerprint(self) -> object:
        return [one.fingerprint() for one in self.tiles], self.runs, self.attention, self.block, self.changed_today


BLOCK_ORDER: tuple[str, ...] = (Role.ONCALL, Role.DPO, Role.AUDITOR, Role.OWNER, Role.STEWARD, Role.PRODUCER, Role.ADMIN)


def home(*, username: str, roles: frozenset[str], clock: Callable[[], datetime] = timezone.now) -> Home:
    """Everything on the home page of somebody who holds these roles."""
    now = clock()
    kpis = selectors_kpi.kpi_readings(now)
    waiting = selectors_attention.attention(now=now)
    runs = selectors_runs.runs_latest(RUNS_SHOWN)
    lines = [_line(run) for run in runs]
    items = attention_items(kpis, waiting)
    role = next((role for role in BLOCK_ORDER if role in roles), None)
    return Home(
        block=block_for(role, username=username, kpis=kpis, waiting=waiting, runs=runs, items=items) if role else None,
        tiles=[tile(kpi, today=selectors_kpi.business_today(now)) for kpi in kpis],
        runs=lines,
        attention=items,
        changed_today=selectors_drops.changed_today(now=now),
    )


def _line(run: selectors_runs.RunTotals) -> RunLine:
    return RunLine(
        uuid=str(run.run.uuid),
        state=run.run.state,
        trigger=run.run.trigger,
        started_at=run.run.started_at,
        # A running duration would change the fingerprint each second; the page counts from started_at.
        duration_s=run.duration_s if run.run.finished_at else None,
        step_done=run.step_done,
        step_count=run.step_count,
        step_failed=run.step_failed,
        rows_in=run.rows_in,
        rows_rejected=run.rows_rejected,
        url=reverse("run", args=[run.run.uuid]),
    )
