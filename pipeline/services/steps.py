"""A step from ready to done: claimed by compare-and-set, carried out under the dataset's lease, finished in one transaction."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from catalog.domain.contract import Contract
from catalog.selectors import contracts_current
from controlplane.lake import services as lake
from controlplane.lake.errors import LakeError, LeaseHeld
from controlplane.telemetry import context, metrics
from controlplane.telemetry.failpoints import failpoint
from pipeline.domain.dag import Dag
from pipeline.errors import GateBlocked, PipelineError
from pipeline.models import BronzeFile, DatasetState, Reason, Run, RunState, Step, StepState, Work, WorkKind
from pipeline.selectors import stopped_scopes
from pipeline.services import events, provenance
from pipeline.services.planning import release, run_advance, step_dispatch

log = structlog.get_logger(__name__)

STEPS = metrics.counter("steps_total", "Steps by end state", "dataset", "state")
STEP_SECONDS = metrics.histogram(
    "step_duration_seconds", "Duration of a step", "dataset", buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 120)
)

MAX_ATTEMPTS = 4
MAX_DEATHS = 8  # attempts of a step whose workers died: it is what kills them
SILENT_S = 12  # a running step whose lease is gone for so long lost its worker
LEASE_TTL_S = 10
HOLD_BASE_S, HOLD_MAX_S = 15, 3600


@dataclass
class Outcome:
    """What a refresh did. ``touched``: column → values that changed, of the columns that follow from the work alone.

    ``apply`` functions run inside the finishing transaction, so that their rows appear together with the step's success.
    """

    rows_in: int = 0
    rows_out: int = 0
    rows_rejected: int = 0
    rows_quarantined: int = 0
    partitions: list[str] = field(default_factory=list)
    written: Any = None
    touched: dict[str, list[str]] = field(default_factory=dict)
    changed: bool = False
    sql: str = ""
    bronze_files: list[BronzeFile] = field(default_factory=list)
    inputs: dict[str, int | None] = field(default_factory=dict)  # dataset → version of its table that was read
    null_ratios: dict[str, float] = field(default_factory=dict)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    apply: list[Callable[[], None]] = field(default_factory=list)


@dataclass
class StepContext:
    """Everything a refresh needs to know."""

    step: Step
    run: Run
    contract: Contract
    contracts: dict[str, Contract]
    work: list[Work]
    lease: Any
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def today(self) -> date:
        """The business day that figures of this run call today."""
        return self.run.as_of.astimezone(ZoneInfo(settings.BUSINESS_TIME_ZONE)).date()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.timings[name] = round(self.timings.get(name, 0.0) + time.perf_counter() - started, 4)

    def before_commit(self) -> None:
        """Called right before a table's commit: only the holder of the lease may go on."""
        lake.check(self.lease)
        failpoint("step.before_commit", self.step.dataset)

    def commit_metadata(self) -> dict[str, str]:
        """Written into the Delta commit, so that a table version names what made it."""
        return {
            "touchstone.run": str(self.run.uuid),
            "touchstone.step": str(self.step.uuid),
            "touchstone.contract": self.contract.version,
            "touchstone.code": self.run.code_version,
            "touchstone.fencing": str(self.lease.fencing),
        }


def table_of(contract: Contract) -> str:
    return f"{contract.layer}/{contract.dataset}"


def step_run(*, step_id: int) -> StepState | None:
    """Carry out a step. None when it is not ours to run (done already, or another worker has it)."""
    step = _claim(step_id)
    if step is None:
        return None
    with context.bind(correlation_id=step.run.correlation_id, run=step.run.uuid, step=step.uuid, dataset=step.dataset):
        started = time.perf_counter()
        try:
            with lake.lease(f"{step.layer}/{step.dataset}", holder=f"{step.uuid}/{step.attempts}", ttl_s=LEASE_TTL_S) as lease:
                state = _carry_out(step, lease)
        except LeaseHeld:
            _give_back(step)
            return None
        except Exception as error:  # every failure becomes a state that a person can see; the worker lives on
            state = _fail(step, error)
        if state is None:
            return None
        STEPS.inc(dataset=step.dataset, state=state)
        STEP_SECONDS.observe(time.perf_counter() - started, dataset=step.dataset)
        return state


@transaction.atomic
def _claim(step_id: int) -> Step | None:
    now = timezone.now()
    # Locked, then read: an UPDATE whose condition reaches into the run's row looks that up as it was before it waited for the
    # lock, and so lets two workers have the same step.
    step = Step.objects.select_for_update(of=("self",)).select_related("run").filter(pk=step_id).first()
    if step is None or step.run.state != RunState.RUNNING:
        return None
    silent = step.heartbeat_at is not None and step.heartbeat_at < now - timedelta(seconds=SILENT_S)
    if step.state != StepState.READY and not (step.state == StepState.RUNNING and silent):
        return None  # another worker got there first
    step.state, step.started_at, step.heartbeat_at, step.error = StepState.RUNNING, now, now, ""
    step.attempts += 1
    step.save(update_fields=["state", "started_at", "heartbeat_at", "attempts", "error"])
    return step


