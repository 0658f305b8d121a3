"""Pending events into the graph: claimed in sets, folded in Python, written in sets."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
import structlog
from django.db import connection, transaction

from controlplane.telemetry.metrics import counter, gauge, histogram
from lineage.domain.delta import Delta
from lineage.domain.fold import Recorded, fold
from lineage.domain.ids import event_identity
from lineage.domain.spec import Fault
from lineage.domain.wire import read
from lineage.errors import IdentifierCollision
from lineage.models import PROJECTED
from lineage.services import catalog_fill
from lineage.services.ingest import identity_key, quarantine
from lineage.services.upsert import Cursor
from lineage.services.writer import write

__all__ = ["Projected", "events_refold", "graph_rebuild", "pending_measure", "pending_project"]

log = structlog.get_logger(__name__)
PROJECTED_EVENTS = counter("lineage_events_projected_total", "Events folded into the graph")
POISON = counter("lineage_events_poison_total", "Accepted events that could not be folded and were set aside")
PENDING = gauge("lineage_pending_events", "Events that wait for projection")
LAG = gauge("lineage_lag_seconds", "Age of the oldest event that waits for projection")
BATCH_SECONDS = histogram("lineage_projection_batch_seconds", "Time to fold and write one batch")

BATCH = 1000
CHUNK_BYTES = 16 * 2**20
# Writers take turns: registers are read, recomputed and written back. Parsing and folding, the dear part, happens before.
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('lineage.projection'))"
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
    with BATCH_SECONDS.time(), transaction.atomic(), _cursor() as cursor:
        cursor.execute(_CLAIM, [limit])
        claimed = sorted(cursor.fetchall())
        result = Projected()
        for chunk in _chunks(claimed):
            _fold_stored(cursor, _load(cursor, chunk), result)
    PROJECTED_EVENTS.inc(result.events)
    return result


def _cursor() -> Cursor:
    connection.ensure_connection()
    return psycopg.Cursor(connection.connection)


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


def _fold_stored(cursor: Cursor, stored: list[_Stored], result: Projected) -> None:
    delta, sound = _delta(stored, result)
    try:
        with transaction.atomic():
            cursor.execute(_LOCK)
            changed = write(cursor, delta)
    except (psycopg.Error, IdentifierCollision) as error:
        # One event of the set offends the database: halve until it stands alone, so that the others get through.
        if len(sound) > 1:
            half = len(sound) // 2
            _fold_stored(cursor, sound[:half], result)
            _fold_stored(cursor, sound[half:], result)
        elif sound:
            _set_aside(sound[0], error, result)
        return
    result.events += len(sound)
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
    with _cursor() as cursor:
        item = _set_aside_before(cursor, event_id, body)
        if item is None:
            return Fault("$", "the event store has dropped the event, and only a part of its body was kept")
        delta = Delta()
        try:
            fold(delta, item)
            with transaction.atomic():
                cursor.execute(_LOCK)
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


def graph_rebuild(*, until: float | None = None) -> Projected:
    """Fold every stored event again into emptied tables, in one transaction: readers see the old graph until it commits.

    Events that arrive meanwhile wait. ``until``: seconds after which to give up (nothing is then changed).
    """
    deadline = None if until is None else time.monotonic() + until
    result = Projected()
    with transaction.atomic(), _cursor() as cursor:
        cursor.execute(_LOCK)
        # Projectors that already claimed are past the lock or wait for it; what is pending is folded here once.
        for model in PROJECTED:
            cursor.execute(f"DELETE FROM {model._meta.db_table}")  # noqa: S608  (TRUNCATE would lock readers out)
        cursor.execute("SELECT event_id FROM lineage_pending FOR UPDATE SKIP LOCKED")
        waiting = {row[0] for row in cursor.fetchall()}
        after: tuple[datetime, int] | None = None
        while rows := _next_events(cursor, after):
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError("the rebuild took longer than allowed; the graph is as it was")
            after = (rows[-1][0], rows[-1][1])
            for chunk in _chunks([(event_id, recorded_at, size) for recorded_at, event_id, size in rows]):
                _fold_stored(cursor, _load(cursor, chunk), result)
        cursor.execute("DELETE FROM lineage_pending WHERE event_id = ANY(%b::bigint[])", [list(waiting)])
    return result


def _next_events(cursor: Cursor, after: tuple[datetime, int] | None) -> list[tuple[datetime, int, int]]:
    where, parameters = ("WHERE (recorded_at, id) > (%s, %s)", list(after)) if after else ("", [])
    cursor.execute(
        f"SELECT recorded_at, id, octet_length(body) FROM lineage_event {where} ORDER BY recorded_at, id LIMIT %s",  # noqa: S608
        [*parameters, BATCH],
    )
    return list(cursor.fetchall())
