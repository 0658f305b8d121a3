"""Celery tasks of the lineage app."""

from __future__ import annotations

import gc
import time
from contextlib import suppress
from functools import cache

from celery import shared_task
from django.core.cache import cache as shared_cache

from lineage import services
from lineage.errors import ShadowBusy

__all__ = ["QUEUE", "WAKE_HOLD_S", "WAKE_KEY", "forward", "project", "retain"]

WAKE_KEY = "lineage:projector"
# How long a projector may be silent, in the queue or at a batch, before the relay sends another.
WAKE_HOLD_S = 6
QUEUE = "lineage"
SLICE_S = 10.0


@shared_task(name="lineage.tasks.project", queue=QUEUE)
def project() -> int:
    """Fold waiting events until none are left or the time slice is over; returns how many were folded.

    Idempotent: claims are rows deleted in the folding transaction, and the fold does not mind repetition. Another slice is
    sent by the relay's ticker while events wait.
    """
    _freeze()
    total = 0
    deadline = time.monotonic() + SLICE_S
    try:
        while time.monotonic() < deadline:
            shared_cache.set(WAKE_KEY, 1, timeout=WAKE_HOLD_S)
            done = services.pending_project()
            total += done.events + done.poison
            if not done.events and not done.poison:
                break
    finally:
        shared_cache.delete(WAKE_KEY)
    return total


@shared_task(name="lineage.tasks.forward")
def forward(target: str) -> int:
    """Send events that wait for another server, for some seconds; returns how many it took.

    In the default queue: a server that does not answer must not hold up the projector. Idempotent: a target is claimed, and
    what was sent twice is the same event.
    """
    try:
        return services.forward(name=target).sent
    finally:
        shared_cache.delete(f"lineage:forward:{target}")


@shared_task(name="lineage.tasks.retain")
def retain() -> int:
    """Drop events that are older than the setting says; returns how many. In the default queue: it may take minutes.

    Idempotent: a second one finds nothing that is old enough, or that the first is still at it.
    """
    with suppress(ShadowBusy):
        return services.events_expire(actor="system:lineage").events
    return 0


@cache
def _freeze() -> None:
    """Once per process: a batch makes a million objects, and the collector need not visit those of the code each time."""
    gc.collect()
    gc.freeze()
