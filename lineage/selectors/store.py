"""Reads of the event store."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from controlplane.accounts.models import ApiKey
from lineage.models import PROJECTED, ForwardTarget, Quarantine

__all__ = [
    "EventRow",
    "bodies_mentioning",
    "events_of_run",
    "events_page",
    "events_pending",
    "forward_targets",
    "forward_waiting",
    "refused_events",
    "run_states",
    "status",
]

RUN_EVENTS_MAX = 500


@dataclass(frozen=True)
class EventRow:
    """A stored event. ``event`` is parsed when first asked for."""

    id: int
    recorded_at: datetime
    event_time: datetime
    event_type: str
    producer: str
    body: str

    @cached_property
    def event(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed


_COLUMNS = "id, recorded_at, event_time, event_type, producer, body"


def events_pending() -> bool:
    """Whether any event waits for projection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM lineage_pending)")
        return bool(cursor.fetchone()[0])


def events_of_run(
    run_id: uuid.UUID, *, known_from: datetime | None = None, as_of: datetime | None = None, limit: int = RUN_EVENTS_MAX
) -> list[EventRow]:
    """The newest events of a run, oldest first. ``known_from`` of the run spares the partitions before it."""
    bounds = [("AND recorded_at >= %s", known_from), ("AND recorded_at <= %s", as_of)]
    where = " ".join(text for text, value in bounds if value)
    parameters: list[uuid.UUID | datetime | int] = [run_id, *(value for _, value in bounds if value), limit]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM lineage_event WHERE run_id = %s {where}"  # noqa: S608
            " ORDER BY event_time DESC, identity DESC LIMIT %s",
            parameters,
        )
        return [EventRow(*row) for row in reversed(cursor.fetchall())]


def events_page(
    *,
    after: datetime | None = None,
    before: datetime | None = None,
    namespace: str | None = None,
    as_of: datetime | None = None,
    ascending: bool = False,
    limit: int = 100,
    offset: int = 0,
) -> list[EventRow]:
    """Events by event time, ``after`` inclusive and ``before`` exclusive; of a namespace, those of its jobs."""
    bounds: list[tuple[str, datetime | str | None]] = [
        ("event_time >= %s", after),
        ("event_time < %s", before),
        ("recorded_at <= %s", as_of),
        ("job_id IN (SELECT id FROM lineage_job WHERE namespace = %s)", namespace),
    ]
    used = [(text, value) for text, value in bounds if value is not None]
    where = f"WHERE {' AND '.join(text for text, _ in used)}" if used else ""
    order = "ASC" if ascending else "DESC"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM lineage_event {where} ORDER BY event_time {order}, id {order} LIMIT %s OFFSET %s",  # noqa: S608
            [*(value for _, value in used), limit, offset],
        )
        return [EventRow(*row) for row in cursor.fetchall()]


def forward_targets() -> QuerySet[ForwardTarget]:
    """Servers that events go on to, by name; also those that are no longer configured."""
    return ForwardTarget.objects.order_by("name")


def forward_waiting() -> list[str]:
    """Targets that have not been sent the newest event."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.name FROM lineage_forwardtarget t WHERE EXISTS (SELECT 1 FROM lineage_event e"
            " WHERE e.recorded_at >= t.position AND (e.recorded_at, e.id) > (t.position, t.position_id))"
        )
        return [row[0] for row in cursor.fetchall()]


def run_states(keys: Iterable[uuid.UUID], *, as_of: datetime) -> dict[uuid.UUID, tuple[str, datetime, bool]]:
    """State of runs as known at a moment: {run: (last event type, its time, whether it is final)}."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT ON (run_id) run_id, event_type, event_time, event_type IN ('COMPLETE', 'FAIL', 'ABORT')"
            " FROM lineage_event WHERE run_id = ANY(%s) AND recorded_at <= %s AND event_type <> 'OTHER'"
            " ORDER BY run_id, event_type IN ('COMPLETE', 'FAIL', 'ABORT') DESC, event_time DESC, identity DESC",
            [list(keys), as_of],
        )
        return {row[0]: (row[1], row[2], row[3]) for row in cursor.fetchall()}


def refused_events(*, key: ApiKey | None = None) -> QuerySet[Quarantine]:
    """Refused events, newest first; with a key, those it sent itself."""
    found = Quarantine.objects.order_by("-last_received_at")
    return found.filter(producer=key.name) if key else found


def bodies_mentioning(values: Iterable[str]) -> dict[str, int]:
    """Tables with bodies that hold one of the values (as JSON writes it, ignoring case) → how many rows. Reads every body."""
    values = list(values)
    patterns = [f"%{_escaped(json.dumps(value)[1:-1])}%" for value in values]
    patterns += [f"%{_escaped(value)}%" for value in values if not value.isascii()]
    found: dict[str, int] = {}
    if not patterns:
        return found
    with connection.cursor() as cursor:
        # Retention keeps the facets of events that it dropped in a schema of its own.
        cursor.execute("SELECT to_regnamespace('lineage_snapshot') IS NOT NULL")
        kept = ("lineage_snapshot.lineage_facet", "lineage_snapshot.lineage_runfacet") if cursor.fetchone()[0] else ()
        for table in ("lineage_event", "lineage_quarantine", "lineage_facet", "lineage_runfacet", *kept):
            cursor.execute(f"SELECT count(*) FROM {table} WHERE body::text ILIKE ANY(%s)", [patterns])  # noqa: S608
            if records := cursor.fetchone()[0]:
                found[table] = records
    return found


def _escaped(text: str) -> str:
    """For LIKE: the value is text, none of it a pattern."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def status() -> dict[str, int]:
    """How many rows each part of the store and of the graph holds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT (SELECT count(*) FROM lineage_event), (SELECT count(*) FROM lineage_pending)")
        events, pending = cursor.fetchone()
    counts = {"events": events, "pending": pending, "refused": Quarantine.objects.filter(state="open").count()}
    for model in PROJECTED:
        counts[model._meta.model_name or ""] = model._default_manager.count()
    return counts
