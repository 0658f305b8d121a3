"""Correlation ids, metrics and spans of Celery tasks, and its logs. Connected in ``TelemetryConfig.ready``."""

from __future__ import annotations

import logging.config
import time
from contextlib import ExitStack
from typing import Any

import structlog
from celery import Task, signals
from django.conf import settings

from controlplane.telemetry import tracing
from controlplane.telemetry.context import bind, bound, correlation_id
from controlplane.telemetry.metrics import counter, histogram, retire_dead

log = structlog.get_logger(__name__)

HEADER = "touchstone_context"
TASKS = counter("celery_tasks_total", "Tasks by name and final state", "task", "state")
DURATION = histogram("celery_task_duration_seconds", "Time a task ran", "task")

_running: dict[str, tuple[ExitStack, float]] = {}


def context_headers() -> dict[str, Any]:
    """What a message to a worker carries about the work at hand."""
    return {HEADER: {"correlation_id": correlation_id(), "bound": dict(bound()), "trace": tracing.carrier()}}


@signals.before_task_publish.connect(weak=False)
def on_publish(headers: dict[str, Any], **_: Any) -> None:
    headers.setdefault(HEADER, context_headers()[HEADER])


@signals.task_prerun.connect(weak=False)
def on_start(task_id: str, task: Task[Any, Any], **_: Any) -> None:
    sent = getattr(task.request, HEADER, None) or (task.request.headers or {}).get(HEADER) or {}
    stack = ExitStack()
    values = {**sent.get("bound", {}), "task": task.name, "task_id": task_id}
    stack.enter_context(bind(correlation_id=sent.get("correlation_id") or None, **values))
    stack.enter_context(tracing.span(task.name, kind="consumer", parent=sent.get("trace")))
    _running[task_id] = (stack, time.perf_counter())


@signals.task_postrun.connect(weak=False)
def on_end(task_id: str, task: Task[Any, Any], state: str | None = None, **_: Any) -> None:
    stack, started = _running.pop(task_id, (ExitStack(), time.perf_counter()))
    took_s = time.perf_counter() - started
    with stack:
        TASKS.inc(task=task.name, state=state or "UNKNOWN")
        DURATION.observe(took_s, task=task.name)
        log.info("task", state=state, duration_ms=round(took_s * 1000, 1))


@signals.task_failure.connect(weak=False)
def on_failure(sender: Task[Any, Any], exception: BaseException, einfo: Any, **_: Any) -> None:
    # Celery's own line for this is muted with the rest of its per-task lines.
    log.error("task failed", task=sender.name, error=type(exception).__name__, exception=str(einfo))


@signals.setup_logging.connect(weak=False)
def on_setup_logging(**_: Any) -> None:
    """Being connected stops Celery from replacing our handlers."""
    logging.config.dictConfig(settings.LOGGING)


@signals.worker_init.connect(weak=False)
def on_worker_init(**_: Any) -> None:
    retire_dead()
