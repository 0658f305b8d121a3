"""What the console shows: status, progress, explanations."""

from __future__ import annotations

import logging
import time
from datetime import datetime

from django.conf import settings
from django.db.models import Count
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from controlplane.lake import services as lake
from controlplane.lake.portable import render
from pipeline.domain.silver_sql import silver_sql
from pipeline.models import (
    Drop,
    DropState,
    HeldState,
    QuarantinedRow,
    Run,
    RunState,
    SilverReject,
    Step,
    StepState,
    StopSwitch,
    Work,
)
from pipeline.selectors import contract_of, dag, dataset_states
from pipeline.services import gold, planning, watermarks
from pipeline.services.landing_folder import landing_pending
from pipeline.services.parity import TableParity
from pipeline.services.steps import table_of

console = Console()
QUIET_S = 0.5  # so long nothing must have been left to do
TERMINAL = {StepState.SUCCEEDED, StepState.FAILED, StepState.BLOCKED, StepState.SKIPPED}


def print_status() -> None:
    """One screen: the run under way, what waits, each dataset's state, what needs a person."""
    run = Run.objects.filter(state=RunState.RUNNING).first() or Run.objects.first()
    console.print(
        f"[bold]Run[/] {run.uuid} {run.state}, started {_ago(run.started_at)}: {run.trigger}" if run else "No run yet."
    )
    for switch in StopSwitch.objects.all():
        console.print(f"[red]Stopped[/] {switch.scope} by {switch.stopped_by} {_ago(switch.stopped_at)}: {switch.reason}")
    for mark in watermarks.readings():
        flag = "[red]passed[/]" if mark.passed else "ok"
        console.print(f"{mark.title}: {mark.used:,.0f} {mark.unit} (limit {mark.limit:,.0f}) {flag}")
    states = dataset_states()
    waiting = dict(Work.objects.filter(run__isnull=True).values_list("dataset").annotate(Count("id")))
    rejects = dict(SilverReject.objects.filter(state=HeldState.OPEN).values_list("dataset").annotate(Count("id")))
    table = Table("Dataset", "Layer", "Refreshed", "Version", "Waiting", "Rejects", "Note", box=None, pad_edge=False)
    for dataset in dag().order():
        state = states.get(dataset)
        note = f"[red]failed {state.failures}×, next try {_ago(state.hold_until)}[/]" if state and state.hold_until else ""
        table.add_row(
            dataset,
            contract_of(dataset).layer,
            _ago(state.refreshed_at) if state and state.refreshed_at else "never",
            str(state.table_version) if state and state.table_version is not None else "–",
            str(waiting.get(dataset, "")),
            str(rejects.get(dataset, "")),
            note,
        )
    console.print(table)
    refused = Drop.objects.filter(state=DropState.REFUSED).count()
    held = QuarantinedRow.objects.filter(state=HeldState.OPEN).count()
    console.print(
        f"{refused} refused drops, {sum(rejects.values())} rejected rows and {held} quarantined values wait for a person."
    )


def print_waiting() -> None:
    rows = (
        Work.objects.filter(run__isnull=True).values_list("dataset", "kind", "reason").annotate(Count("id")).order_by("dataset")
    )
    table = Table("Dataset", "What", "Why", "Count", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table if table.row_count else "No work waits.")


def print_explanation(dataset: str, *, engine: str | None) -> None:
    """A dataset in full: where it comes from and the SQL that makes it."""
    contract = contract_of(dataset)
    graph = dag()
    console.print(
        f"[bold]{contract.title}[/] ({contract.layer}.{dataset}, contract {contract.version}, owner {contract.owner})"
    )
    console.print(contract.description, style="dim")
    console.print(f"Table     {lake.table_uri(table_of(contract))}")
    console.print(f"Key       {', '.join(contract.key)}")
    if contract.partition:
        console.print(f"Partition {contract.partition.column} ({contract.partition.kind} of {contract.partition.source})")
    console.print(f"Reads     {', '.join(sorted(graph.upstreams(dataset))) or 'drops only'}")
    console.print(f"Read by   {', '.join(sorted(graph.consumers(dataset))) or 'nobody'}")
    if contract.layer == "gold":
        texts = {"": gold.gold_sql(contract)}
    else:
        texts = silver_sql(contract, business_zone=settings.BUSINESS_TIME_ZONE).statements
    for name, text in texts.items():
        if text:
            shown = render(text, engine, {"as_of": timezone.now()} if "$as_of" in text else {}) if engine else text  # type: ignore[arg-type]
            console.print(f"\n[bold]{name}[/]" if name else "")
            console.print(shown, highlight=False, soft_wrap=True, markup=False)


def quiet() -> None:
    """Keep log lines out of a screen that a person watches; the services write theirs to HOME/log."""
    logging.getLogger().setLevel(logging.WARNING)


def wait_until_idle(*, as_of: datetime | None = None, timeout_s: float = 3600) -> None:
    """Show progress until no run is under way and no due work waits."""
    quiet()
    deadline = time.monotonic() + timeout_s
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bars: dict[int, TaskID] = {}
        quiet_since: float | None = None
        while time.monotonic() < deadline:
            run = Run.objects.filter(state=RunState.RUNNING).first()
            if run is not None:
                quiet_since = None
                _show(progress, bars, run)
            elif planning.run_plan(as_of=as_of, at_once=True) is None:
                quiet_since = quiet_since or time.monotonic()
                if landing_pending():
                    quiet_since = None
                elif time.monotonic() - quiet_since > QUIET_S:
                    break
            time.sleep(0.15)
        for pk in bars:
            _show(progress, bars, Run.objects.get(pk=pk))


def _show(progress: Progress, bars: dict[int, TaskID], run: Run) -> None:
    steps = list(Step.objects.filter(run=run))
    done = sum(step.state in TERMINAL for step in steps)
    now = [step.dataset for step in steps if step.state == StepState.RUNNING]
    text = f"run {str(run.uuid)[:8]} {run.trigger}: {', '.join(now) if now else run.state}"
    if run.pk not in bars:
        bars[run.pk] = progress.add_task(text, total=len(steps))
    progress.update(bars[run.pk], description=text[:90], completed=done, total=len(steps))


def print_parity(found: list[TableParity], engines: list[str]) -> None:
    """Rows and hash totals of every table on both engines."""
    table = Table("Table", f"Rows {engines[0]}", f"Rows {engines[1]}", "Content hash", "", box=None, pad_edge=False)
    for one in found:
        hashes = one.hashes[0][:12] if one.equal else f"{one.hashes[0][:12]} ≠ {one.hashes[1][:12]}"
        table.add_row(one.table, f"{one.rows[0]:,}", f"{one.rows[1]:,}", hashes, "equal" if one.equal else "[red]differs[/]")
    console.print(table)


def _ago(moment: datetime | None) -> str:
    if moment is None:
        return "never"
    seconds = (timezone.now() - moment).total_seconds()
    if seconds < 0:
        return f"in {-seconds:.0f} s"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