def _carry_out(step: Step, lease: Any) -> StepState | None:
    from pipeline.services import gold, silver

    if not Step.objects.filter(pk=step.pk, state=StepState.RUNNING, attempts=step.attempts).exists():
        return None  # it was done while we waited for the lease
    contracts = contracts_current()
    work = list(Work.objects.filter(run=step.run, dataset=step.dataset).select_related("bronze_file").order_by("id"))
    ctx = StepContext(step=step, run=step.run, contract=contracts[step.dataset], contracts=contracts, work=work, lease=lease)
    with transaction.atomic():
        Step.objects.filter(pk=step.pk).update(fencing=lease.fencing, contract_version=ctx.contract.version)
        DatasetState.objects.update_or_create(
            dataset=step.dataset, defaults={"layer": step.layer, "started_at": timezone.now()}
        )
        events.emit_start(ctx)
    failpoint("step.started", step.dataset)
    outcome = silver.refresh(ctx) if ctx.contract.layer == "silver" else gold.refresh(ctx)
    failpoint("step.before_finish", step.dataset)
    _finish(ctx, outcome)
    failpoint("step.after_finish", step.dataset)
    return StepState.SUCCEEDED


def _finish(ctx: StepContext, outcome: Outcome) -> None:
    """One transaction: the step's rows, what it means for others, its events, and the run's next steps."""
    step = ctx.step
    started = time.perf_counter()
    with transaction.atomic():
        for apply in outcome.apply:
            apply()
        run = Run.objects.select_for_update().get(pk=step.run_id)
        lake.keep(ctx.lease)  # a worker that was presumed dead must not finish what another one took over
        _save_success(ctx, outcome)
        failpoint("step.inside_finish", step.dataset)
        Work.objects.filter(pk__in=[one.pk for one in ctx.work]).delete()
        work_announce(ctx, outcome)
        events.emit_complete(ctx, outcome)
        ctx.timings["finish"] = round(time.perf_counter() - started, 4)
        Step.objects.filter(pk=step.pk).update(timings=ctx.timings)
        run_advance(run, dag=Dag(ctx.contracts))
    log.info(
        "step succeeded",
        rows_in=outcome.rows_in,
        rows_out=outcome.rows_out,
        rows_rejected=outcome.rows_rejected,
        partitions=len(outcome.partitions),
        timings=ctx.timings,
    )


def _save_success(ctx: StepContext, outcome: Outcome) -> None:
    now = timezone.now()
    step = ctx.step
    step.state = StepState.SUCCEEDED
    step.finished_at = now
    step.rows_in, step.rows_out = outcome.rows_in, outcome.rows_out
    step.rows_rejected, step.rows_quarantined = outcome.rows_rejected, outcome.rows_quarantined
    step.partitions = outcome.partitions
    step.table_version = outcome.written.version if outcome.written else None
    step.sql_sha256 = events.sha256_of(outcome.sql)
    provenance.step_remember(step, inputs=outcome.inputs, sql=outcome.sql)
    step.save()
    step.bronze_files.add(*outcome.bronze_files)
    DatasetState.objects.filter(dataset=step.dataset).update(
        refreshed_at=now,
        failures=0,
        hold_until=None,
        last_step=step,
        **({"table_version": outcome.written.version} if outcome.written else {}),
        commits_since_maintenance=F("commits_since_maintenance") + (1 if outcome.written else 0),
    )


def work_announce(ctx: StepContext, outcome: Outcome) -> None:
    """Tell every dataset that reads this one what was replaced; within this run where it has a step there."""
    if outcome.changed:
        _announce(ctx, touched=outcome.touched, intervals=None, whole=True)


@transaction.atomic
def work_announce_ahead(ctx: StepContext, *, touched: dict[str, list[str]], intervals: dict[str, Any] | None) -> None:
    """Tell those downstream, before the commit, what only a comparison with the former table can show.

    After the commit the difference is gone: a worker that dies between commit and finish, and one that takes its step over and
    finds nothing changed, would leave them stale. Told in vain, they compute once too often.
    """
    _announce(ctx, touched=touched, intervals=intervals, whole=False)


