"""Fold every stored event again, beside the graph that people read, and put the result in its place."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import psycopg
import structlog
from django.db import connection, transaction

from lineage.errors import ShadowBusy
from lineage.models import Retention
from lineage.services import shadow
from lineage.services.projection import LOCK, Projected, cursor_open, events_fold, events_next
from lineage.services.upsert import Cursor

__all__ = ["graph_rebuild", "shadow_fold"]

log = structlog.get_logger(__name__)
# How late an event may commit after one recorded later was read: those of this stretch are folded once more at the end.
LATE = timedelta(minutes=10)
SWAP_ATTEMPTS = 60
SWAP_PAUSE_S = 0.5
After = tuple[datetime, int]


def graph_rebuild(*, progress: Callable[[int, int], None] | None = None) -> Projected:
    """Fold all events into tables of their own and swap them in; readers, ingest and projectors go on meanwhile.

    Starts from the snapshot that retention left, where there is one. ``progress``: called with (events folded, events there
    are, roughly). Killed at any point, the graph is as it was and the next rebuild starts over. Raises ``ShadowBusy`` when
    another rebuild or retention is at work.
    """
    with shadow.exclusive() as held:
        if not held:
            raise ShadowBusy
        result = Projected()
        with transaction.atomic(), cursor_open() as cursor:
            shadow.make(cursor)
            total = _count(cursor)
        after = shadow_fold(result, after=_start(), progress=lambda done: progress(done, total) if progress else None)
        _finish(after)
        with connection.cursor() as cursor:
            for table in shadow.TABLES:
                cursor.execute(f"ANALYZE {table}")
        return result


def shadow_fold(
    result: Projected,
    *,
    after: After | None,
    before: datetime | None = None,
    progress: Callable[[int], None] | None = None,
) -> After | None:
    """Fold events in the order of their recording into the shadow, a transaction for each thousand; returns the last one."""
    while True:
        with transaction.atomic(), cursor_open() as cursor:
            rows = events_next(cursor, after, before=before)
            if not rows:
                return after
            with shadow.filled(cursor):
                events_fold(cursor, rows, result)
        after = (rows[-1][0], rows[-1][1])
        if progress:
            progress(result.events + result.poison)


def _start() -> After | None:
    last = Retention.objects.order_by("-cut").first()
    return (last.cut, 0) if last else None


def _count(cursor: Cursor) -> int:
    cursor.execute("SELECT count(*) FROM lineage_event")
    return int((cursor.fetchone() or (0,))[0])


def _finish(after: After | None) -> None:
    """The rest, and the swap, while projectors wait. Events they fold afterwards are in both sets or in the new one alone."""
    for attempt in range(SWAP_ATTEMPTS):
        try:
            with transaction.atomic(), cursor_open() as cursor:
                cursor.execute(LOCK)
                mark = after and (after[0] - LATE, 0)
                with shadow.filled(cursor):
                    while rows := events_next(cursor, mark):
                        events_fold(cursor, rows, Projected())
                        mark = (rows[-1][0], rows[-1][1])
                shadow.swap(cursor)
            return
        except psycopg.OperationalError as error:  # lock_timeout: a reader is at it for long
            log.info("lineage.rebuild_swap_waits", attempt=attempt, error=type(error).__name__)
            time.sleep(SWAP_PAUSE_S)
    raise ShadowBusy
