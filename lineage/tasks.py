"""Celery tasks of the lineage app."""

from __future__ import annotations

import time

from celery import shared_task
from django.core.cache import cache

from lineage import services

__all__ = ["WAKE_KEY", "project"]

WAKE_KEY = "lineage:projector"
SLICE_S = 10.0


@shared_task(name="lineage.tasks.project")
def project() -> int:
    """Fold waiting events until none are left or the time slice is over; returns how many were folded.

    Idempotent: claims are rows deleted in the folding transaction, and the fold does not mind repetition. Another slice is
    sent by the relay's ticker while events wait.
    """
    total = 0
    deadline = time.monotonic() + SLICE_S
    try:
        while time.monotonic() < deadline:
            done = services.pending_project()
            total += done.events + done.poison
            if not done.events and not done.poison:
                break
    finally:
        cache.delete(WAKE_KEY)
    return total
