"""Versions of datasets and of jobs, and the events that made them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from lineage.models import Dataset, DatasetVersion, IoSet, Job
from lineage.selectors.store import EventRow

__all__ = ["JobVersion", "current_versions", "job_version_id", "job_versions", "version_facets", "version_get", "versions"]

JOB_VERSIONS_MAX = 1000
_ROOT = uuid.UUID("7d0f6c0e-9f5c-5c51-9a0d-0d8f3c1b6a51")


@dataclass(frozen=True)
class JobVersion:
    """A job with one set of inputs and outputs: what its runs, each over all its events, named."""

    version: uuid.UUID
    io_sets: tuple[int, ...]
    first_time: datetime
    known_from: datetime
    latest_run_id: uuid.UUID
    runs: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def versions(dataset_id: int, *, as_of: datetime | None = None) -> QuerySet[DatasetVersion]:
    found = DatasetVersion.objects.filter(dataset_id=dataset_id).order_by("-first_time", "id")
    return found if as_of is None else found.filter(known_from__lte=as_of)


def version_get(dataset_id: int, version: str) -> DatasetVersion | None:
    return DatasetVersion.objects.filter(dataset_id=dataset_id, version=version).order_by("-first_time", "id").first()


def current_versions(keys: Iterable[int], *, as_of: datetime | None = None) -> dict[int, str]:
    """The newest version of each dataset that has any."""
    found = DatasetVersion.objects.filter(dataset_id__in=list(keys))
    if as_of is not None:
        found = found.filter(known_from__lte=as_of)
    rows = found.order_by("dataset_id", "-first_time", "id").distinct("dataset_id")
    return dict(rows.values_list("dataset_id", "version"))


def version_facets(dataset: Dataset, rows: Sequence[DatasetVersion]) -> dict[int, dict[str, Any]]:
    """What the event that made each version said of the dataset: {id of the version: facets}; none when retention took it."""
    found: dict[int, dict[str, Any]] = {}
    by_identity = {row.first_identity: row.id for row in rows}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, recorded_at, event_time, event_type, producer, body, identity FROM lineage_event"
            " WHERE event_time = ANY(%s) AND identity = ANY(%s)",
            [[row.first_time for row in rows], list(by_identity)],
        )
        events = [(EventRow(*row[:6]), row[6]) for row in cursor.fetchall()]
    for event, identity in events:
        found[by_identity[identity]] = _facets_of(event.event, dataset)
    return found


def _facets_of(event: dict[str, Any], dataset: Dataset) -> dict[str, Any]:
    made: dict[str, Any] = {}
    sides = [event.get("inputs") or [], event.get("outputs") or [], [event.get("dataset") or {}]]
    for item in (item for side in sides for item in side):
        if (item.get("namespace"), item.get("name")) == (dataset.namespace, dataset.name):
            made |= {name: body for name, body in (item.get("facets") or {}).items() if isinstance(body, dict)}
    return dict(sorted(made.items()))


def job_versions(job: Job, *, as_of: datetime | None = None) -> list[JobVersion]:
    """Versions of a job, newest first, at most 1,000."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT io_sets, min(first_time), min(known_from), (array_agg(id ORDER BY first_time DESC))[1], count(*) FROM ("
            " SELECT ARRAY(SELECT unnest(r.io_sets) ORDER BY 1) AS io_sets, r.first_time, r.known_from, r.id"
            " FROM lineage_run r WHERE r.job_id = %s AND r.known_from <= coalesce(%s, 'infinity'::timestamptz)) v"
            " GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %s",
            [job.id, as_of, JOB_VERSIONS_MAX],
        )
        rows = cursor.fetchall()
    sets = {item.id: item for item in IoSet.objects.filter(id__in={key for row in rows for key in row[0]})}
    made = []
    for io_sets, first_time, known_from, run_id, count in rows:
        named = [sets[key] for key in io_sets if key in sets]
        inputs = sorted({key for item in named for key in item.inputs})
        outputs = sorted({key for item in named for key in item.outputs})
        version = job_version_id(job.id, io_sets)
        made.append(JobVersion(version, tuple(io_sets), first_time, known_from, run_id, count, tuple(inputs), tuple(outputs)))
    return made


def job_version_id(job_id: int, io_sets: Iterable[int]) -> uuid.UUID:
    """A function of the job and of what its run named, so that it stays the same over rebuilds."""
    return uuid.uuid5(_ROOT, f"{job_id}:{','.join(str(key) for key in sorted(io_sets))}")
