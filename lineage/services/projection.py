"""Pending events into the graph: claimed in sets, folded in Python, written in sets."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg
import structlog
from django.db import connection, transaction
from psycopg.types.datetime import TimestamptzLoader

from controlplane.telemetry.metrics import counter, gauge, histogram
from lineage.domain.delta import Delta
from lineage.domain.fold import Recorded, fold
from lineage.domain.ids import event_identity
from lineage.domain.spec import Fault
from lineage.domain.wire import read
from lineage.errors import IdentifierCollision
from lineage.services import catalog_fill
from lineage.services.ingest import identity_key, quarantine
from lineage.services.upsert import Cursor
from lineage.services.writer import write

__all__ = [
    "LOCK",
    "Projected",
    "cursor_open",
    "events_fold",
    "events_next",
    "events_refold",
    "pending_measure",
    "pending_project",
]

log = structlog.get_logger(__name__)
PROJECTED_EVENTS = counter("lineage_events_projected_total", "Events folded into the graph")
POISON = counter("lineage_events_poison_total", "Accepted events that could not be folded and were set aside")
PENDING = gauge("lineage_pending_events", "Events that wait for projection")
LAG = gauge("lineage_lag_seconds", "Age of the oldest event that waits for projection")
BATCH_SECONDS = histogram("lineage_projection_batch_seconds", "Time to fold and write one batch")

BATCH = 1000
CHUNK_BYTES = 16 * 2**20
# Writers take turns: registers are read, recomputed and written back. Parsing and folding, the dear part, happens before.
LOCK = "SELECT pg_advisory_xact_lock(hashtext('lineage.projection'))"
_CLAIM = """
DELETE FROM lineage_pending WHERE event_id IN (
    SELECT event_id FROM lineage_pending ORDER BY event_id LIMIT %s FOR UPDATE SKIP LOCKED
) RETURNING event_id, recorded_at, size_bytes
"""
_BODIES = """
SELECT id, identity, recorded_at, producer, body FROM lineage_event
WHERE recorded_at >= %s AND recorded_at <= %s AND id = ANY(%b::bigint[]) ORDER BY recorded_at, id
"""


@dataclass
class Projected:
    """Result of one claim: events folded, and events set aside because they cannot be."""

    events: int = 0
    poison: int = 0


@dataclass(slots=True)
class _Stored:
    id: int
    producer: str
    body: str
    item: Recorded


def pending_project(*, limit: int = BATCH) -> Projected:
    """Claim up to ``limit`` waiting events and fold them, in one transaction; zero events: nothing waits unclaimed.

    An event that cannot be folded goes to the quarantine and never stops the others. Killed at any point, the claim is
    rolled back and another projector takes it.
    """
    with BATCH_SECONDS.time(), _collector_paused(), transaction.atomic(), cursor_open() as cursor:
        cursor.execute(_CLAIM, [limit])
        claimed = sorted(cursor.fetchall())
        result = Projected()
        for chunk in _chunks(claimed):
            _fold_stored(cursor, _load(cursor, chunk), result)
    PROJECTED_EVENTS.inc(result.events)
    return result


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Parsed events are trees: they go when the last reference goes. Looking for cycles in them takes a fifth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def cursor_open() -> Cursor:
    connection.ensure_connection()
    cursor = psycopg.Cursor(connection.connection)
    # Django's loader of moments is written in Python; a thousand events read some fifteen thousand of them.
    cursor.adapters.register_loader("timestamptz", TimestamptzLoader)
    return cursor


def _chunks(claimed: Sequence[tuple[int, datetime, int]]) -> Iterator[list[tuple[int, datetime]]]:
    """Claimed events in parts whose bodies fit into memory, whatever the producers send."""
    part: list[tuple[int, datetime]] = []
    size = 0
    for event_id, recorded_at, size_bytes in claimed:
        if part and size + size_bytes > CHUNK_BYTES:
            yield part
            part, size = [], 0
        part.append((event_id, recorded_at))
        size += size_bytes
    if part:
        yield part


def _load(cursor: Cursor, chunk: list[tuple[int, datetime]]) -> list[_Stored]:
    times = [recorded_at for _, recorded_at in chunk]
    cursor.execute(_BODIES, [min(times), max(times), [event_id for event_id, _ in chunk]])
    return [
        _Stored(event_id, producer, body, Recorded(read(body), identity, recorded_at))
        for event_id, identity, recorded_at, producer, body in cursor.fetchall()
    ]


def _fold_stored(cursor: Cursor, stored: list[_Stored], result: Projected, *, alone: bool = False) -> None:
    """``alone``: nobody else writes to these tables, and the catalog has heard of the events before."""
    delta, sound = _delta(stored, result)
    try:
        with transaction.atomic():
            if not alone:
                cursor.execute(LOCK)
            changed = write(cursor, delta)
    except (psycopg.Error, IdentifierCollision) as error:
        # One event of the set offends the database: halve until it stands alone, so that the others get through.
        if len(sound) > 1:
            half = len(sound) // 2
            _fold_stored(cursor, sound[:half], result, alone=alone)
            _fold_stored(cursor, sound[half:], result, alone=alone)
        elif sound:
            _set_aside(sound[0], error, result)
        return
    result.events += len(sound)
    if not alone:
        catalog_fill.datasets_announce(delta=delta, changed=changed)


def _delta(stored: list[_Stored], result: Projected) -> tuple[Delta, list[_Stored]]:
    """The sum of what the events say. A fold that raises spoils the sum, so it starts again without the offender."""
    sound = list(stored)
    while True:
        delta = Delta()
        for item in sound:
            try:
                fold(delta, item.item)
            except Exception as error:  # whatever a producer managed to send, the others must get through
                _set_aside(item, error, result)
                sound.remove(item)
                break
        else:
            return delta, sound


def _set_aside(stored: _Stored, error: Exception, result: Projected) -> None:
    log.warning("lineage.event_poison", event_id=stored.id, error=type(error).__name__)
    reason = f"{type(error).__name__}: {error}"
    fault = error if isinstance(error, Fault) else Fault("$", reason)
    quarantine(items=[(stored.body, "", fault)], producer=stored.producer, stage="projection", event_id=stored.id)
    POISON.inc()
    result.poison += 1


def events_refold(*, event_id: int | None, body: str | None) -> Fault | None:
    """Fold an event that was set aside once more, in the caller's transaction; why it cannot be folded still, or None.

    ``body``: what the quarantine kept of it when that is the whole, for an event whose partition retention has dropped.
    """
    with cursor_open() as cursor:
        item = _set_aside_before(cursor, event_id, body)
        if item is None:
            return Fault("$", "the event store has dropped the event, and only a part of its body was kept")
        delta = Delta()
        try:
            fold(delta, item)
            with transaction.atomic():
                cursor.execute(LOCK)
                changed = write(cursor, delta)
        except Exception as error:  # the same net as for events that are folded the first time
            return error if isinstance(error, Fault) else Fault("$", f"{type(error).__name__}: {error}")
        catalog_fill.datasets_announce(delta=delta, changed=changed)
    PROJECTED_EVENTS.inc()
    return None


def _set_aside_before(cursor: Cursor, event_id: int | None, body: str | None) -> Recorded | None:
    """From the ledger and the kept body where that is whole: it spares a search through every partition."""
    if body is not None:
        event = read(body)
        cursor.execute(
            "SELECT identity, recorded_at FROM lineage_eventidentity WHERE identity = %b",
            [event_identity(event, key=identity_key())],
        )
    else:
        cursor.execute("SELECT identity, recorded_at, body FROM lineage_event WHERE id = %b", [event_id])
    found = cursor.fetchone()
    if found is None:
        return None
    return Recorded(read(body if body is not None else found[2]), found[0], found[1])


def pending_measure() -> tuple[int, float]:
    """How many events wait and how old the oldest is, s; sets the metrics."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(recorded_at)), 0)::float8"
            " FROM lineage_pending"
        )
        pending, lag_s = cursor.fetchone()
    PENDING.set(pending)
    LAG.set(lag_s)
    return int(pending), float(lag_s)


def events_fold(cursor: Cursor, rows: Sequence[tuple[datetime, int, int]], result: Projected) -> None:
    """Fold stored events, given as ``events_next`` gives them, into the tables that the search path finds, and only there."""
    for chunk in _chunks([(event_id, recorded_at, size) for recorded_at, event_id, size in rows]):
        _fold_stored(cursor, _load(cursor, chunk), result, alone=True)


def events_next(
    cursor: Cursor, after: tuple[datetime, int] | None, *, before: datetime | None = None
) -> list[tuple[datetime, int, int]]:
    """The next thousand stored events in the order of their recording: (recorded at, id, bytes)."""
    bounds = ["(recorded_at, id) > (%s, %s)"] if after else []
    bounds += ["recorded_at < %s"] if before else []
    where = f"WHERE {' AND '.join(bounds)}" if bounds else ""
    cursor.execute(
        f"SELECT recorded_at, id, octet_length(body) FROM lineage_event {where} ORDER BY recorded_at, id LIMIT %s",  # noqa: S608
        [*(after or ()), *([before] if before else []), BATCH],
    )
    return list(cursor.fetchall())