def _announce(ctx: StepContext, *, touched: dict[str, list[str]], intervals: dict[str, Any] | None, whole: bool) -> None:
    in_run = set(ctx.run.steps.filter(state=StepState.WAITING).values_list("dataset", flat=True))
    made: list[Work] = []
    for consumer in ctx.contracts.values():
        for one in consumer.inputs:
            if one.dataset != ctx.contract.dataset:
                continue
            common = {
                "dataset": consumer.dataset,
                "upstream": ctx.contract.dataset,
                "reason": Reason.UPSTREAM,
                "run": ctx.run if consumer.dataset in in_run else None,
                "correlation_id": ctx.run.correlation_id,
            }
            if one.dimension is not None:
                if intervals:
                    made.append(Work(kind=WorkKind.INTERVALS, payload=intervals, **common))
            elif consumer.partition is None:  # a whole table follows every change of what it reads
                if whole:
                    made.append(Work(kind=WorkKind.PARTITIONS, payload={"all": True}, **common))
            elif one.trigger is not None and touched.get(one.trigger):
                payload = {one.trigger: touched[one.trigger]}
                made.append(Work(kind=WorkKind.TOUCHED, payload=payload, **common))
    Work.objects.bulk_create(made)


def _fail(step: Step, error: Exception) -> StepState:
    """Try again soon, or give up: then the work waits (held back longer each time) and what needs this dataset is blocked."""
    text = _message(error)
    final = step.attempts >= MAX_ATTEMPTS or isinstance(error, GateBlocked)
    log.error("step failed", attempt=step.attempts, final=final, error=text, where=_where(error))
    contracts = contracts_current()
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=step.run_id)
        state = StepState.FAILED if final else StepState.READY
        changed = Step.objects.filter(pk=step.pk, state=StepState.RUNNING, attempts=step.attempts).update(
            state=state, error=text, finished_at=timezone.now() if final else None, ready_at=timezone.now()
        )
        if changed != 1:
            return state
        step.refresh_from_db()
        events.emit_fail(step, contract=contracts.get(step.dataset), message=text)
        if not final:
            step_dispatch(step, delay_s=2.0 ** (step.attempts - 1))
            return state
        _hold(step)
        for work in Work.objects.filter(run=run, dataset=step.dataset):
            release(work)
        run_advance(run, dag=Dag(contracts))
    return state


def _hold(step: Step) -> None:
    state, _ = DatasetState.objects.get_or_create(dataset=step.dataset, defaults={"layer": step.layer})
    state.failures += 1
    pause_s = min(HOLD_BASE_S * 2 ** (state.failures - 1), HOLD_MAX_S)
    state.hold_until = timezone.now() + timedelta(seconds=pause_s)
    state.save(update_fields=["failures", "hold_until"])


def _give_back(step: Step) -> None:
    """Maintenance or an older worker holds the dataset: the step is ready again, a little later."""
    with transaction.atomic():
        Step.objects.filter(pk=step.pk, state=StepState.RUNNING, attempts=step.attempts).update(
            state=StepState.READY, attempts=F("attempts") - 1
        )
        step_dispatch(step, delay_s=1.0)


def _message(error: Exception) -> str:
    """The error without values of the data: engines quote the cell that broke them."""
    if isinstance(error, GateBlocked | LakeError):
        return str(error)[:2000]
    if isinstance(error, AttributeError | NameError | ImportError | TypeError):  # they speak of the code, not of the data
        return f"{type(error).__name__}: {error}"[:500]
    first = str(error).strip().splitlines()[0] if str(error).strip() else ""
    quoted = min((first.find(mark) for mark in "'\"" if mark in first), default=-1)
    return f"{type(error).__name__}: {first[:quoted] if quoted >= 0 else first}"[:500]


def _where(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return " > ".join(f"{frame.name}:{frame.lineno}" for frame in frames[-4:])


def steps_reap() -> int:
    """Dispatch again what lost its worker or its message. Returns how many."""
    now = timezone.now()
    silent = now - timedelta(seconds=SILENT_S)
    lost = Step.objects.filter(run__state=RunState.RUNNING).filter(
        Q(state=StepState.RUNNING, heartbeat_at__lt=silent) | Q(state=StepState.READY, ready_at__lt=silent)
    )
    found = 0
    for step in lost:
        if step.state == StepState.RUNNING and step.attempts >= MAX_DEATHS and _give_up(step):
            continue
        if step.state == StepState.RUNNING and lake.alive(
            f"{step.layer}/{step.dataset}", holder=f"{step.uuid}/{step.attempts}"
        ):
            Step.objects.filter(pk=step.pk).update(heartbeat_at=now)
            continue
        with transaction.atomic():
            if step.state == StepState.READY:
                Step.objects.filter(pk=step.pk, state=StepState.READY).update(ready_at=now)
            step_dispatch(step)
        log.warning("step dispatched again", step=str(step.uuid), dataset=step.dataset, state=str(step.state))
        found += 1
    return found


def _give_up(step: Step) -> bool:
    """Fail a step that has cost too many workers, so that it does not take the others with it. False while it still lives."""
    if lake.alive(f"{step.layer}/{step.dataset}", holder=f"{step.uuid}/{step.attempts}"):
        return False
    _fail(step, PipelineError(f"its worker died {step.attempts} times in a row; the worker's log says more"))
    return True


def stopped(dataset: str) -> bool:
    scopes = stopped_scopes()
    return "*" in scopes or dataset in scopes
