"""Celery's way into the services. One task, one service call."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import structlog
from celery import shared_task, signals
from django.db import transaction
from django.utils import timezone

from controlplane.outbox import services as outbox

log = structlog.get_logger(__name__)


@signals.worker_init.connect(weak=False)
def on_worker_init(**_: Any) -> None:
    """Before the worker forks: the first list that pyarrow sees has it import pandas, 0.7 s that each process would spend."""
    pa.array([0])


@shared_task(name="pipeline.tasks.check_drops")
def check_drops(*, drop_ids: list[int]) -> None:
    """Check landed drops at the edge and take them into Bronze; one that cannot be read does not stop the others."""
    from pipeline.services.landing import drops_check

    drops_check(drop_ids=drop_ids)


@shared_task(name="pipeline.tasks.plan")
def plan() -> str | None:
    """Start a run over the work that waits, if one is due."""
    from pipeline.services.planning import run_plan

    run = run_plan()
    return str(run.uuid) if run else None


@shared_task(name="pipeline.tasks.run_step")
def run_step(*, step_id: int) -> str | None:
    """Carry out one step of a run."""
    from pipeline.services.steps import step_run

    state = step_run(step_id=step_id)
    return str(state) if state else None


@shared_task(name="pipeline.tasks.maintain")
def maintain(*, dataset: str) -> str | None:
    """Compact a dataset's table and remove what retention no longer keeps."""
    from pipeline.services.maintenance import dataset_maintain

    return dataset_maintain(dataset=dataset)


# --- tickers of the relay ---------------------------------------------------------------------------------------------


def tick_landing() -> None:
    """See what the landing folder holds."""
    from pipeline.services.landing_folder import landing_scan

    landing_scan()


def tick_runs() -> None:
    """Catch what was lost: steps without a worker, drops without a check, work without a run."""
    from pipeline.services.landing_folder import drops_recheck
    from pipeline.services.planning import sweep
    from pipeline.services.steps import steps_reap

    steps_reap()
    drops_recheck()
    sweep(now=timezone.now())


def tick_maintenance() -> None:
    """Have the tables maintained that are due."""
    from pipeline.services.maintenance import datasets_due

    for dataset in datasets_due():
        with transaction.atomic():
            slot = int(timezone.now().timestamp() // 600)
            outbox.send_task(
                task="pipeline.tasks.maintain", kwargs={"dataset": dataset}, queue="default", key=f"maintain:{dataset}:{slot}"
            )
