"""Sources, tags and counts over time: what Marquez's first pages show."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.utils import timezone

from lineage.selectors.filters import PERSONAL, SENSITIVE

__all__ = ["DEFAULT_SOURCE", "Source", "known_through", "sources", "stats_assets", "stats_events", "tag_names", "tag_text"]

DEFAULT_SOURCE = "default"
TAGS_MAX = 10_000


@dataclass(frozen=True)
class Source:
    """A system that datasets live in, from their ``dataSource`` facets."""

    name: str
    uri: str
    known_from: datetime
    updated_at: datetime
    datasets: int

    @property
    def type(self) -> str:
        """The scheme of its address: POSTGRESQL, S3; FILE for a path, UNKNOWN without an address."""
        scheme, colon, _ = self.uri.removeprefix("jdbc:").partition(":")
        if colon and "/" not in scheme:
            return scheme.upper()
        return "FILE" if self.uri.startswith("/") else "UNKNOWN"


def known_through(as_of: datetime | None = None) -> datetime:
    """Every event recorded before this moment is in the graph."""
    with connection.cursor() as cursor:
        # Events wait in the order of their numbers, so the first of them is the oldest (or within a transaction of it).
        cursor.execute("SELECT recorded_at FROM lineage_pending ORDER BY event_id LIMIT 1")
        row = cursor.fetchone()
    now = row[0] if row else timezone.now()
    return min(now, as_of) if as_of else now


def sources(*, name: str | None = None, as_of: datetime | None = None) -> list[Source]:
    """Sources by name. Reads every ``dataSource`` facet; with ``as_of``, those of datasets known then."""
    where, values = ("AND f.body ->> 'name' = %(name)s", {"name": name}) if name is not None else ("", {})
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT f.body ->> 'name', coalesce(max(f.body ->> 'uri'), ''), min(d.known_from), max(d.last_event_at), count(*)"  # noqa: S608
            " FROM lineage_facet f JOIN lineage_dataset d ON d.id = f.subject_id"
            f" WHERE f.subject_kind = 'dataset' AND f.name = 'dataSource' AND NOT f.deleted {where}"
            " AND jsonb_typeof(f.body -> 'name') = 'string' AND d.known_from <= coalesce(%(as_of)s, 'infinity'::timestamptz)"
            " GROUP BY 1 ORDER BY 1",
            {**values, "as_of": as_of},
        )
        return [Source(*row) for row in cursor.fetchall()]


def tag_names() -> dict[str, str]:
    """Every tag with its description: those of contracts, and those that ``tags`` facets name."""
    found = {
        PERSONAL: "Personal data, by the contract of the dataset",
        SENSITIVE: "Highly sensitive, by the contract of the dataset",
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT t ->> 'key', coalesce(t ->> 'value', '') FROM lineage_facet f"
            " CROSS JOIN LATERAL jsonb_array_elements(CASE jsonb_typeof(f.body -> 'tags') WHEN 'array' THEN f.body -> 'tags'"
            " ELSE '[]' END) t WHERE f.name = 'tags' AND NOT f.deleted AND t ->> 'key' IS NOT NULL ORDER BY 1, 2 LIMIT %s",
            [TAGS_MAX],
        )
        for key, value in cursor.fetchall():
            found.setdefault(tag_text(key, value), "From a tags facet")
    return dict(sorted(found.items()))


def tag_text(key: str, value: Any) -> str:
    """A tag as one word, as Marquez has them; OpenLineage's have a key and mostly a value."""
    text = "" if value is None else str(value)
    return key if text.lower() in {"", "true"} else f"{key}:{text}"


def stats_events(*, period: str, zone: ZoneInfo, until: datetime) -> list[dict[str, Any]]:
    """Run events by their time: the last 24 hours by hour, or the last 7 days by day of ``zone``."""
    bounds = _bounds(period, zone, until)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT width_bucket(event_time, %s::timestamptz[]), count(*) FILTER (WHERE event_type = 'FAIL'),"
            " count(*) FILTER (WHERE event_type = 'START'), count(*) FILTER (WHERE event_type = 'COMPLETE'),"
            " count(*) FILTER (WHERE event_type = 'ABORT') FROM lineage_event"
            " WHERE event_time >= %s AND event_time < %s AND kind = 'run' GROUP BY 1",
            [bounds[:-1], bounds[0], bounds[-1]],
        )
        counted = {row[0]: row[1:] for row in cursor.fetchall()}
    return [
        {"startInterval": low, "endInterval": high, **dict(zip(("fail", "start", "complete", "abort"), counts, strict=True))}
        for number, (low, high) in enumerate(itertools.pairwise(bounds), 1)
        for counts in [counted.get(number, (0, 0, 0, 0))]
    ]


def stats_assets(kind: str, *, period: str, zone: ZoneInfo, until: datetime) -> list[dict[str, Any]]:
    """How many datasets, jobs or sources were known at the end of each hour or day."""
    bounds = _bounds(period, zone, until)
    query = {
        "datasets": "SELECT known_from FROM lineage_dataset WHERE seen",
        "jobs": "SELECT known_from FROM lineage_job",
        "sources": "SELECT min(d.known_from) AS known_from FROM lineage_facet f JOIN lineage_dataset d ON d.id = f.subject_id"
        " WHERE f.subject_kind = 'dataset' AND f.name = 'dataSource' AND NOT f.deleted GROUP BY f.body ->> 'name'",
    }[kind]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT width_bucket(known_from, %s::timestamptz[]), count(*) FROM ({query}) k GROUP BY 1",  # noqa: S608
            [bounds[1:]],
        )
        counted = dict(cursor.fetchall())
    total, shown = 0, []
    for number, (low, high) in enumerate(itertools.pairwise(bounds)):
        total += counted.get(number, 0)
        shown.append({"startInterval": low, "endInterval": high, "count": total})
    return shown


def _bounds(period: str, zone: ZoneInfo, until: datetime) -> list[datetime]:
    local = until.astimezone(zone)
    if period == "DAY":
        last = local.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        return [last.astimezone(ZoneInfo("UTC")) - timedelta(hours=24 - number) for number in range(25)]
    # By the calendar: a day in which the clock changes has 23 or 25 hours.
    days = [local.date() + timedelta(days=1 - 7 + number) for number in range(8)]
    return [datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(ZoneInfo("UTC")) for day in days]
