"""Reads of the pages about runs: a fixed number of queries each, whatever the size of the history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from catalog.selectors import contracts_current
from pipeline.models import BronzeFile, KpiValue, Run, Step
from pipeline.selectors_kpi import business_today


@dataclass(frozen=True)
class RunTotals:
    """A run with what its steps add up to. ``rows_in`` counts Silver's: what came in from outside."""

    run: Run
    step_count: int = 0
    step_done: int = 0
    step_failed: int = 0
    step_running: int = 0
    rows_in: int = 0
    rows_out: int = 0
    rows_rejected: int = 0
    rows_quarantined: int = 0

    @property
    def progress_words(self) -> str:
        running = f", {self.step_running} running" if self.step_running else ""
        return f"{self.step_done} of {self.step_count} steps done{running}, {self.step_count - self.step_done} left"

    @property
    def duration_s(self) -> float:
        return ((self.run.finished_at or timezone.now()) - self.run.started_at).total_seconds()


def run_totals(runs: Sequence[Run]) -> list[RunTotals]:
    """Totals for a page of runs in one query; a join over all runs would grow with the history."""
    silver = Q(layer="silver")
    sums = {
        row["run_id"]: row
        for row in Step.objects.filter(run__in=[run.pk for run in runs])
        .values("run_id")
        .annotate(
            step_count=Count("id"),
            step_done=Count("id", filter=Q(state__in=["succeeded", "failed", "blocked", "skipped"])),
            step_failed=Count("id", filter=Q(state="failed")),
            step_running=Count("id", filter=Q(state="running")),
            rows_in=Sum("rows_in", filter=silver, default=0),
            rows_out=Sum("rows_out", filter=silver, default=0),
            rows_rejected=Sum("rows_rejected", default=0),
            rows_quarantined=Sum("rows_quarantined", default=0),
        )
    }
    found = []
    for run in runs:
        row: dict[str, Any] = dict(sums.get(run.pk, {}))
        row.pop("run_id", None)
        found.append(RunTotals(run=run, **row))
    return found


def runs_latest(limit: int) -> list[RunTotals]:
    return run_totals(list(Run.objects.order_by("-started_at", "-id")[:limit]))


def run_by_uuid(uuid: Any) -> RunTotals | None:
    run = Run.objects.filter(uuid=uuid).first()
    return run_totals([run])[0] if run else None


def run_steps(run: Run) -> list[Step]:
    """The steps of a run in the order they are shown: Silver before Gold, failures first within a layer."""
    rank = {"failed": 0, "running": 1, "ready": 2, "blocked": 3, "waiting": 4, "succeeded": 5, "skipped": 6}
    layers = {"silver": 0, "gold": 1}
    steps = list(run.steps.annotate(file_count=Count("bronze_files")))
    for step in steps:
        step.failure_title = f"{step.dataset} failed after {step.attempts} attempt{'s' if step.attempts != 1 else ''}"  # type: ignore[attr-defined]
    return sorted(steps, key=lambda step: (layers.get(step.layer, 2), rank.get(step.state, 9), step.dataset))


def run_files(run: Run) -> QuerySet[Any]:
    """Bronze files that steps of the run took in."""
    return BronzeFile.objects.filter(steps__run=run).distinct().order_by("dataset", "-id")


@dataclass(frozen=True)
class Published:
    """The newest day of a KPI that a run published, and how many days in all."""

    value: KpiValue
    title: str
    unit: str
    days: int


def run_kpis(run: Run) -> list[Published]:
    """What the run published. Two queries besides the contracts'."""
    mine = KpiValue.objects.filter(step__run=run)
    days = dict(mine.order_by().values_list("kpi").annotate(Count("id")))
    known = {contract.kpi.key: contract.kpi for contract in contracts_current().values() if contract.kpi}
    newest = mine.filter(business_date__lte=business_today(run.as_of)).order_by("kpi", "-business_date", "-id").distinct("kpi")
    return [
        Published(
            value,
            known[value.kpi].title if value.kpi in known else value.kpi,
            known[value.kpi].unit if value.kpi in known else "",
            days[value.kpi],
        )
        for value in newest
    ]


def run_ids_of_dataset(dataset: str) -> QuerySet[Any]:
    """Runs with a step of the dataset that was not skipped."""
    return Step.objects.filter(dataset=dataset).exclude(state="skipped").values("run_id")


def steps_running() -> int:
    return Step.objects.filter(state="running").count()
