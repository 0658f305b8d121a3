"""Reproductions: asked for by a person, carried out by a worker, safe to kill and to repeat."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from controlplane.audit import services as audit
from controlplane.evidence.domain import outcomes
from controlplane.evidence.domain.spelling import number_text
from controlplane.evidence.models import Reproduction
from controlplane.lake import services as lake
from controlplane.lake.errors import LakeError, LeaseHeld
from controlplane.outbox import services as outbox
from controlplane.telemetry import context, metrics
from controlplane.telemetry.failpoints import failpoint
from pipeline import selectors_reproduce
from pipeline.errors import NotReproducible, Overloaded, PipelineError
from pipeline.services.recompute import Progress, Recomputed, recompute

log = structlog.get_logger(__name__)

State, Source = Reproduction.State, Reproduction.Source

TASK = "evidence.tasks.reproduce"
SILENT_S = 15.0  # a running one that nobody has heard of for so long lost its worker
LEASE_TTL_S = 10.0
MAX_ATTEMPTS = 3
SHOW_EVERY_S = 0.3  # progress is written at most so often

DONE = metrics.counter("reproductions_total", "Figures computed again, by outcome", "outcome")


class _Superseded(Exception):
    """Another worker took the reproduction over; this one stops without a word."""


@transaction.atomic
def reproduction_request(*, value_id: int, source: str, actor: Any, user: Any = None, dispatch: bool = True) -> Reproduction:
    """Queue the reproduction of a published figure; one that is under way already is returned instead.

    ``user``: the person, where one is signed in. Raises ValueError for an unknown source, PipelineError for an unknown figure.
    """
    source = Source(source)
    value = selectors_reproduce.figure_by_id(value_id)
    if value is None:
        raise PipelineError("this figure was never published")
    try:
        with transaction.atomic():
            made = Reproduction.objects.create(
                value=value,
                kpi=value.kpi,
                business_date=value.business_date,
                source=source,
                started_by=user,
                correlation_id=context.correlation_id() or "",
            )
    except IntegrityError:
        return Reproduction.objects.get(value=value, source=source, state__in=[State.QUEUED, State.RUNNING])
    audit.record(
        action="evidence.reproduce",
        actor=actor,
        target=made.audit_target,
        payload={"kpi": made.kpi, "business_date": made.business_date.isoformat(), "value": value.pk, "source": source},
    )
    if dispatch:
        _dispatch(made)
    return made


def _dispatch(one: Reproduction) -> None:
    outbox.send_task(task=TASK, kwargs={"reproduction_id": one.pk}, queue="default")


def reproduction_run(*, reproduction_id: int, watch: Callable[[Progress], None] = lambda _: None) -> Reproduction | None:
    """Carry a queued reproduction out. None when it is not ours to run: done, or another worker is at it.

    Killed at any point it changes nothing but its own row: the reaper has it run again from the start.
    """
    try:
        with lake.lease(_resource(reproduction_id), holder=_resource(reproduction_id), ttl_s=LEASE_TTL_S):
            one = _claim(reproduction_id)
            if one is None:
                return None
            with context.bind(correlation_id=one.correlation_id):
                return _carry_out(one, watch)
    except (LeaseHeld, _Superseded):
        return None


def _resource(pk: int) -> str:
    return f"evidence/reproduction/{pk}"


@transaction.atomic
def _claim(pk: int) -> Reproduction | None:
    one = Reproduction.objects.select_for_update(of=("self",)).filter(pk=pk).first()
    if one is None or not one.is_open:
        return None
    now = timezone.now()
    one.state, one.started_at, one.heartbeat_at, one.progress, one.error = State.RUNNING, now, now, {}, ""
    one.attempts += 1
    one.save(update_fields=["state", "started_at", "heartbeat_at", "attempts", "progress", "error"])
    return one


def _carry_out(one: Reproduction, watch: Callable[[Progress], None]) -> Reproduction:
    folder = scratch_of(one)
    folder.mkdir(parents=True, mode=0o700)
    show = _Shown(one, watch)
    try:
        outcome, result = _outcome(one, folder, show)
        return _finish(one, state=State.DONE, outcome=outcome, result=result)
    except (Overloaded, PipelineError, LakeError) as error:
        return _finish(one, state=State.FAILED, error=str(error)[:2000])
    except _Superseded:
        raise
    except Exception as error:
        log.exception("reproduction failed", reproduction=str(one.uuid))
        # Engines quote the cell that broke them, which may be personal.
        return _finish(one, state=State.FAILED, error=f"{type(error).__name__}: the worker's log says more")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Shown:
    """Writes progress into the row, which also shows that the worker lives."""

    def __init__(self, one: Reproduction, watch: Callable[[Progress], None]) -> None:
        self.one, self.watch = one, watch
        self.written_at, self.seen = 0.0, ("", -1)

    def __call__(self, progress: Progress) -> None:
        self.watch(progress)
        step = (progress.now, progress.done)
        if step == self.seen and time.monotonic() - self.written_at < SHOW_EVERY_S:
            return
        self.seen, self.written_at = step, time.monotonic()
        self.one.progress = {
            "done": progress.done,
            "total": progress.total,
            "now": progress.now,
            "files_checked": progress.files_checked,
            "files_total": progress.files_total,
        }
        mine = Reproduction.objects.filter(pk=self.one.pk, state=State.RUNNING, attempts=self.one.attempts)
        if not mine.update(progress=self.one.progress, heartbeat_at=timezone.now()):
            raise _Superseded
        failpoint("evidence.progress", progress.now)


def _outcome(one: Reproduction, folder: Path, show: _Shown) -> tuple[str, dict[str, Any]]:
    value = selectors_reproduce.figure_by_id(one.value_id)
    assert value is not None  # PROTECT
    published = (value.value, value.numerator, value.denominator)
    result: dict[str, Any] = {
        "source": str(one.source),
        "published": _figure_json(published),
        "computed": None,
        "datasets": [],
        "faults": [],
        "erasures": [],
        "code_version": {"then": value.step.run.code_version, "now": ""},
    }
    try:
        plan = selectors_reproduce.plan(value)
        found = recompute(plan, folder=folder, source=one.source, progress=show)  # type: ignore[arg-type]
    except NotReproducible as gone:
        result["faults"] = gone.faults
        return _with_reason(result, outcomes.Verdict(outcomes.NOT_REPRODUCIBLE, _sentence(str(gone))))
    computed = (found.value, found.numerator, found.denominator) if found.present else None
    tables = [_table_json(plan, table) for table in found.tables]
    erasures = [removal.as_dict() for removal in found.checked.removals]
    verdict = outcomes.judge(
        published=published,
        computed=computed,
        tables=tables,
        erasures=[removal.number for removal in found.checked.removals],
    )
    result |= {
        "computed": _figure_json(computed) if computed else None,
        "datasets": tables,
        "erasures": erasures,
        "files": {"checked": found.checked.files, "size_bytes": found.checked.size_bytes},
        "engine": found.engine,
        "code_version": {"then": value.step.run.code_version, "now": found.code_version},
    }
    if verdict.outcome == outcomes.DIFFERS and found.code_version != value.step.run.code_version:
        verdict = outcomes.Verdict(verdict.outcome, f"{verdict.reason} {_other_code(value.step.run.code_version, found)}")
    return _with_reason(result, verdict)


def _other_code(then: str, found: Recomputed) -> str:
    return (
        f"The SQL was that of the day, but the program around it has changed (code version {then} then, {found.code_version}"
        " now), which may be the reason."
    )


def _with_reason(result: dict[str, Any], verdict: outcomes.Verdict) -> tuple[str, dict[str, Any]]:
    return verdict.outcome, result | {"reason": verdict.reason}


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith(".") else ".")


def _figure_json(row: outcomes.FigureRow) -> dict[str, str | None]:
    return dict(zip(("value", "numerator", "denominator"), map(number_text, row), strict=True))


def _table_json(plan: selectors_reproduce.Plan, table: Any) -> dict[str, Any]:
    node = next(
        one
        for one in plan.nodes
        if one.contract.dataset == table.dataset and one.table_version == table.table_version and one.layer == table.layer
    )
    return {
        "dataset": table.dataset,
        "layer": table.layer,
        "step": str(node.step.uuid),
        "contract_version": node.contract.version,
        "partitions": list(table.partitions) if table.partitions is not None else None,
        "rows": table.rows,
        "content_hash": table.content_hash,
        "table_version": table.table_version,
        "kept_rows": table.kept_rows,
        "kept_hash": table.kept_hash,
        "equal": table.equal,
        "moved_files": list(table.moved_files),
    }


@transaction.atomic
def _finish(
    one: Reproduction, *, state: str, outcome: str = "", result: dict[str, Any] | None = None, error: str = ""
) -> Reproduction:
    changed = Reproduction.objects.filter(pk=one.pk, state=State.RUNNING, attempts=one.attempts).update(
        state=state, outcome=outcome, result=result or {}, error=error, finished_at=timezone.now()
    )
    if changed != 1:
        raise _Superseded
    one.refresh_from_db()
    audit.record(
        action="evidence.reproduced",
        actor="system:evidence",
        target=one.audit_target,
        payload={"state": state, "outcome": outcome, "kpi": one.kpi, "business_date": one.business_date.isoformat()},
    )
    DONE.inc(outcome=outcome or state)
    log.info("reproduction ended", reproduction=str(one.uuid), state=str(state), outcome=outcome)
    return one


# --- what the relay looks after -------------------------------------------------------------------------------------------


def scratch_root() -> Path:
    return Path(settings.HOME) / "tmp" / "reproduce"


def scratch_of(one: Reproduction) -> Path:
    """A folder of the attempt alone: a worker that was given up for dead must not clear away its successor's."""
    return scratch_root() / f"{one.uuid}-{one.attempts}"


