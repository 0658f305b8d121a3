"""From waiting work to a run: what is due is claimed, and one step is made for every dataset it can reach."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import structlog
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Sum
from django.utils import timezone

from catalog.domain.contract import Contract
from catalog.selectors import contracts_current
from controlplane.outbox import services as outbox
from pipeline.domain.code import code_version
from pipeline.domain.dag import Dag
from pipeline.models import Reason, Run, RunState, Step, StepState, Work, WorkKind
from pipeline.selectors import EVERYTHING, dataset_states, stopped_scopes
from pipeline.selectors_promises import max_age_s
from pipeline.services import events

log = structlog.get_logger(__name__)

PLANNER_LOCK = 0x70_6C_61_6E  # advisory lock: one planner at a time
SOON_S = 0.3  # a wake-up may come a little before its time
DEADLINE_SHARE = 0.7  # of its allowed age, after which a published dataset is refreshed anyway
TERMINAL = {StepState.SUCCEEDED, StepState.FAILED, StepState.BLOCKED, StepState.SKIPPED}


def run_plan(*, as_of: datetime | None = None, at_once: bool = False, trigger: str = "") -> Run | None:
    """Start a run over everything that is due, or return None when nothing is, a run is under way, or it is too early.

    ``at_once`` ignores the least intervals between refreshes: a person asked for it. A dataset that is held back after a
    failure stays so; ``operations.retry`` lets it go.
    """
    with transaction.atomic():
        if not _planner_lock():
            return None
        if Run.objects.filter(state=RunState.RUNNING).exists():
            return None  # its end plans the next one
        stopped = stopped_scopes()
        if EVERYTHING in stopped:
            return None
        contracts = contracts_current()
        now = timezone.now()
        due = {dataset for dataset in contracts if dataset not in stopped} & _due(contracts, now=now, at_once=at_once)
        waiting = Work.objects.filter(run__isnull=True, dataset__in=due)
        if not waiting.exists():
            return None
        early_s = 0.0 if at_once else _too_early_s(now)
        if early_s > SOON_S:
            outbox.send_task(task="pipeline.tasks.plan", kwargs={}, queue="pipeline", key=_slot(now, early_s), delay_s=early_s)
            return None
        return _start(contracts, due, now=now, as_of=as_of or now, trigger=trigger)


def _start(contracts: dict[str, Contract], due: set[str], *, now: datetime, as_of: datetime, trigger: str) -> Run:
    run = Run.objects.create(
        trigger=trigger or "work waiting",
        environment=settings.ENV.environment,
        correlation_id=uuid.uuid4().hex,
        as_of=as_of,
        started_at=now,
        code_version=code_version(),
    )
    claimed = _claim(run, due)
    correlation_ids = sorted(
        set(Work.objects.filter(run=run).exclude(correlation_id="").values_list("correlation_id", flat=True))
    )
    if len(correlation_ids) == 1:
        run.correlation_id = correlation_ids[0]
    run.drops = Work.objects.filter(run=run, kind=WorkKind.FILE, reason=Reason.DROP).count()
    run.trigger = trigger or _describe(run)
    run.save(update_fields=["correlation_id", "drops", "trigger"])
    dag = Dag(contracts)
    Step.objects.bulk_create(
        Step(run=run, dataset=dataset, layer=contracts[dataset].layer, contract_version=contracts[dataset].version)
        for dataset in dag.closure(claimed)
        if dataset in due
    )
    log.info(
        "run planned",
        run=str(run.uuid),
        correlation_id=run.correlation_id,
        drop_correlation_ids=correlation_ids[:100],
        datasets=sorted(claimed),
    )
    events.emit_run(run, ended=False)
    run_advance(run, dag=dag)
    return run


def _planner_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [PLANNER_LOCK])
        return bool(cursor.fetchone()[0])


def _due(contracts: dict[str, Contract], *, now: datetime, at_once: bool) -> set[str]:
    states = dataset_states()
    due = set()
    for dataset, contract in contracts.items():
        state = states.get(dataset)
        if state is not None:
            if state.hold_until and state.hold_until > now:
                continue
            interval = timedelta(seconds=0 if at_once else contract.min_refresh_interval_s or 0)
            if state.started_at and state.started_at + interval > now:
                continue
        due.add(dataset)
    return due


def _too_early_s(now: datetime) -> float:
    last = Run.objects.order_by("-started_at").values_list("started_at", flat=True).first()
    if last is None:
        return 0.0
    return float(settings.ENV.min_refresh_interval_s - (now - last).total_seconds())


def _slot(now: datetime, early_s: float) -> str:
    """One delayed wake-up per planned start, however many drops ask for it."""
    return f"plan:{int((now.timestamp() + early_s) * 2)}"


def _claim(run: Run, due: Iterable[str]) -> set[str]:
    """Put waiting work into the run: files up to the byte budget per dataset (oldest first), everything else whole."""
    claimed: set[str] = set()
    budget = settings.ENV.cycle_max_bytes
    Work.objects.filter(run__isnull=True, dataset__in=due).exclude(kind=WorkKind.FILE).update(run=run)
    files = Work.objects.filter(run__isnull=True, dataset__in=due, kind=WorkKind.FILE)
    sizes = files.values("dataset").annotate(bytes=Sum("bronze_file__size_bytes"))
    for row in sizes:
        mine = files.filter(dataset=row["dataset"])
        if row["bytes"] <= budget:
            mine.update(run=run)
            continue
        chosen: list[int] = []
        taken = 0
        for pk, size in mine.order_by("id").values_list("id", "bronze_file__size_bytes"):
            if chosen and taken + size > budget:
                break
            chosen.append(pk)
            taken += size
        Work.objects.filter(pk__in=chosen).update(run=run)
    claimed.update(Work.objects.filter(run=run).values_list("dataset", flat=True).distinct())
    return claimed


def _describe(run: Run) -> str:
    reasons = sorted(set(Work.objects.filter(run=run).values_list("reason", flat=True)))
    if run.drops:
        return f"{run.drops} new drop{'s' if run.drops > 1 else ''}" + (", replays" if "replay" in reasons else "")
    return ", ".join(str(Reason(reason).label).lower() for reason in reasons)


# --- moving a run forward ------------------------------------------------------------------------------------------


def run_advance(run: Run, *, dag: Dag) -> None:
    """Make ready every step whose upstream steps are done; end the run when all are. Call with the run row locked."""
    steps = {step.dataset: step for step in run.steps.all()}
    with_work = set(Work.objects.filter(run=run).values_list("dataset", flat=True).distinct())
    now = timezone.now()
    for dataset in dag.order():
        step = steps.get(dataset)
        if step is None or step.state != StepState.WAITING:
            continue
        above = [steps[upstream] for upstream in dag.upstreams(dataset) if upstream in steps]
        if any(other.state not in TERMINAL for other in above):
            continue
        failed = [other.dataset for other in above if other.state in (StepState.FAILED, StepState.BLOCKED)]
        if failed:
            _close(step, StepState.BLOCKED, error=f"needs {', '.join(sorted(failed))}, which failed")
            for work in Work.objects.filter(run=run, dataset=dataset):
                release(work)
        elif dataset not in with_work:
            _close(step, StepState.SKIPPED)
        else:
            step.state = StepState.READY
            step.ready_at = now
            step.save(update_fields=["state", "ready_at"])
            step_dispatch(step)
    if all(step.state in TERMINAL for step in steps.values()):
        _end(run, list(steps.values()))


def step_dispatch(step: Step, *, delay_s: float = 0) -> None:
    outbox.send_task(task="pipeline.tasks.run_step", kwargs={"step_id": step.pk}, queue="pipeline", delay_s=delay_s)


def _close(step: Step, state: StepState, *, error: str = "") -> None:
    step.state = state
    step.error = error
    step.finished_at = timezone.now()
    step.save(update_fields=["state", "error", "finished_at"])


def _end(run: Run, steps: list[Step]) -> None:
    failed = any(step.state == StepState.FAILED for step in steps)
    run.state = RunState.FAILED if failed else RunState.SUCCEEDED
    run.finished_at = timezone.now()
    run.save(update_fields=["state", "finished_at"])
    for work in Work.objects.filter(run=run):
        release(work)
    events.emit_run(run, ended=True)
    outbox.send_task(task="pipeline.tasks.plan", kwargs={}, queue="pipeline")
    duration_s = (run.finished_at - run.started_at).total_seconds()
    log.info("run ended", run=str(run.uuid), correlation_id=run.correlation_id, state=str(run.state), duration_s=duration_s)


def release(work: Work) -> None:
    """Give work back to the queue; a file that is queued a second time already is enough."""
    try:
        with transaction.atomic():
            Work.objects.filter(pk=work.pk).update(run=None)
    except IntegrityError:
        work.delete()  # somebody asked for a replay of this file meanwhile


def sweep(*, now: datetime) -> Run | None:
    """Queue what its cadence makes due, and plan in case a wake-up was lost."""
    contracts = contracts_current()
    today = now.astimezone(ZoneInfo(settings.BUSINESS_TIME_ZONE)).date().isoformat()
    work_add_deadlines(contracts=contracts, now=now, today=today)
    return run_plan()


def work_add_deadlines(*, contracts: dict[str, Contract], now: datetime, today: str) -> int:
    """Queue a refresh of every published dataset whose age nears its promise although no data came. Returns how many."""
    states = dataset_states()
    waiting = set(Work.objects.filter(run__isnull=True).values_list("dataset", flat=True).distinct())
    added = []
    for dataset, contract in contracts.items():
        state, allowed_s = states.get(dataset), max_age_s(contract)
        if not contract.serve or allowed_s is None or dataset in waiting or state is None or state.refreshed_at is None:
            continue
        if (now - state.refreshed_at).total_seconds() >= DEADLINE_SHARE * allowed_s:
            payload = {"values": _partitions_now(contract, today)}
            added.append(Work(dataset=dataset, kind=WorkKind.PARTITIONS, reason=Reason.DEADLINE, payload=payload))
    Work.objects.bulk_create(added)
    return len(added)


def _partitions_now(contract: Contract, today: str) -> list[str]:
    """Today and the day before, whose last promises fell due after its last refresh; the month of both for monthly tables."""
    day = date.fromisoformat(today)
    days = [day - timedelta(days=1), day]
    monthly = contract.partition is not None and contract.partition.kind == "month"
    return sorted({(one.replace(day=1) if monthly else one).isoformat() for one in days})
