"""Reads of the page about limits and switches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count

from catalog.selectors import contracts_current
from controlplane.ui import formats
from pipeline.models import DatasetState, StopSwitch, Work

NEAR_SHARE = 80  # percent of a budget from which it counts as near


@dataclass(frozen=True)
class Budget:
    """A watermark as a bar. ``share`` is the used part of the budget in whole percent; ``state`` within, near or over."""

    name: str
    title: str
    now: str
    limit: str
    share: int
    state: str
    status: int
    mend: str

    @property
    def words(self) -> str:
        return f"{self.share} % of the way to the limit"


def budget(mark: Any) -> Budget:
    """A reading of ``services.watermarks`` for the page. Free space counts down to its floor, a queue up to its ceiling."""
    if mark.unit == "MB":
        share = min(100, round(100 * mark.limit / mark.used)) if mark.used > 0 else 100
        now, limit = formats.bytes_size(mark.used * 2**20), f"refused below {formats.bytes_size(mark.limit * 2**20)}"
    else:
        share = min(100, round(100 * mark.used / mark.limit)) if mark.limit else 100
        now, limit = f"{mark.used:,.0f} {mark.unit}", f"refused from {mark.limit:,.0f} {mark.unit}"
    state = "over" if mark.passed else "near" if share >= NEAR_SHARE else "within"
    return Budget(mark.name, mark.title, now, limit, share, state, mark.status, mark.mend)


@dataclass(frozen=True)
class DatasetLine:
    """One dataset on the switches page."""

    dataset: str
    layer: str
    title: str
    refreshed_at: datetime | None
    failures: int
    hold_until: datetime | None
    waiting: int
    switch: StopSwitch | None

    @property
    def state(self) -> str:
        return "stopped" if self.switch else "failed" if self.failures else "flowing" if self.refreshed_at else "waiting"


def dataset_lines() -> list[DatasetLine]:
    """Every dataset with a contract, stopped and failing ones first. Three queries besides the contracts'."""
    states = DatasetState.objects.in_bulk()
    switches = {switch.scope: switch for switch in StopSwitch.objects.all()}
    waiting = dict(Work.objects.filter(run__isnull=True).values_list("dataset").annotate(Count("id")))
    lines = []
    for name, contract in contracts_current().items():
        state = states.get(name)
        lines.append(
            DatasetLine(
                dataset=name,
                layer=contract.layer,
                title=contract.title,
                refreshed_at=state.refreshed_at if state else None,
                failures=state.failures if state else 0,
                hold_until=state.hold_until if state else None,
                waiting=waiting.get(name, 0),
                switch=switches.get(name),
            )
        )
    return sorted(lines, key=lambda line: (line.switch is None, not line.failures, line.layer != "silver", line.dataset))


def switch_of(scope: str) -> StopSwitch | None:
    return StopSwitch.objects.filter(scope=scope).first()