def reproductions_reap() -> int:
    """Have those run again whose worker died or whose message was lost, give up after some; clear what the dead left behind.

    Returns how many were sent again.
    """
    silent = timezone.now() - timedelta(seconds=SILENT_S)
    sent = 0
    for one in Reproduction.objects.filter(state__in=[State.QUEUED, State.RUNNING]):
        heard = one.heartbeat_at or one.requested_at
        if heard > silent or _alive(one):
            continue
        if one.state == State.RUNNING and one.attempts >= MAX_ATTEMPTS:
            _give_up(one)
            continue
        with transaction.atomic():
            Reproduction.objects.filter(pk=one.pk).update(heartbeat_at=timezone.now())
            _dispatch(one)
        log.warning("reproduction sent again", reproduction=str(one.uuid), attempts=one.attempts)
        sent += 1
    _clear_scratch()
    return sent


def _alive(one: Reproduction) -> bool:
    return lake.alive(_resource(one.pk), holder=_resource(one.pk))


@transaction.atomic
def _give_up(one: Reproduction) -> None:
    Reproduction.objects.filter(pk=one.pk, state=State.RUNNING, attempts=one.attempts).update(
        state=State.FAILED,
        error=f"its worker died {one.attempts} times in a row; the worker's log says more",
        finished_at=timezone.now(),
    )


def _clear_scratch() -> None:
    root = scratch_root()
    if not root.is_dir():
        return
    folders = list(root.iterdir())  # before the question who runs: a worker is on record before its folder is made
    running = {scratch_of(one).name for one in Reproduction.objects.filter(state=State.RUNNING)}
    for folder in folders:
        if folder.name not in running:
            shutil.rmtree(folder, ignore_errors=True)
