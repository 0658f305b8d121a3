"""Weekly partitions of the event table: made ahead, dropped by retention."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

__all__ = ["AHEAD", "partitions_ensure"]

AHEAD = 8  # weeks
WEEK = timedelta(days=7)


def monday(moment: datetime) -> datetime:
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=day.weekday())


def partition_name(start: datetime) -> str:
    return f"lineage_event_{start:%Y%m%d}"


def partitions_ensure(*, ahead: int = AHEAD, now: datetime | None = None) -> list[str]:
    """Make the partitions of this week and the next ones; returns the names of those that were missing.

    Rows that reached the default partition meanwhile (nothing made partitions for two months) are moved, because
    PostgreSQL refuses a partition whose rows stand in the default one.
    """
    first = monday(now or timezone.now())
    wanted = [first + WEEK * index for index in range(ahead + 1)]
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'lineage_event'::regclass")
        present = {row[0] for row in cursor.fetchall()}
    made = [start for start in wanted if partition_name(start) not in present]
    for start in made:
        _make(start)
    return [partition_name(start) for start in made]


@transaction.atomic
def _make(start: datetime) -> None:
    name, end = partition_name(start), start + WEEK
    bounds = [start.isoformat(), end.isoformat()]
    with connection.cursor() as cursor:
        # Several relays or a migration may be at it; the name is ours (a date), the bounds are literals of our making.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('lineage.partitions'))")
        cursor.execute("SELECT to_regclass(%s)", [name])
        if cursor.fetchone() != (None,):
            return
        cursor.execute(f"CREATE TABLE {name} (LIKE lineage_event INCLUDING ALL)")
        cursor.execute(
            f"WITH moved AS (DELETE FROM lineage_event_default WHERE recorded_at >= %s AND recorded_at < %s RETURNING *)"  # noqa: S608
            f" INSERT INTO {name} SELECT * FROM moved",
            bounds,
        )
        cursor.execute(f"ALTER TABLE lineage_event ATTACH PARTITION {name} FOR VALUES FROM (%s) TO (%s)", bounds)
