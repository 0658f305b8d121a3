"""When to say no: a drop is refused while its sender can still keep it, before disk, queue or memory runs out."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from django.conf import settings

from controlplane.telemetry import metrics
from pipeline.errors import Overloaded
from pipeline.models import Drop, DropState, Work

DROPS = metrics.counter("drops_total", "Drops checked at the edge", "dataset", "state")
REFUSALS = metrics.counter("overload_total", "Drops turned away because a watermark was passed", "watermark")


@dataclass(frozen=True)
class Watermark:
    """One budget. ``used`` and ``limit`` in ``unit``; passed when there is less left than the limit asks for."""

    name: str
    title: str
    used: float
    limit: float
    unit: str
    passed: bool
    status: int
    mend: str


def readings(*, size_bytes: int = 0) -> list[Watermark]:
    """The three budgets as they stand, for a drop of ``size_bytes`` more."""
    env = settings.ENV
    disk_free_mb = (shutil.disk_usage(Path(settings.HOME)).free - 3 * size_bytes) / 2**20
    memory_free_mb = psutil.virtual_memory().available / 2**20
    waiting = queue_length()
    return [
        Watermark(
            "disk",
            "Free disk",
            round(disk_free_mb),
            env.disk_min_free_mb,
            "MB",
            disk_free_mb < env.disk_min_free_mb,
            507,
            "Free disk space, or shorten retention; then send the drop again.",
        ),
        Watermark(
            "queue",
            "Files waiting",
            waiting,
            env.queue_max_pending,
            "files",
            waiting >= env.queue_max_pending,
            503,
            "The pipeline is behind; send the drop again later.",
        ),
        Watermark(
            "memory",
            "Free memory",
            round(memory_free_mb),
            env.memory_min_free_mb,
            "MB",
            memory_free_mb < env.memory_min_free_mb,
            503,
            "The machine is short of memory; send the drop again later.",
        ),
    ]


_queue_seen: tuple[float, int] = (0.0, 0)
QUEUE_CACHE_S = 1.0


def queue_length() -> int:
    """Drops not yet checked and files not yet taken into a run; counted at most once a second per process."""
    global _queue_seen  # noqa: PLW0603  (a cache of one number)
    now = time.monotonic()
    if now - _queue_seen[0] > QUEUE_CACHE_S:
        landed = Drop.objects.filter(state=DropState.LANDED).count()
        waiting = Work.objects.filter(kind="file", run__isnull=True).count()
        _queue_seen = (now, landed + waiting)
    return _queue_seen[1]


def open_for(*, size_bytes: int) -> bool:
    return not any(mark.passed for mark in readings(size_bytes=size_bytes))


def admit(*, size_bytes: int) -> None:
    """Raise ``Overloaded`` (507 for disk, 503 otherwise) when a watermark is passed."""
    for mark in readings(size_bytes=size_bytes):
        if mark.passed:
            REFUSALS.inc(watermark=mark.name)
            reason = f"{mark.title} is {mark.used:.0f} {mark.unit}, the limit is {mark.limit:.0f}. {mark.mend}"
            raise Overloaded(status=mark.status, reason=reason, retry_after_s=30 if mark.status == 503 else 300)
