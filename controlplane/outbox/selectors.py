"""Reads about the outbox."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db import connection
from django.db.models import Max
from django.utils import timezone

from controlplane.outbox.models import Relay

__all__ = ["Backlog", "backlog", "next_due_s", "relay_beat_age_s"]


@dataclass(frozen=True)
class Backlog:
    """What waits: ``pending`` are due or claimed, ``oldest_s`` is the age of the oldest that is overdue."""

    pending: int
    dead: int
    oldest_s: float


def backlog() -> Backlog:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FILTER (WHERE dead_at IS NULL), count(*) FILTER (WHERE dead_at IS NOT NULL),"
            " coalesce(extract(epoch FROM now() - min(due_at) FILTER (WHERE dead_at IS NULL)), 0)::float8"
            " FROM outbox_outboxmessage WHERE delivered_at IS NULL"
        )
        pending, dead, oldest_s = cursor.fetchone()
    return Backlog(pending=pending, dead=dead, oldest_s=max(oldest_s, 0.0))


def next_due_s() -> float | None:
    """Seconds until the next waiting message is due, by the database's clock; None when nothing waits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM due_at - clock_timestamp())::float8 FROM outbox_outboxmessage"
            " WHERE delivered_at IS NULL AND dead_at IS NULL ORDER BY due_at, id LIMIT 1"
        )
        row = cursor.fetchone()
    return None if row is None else float(row[0])


def relay_beat_age_s() -> float | None:
    """Seconds since a relay was last heard of; None when none is at work."""
    latest = Relay.objects.aggregate(latest=Max("beat_at"))["latest"]
    return None if latest is None else max((timezone.now() - latest) / timedelta(seconds=1), 0.0)
