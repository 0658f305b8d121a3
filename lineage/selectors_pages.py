"""Reads that only the pages need: moments of change, neighbours out of sight, lists."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from lineage import selectors
from lineage.models import Dataset, DatasetVersion, Job, Run, RunFacet
from lineage.selectors import Direction, Key

__all__ = [
    "Beyond",
    "beyond",
    "dataset_names",
    "dataset_row",
    "jobs_around",
    "moments",
    "run_children",
    "runs_of_dataset",
    "statistics",
    "version_before",
    "version_schema",
]

MOMENTS_MAX = 60
BEYOND_MAX = 600
DIRECTIONS: tuple[Direction, Direction] = ("upstream", "downstream")


@dataclass
class Beyond:
    """Neighbours of visible nodes that are not visible themselves: {node: how many}. ``open_ended``: at least that many."""

    up: dict[Key, int] = field(default_factory=dict)
    down: dict[Key, int] = field(default_factory=dict)


def beyond(visible: Collection[Key], *, as_of: datetime | None) -> Beyond:
    """What a further step from each visible node would add, on either side. Reads at most 600 nodes beyond."""
    found = Beyond()
    shown = set(visible)
    for direction in DIRECTIONS:
        graph = selectors.walk(sorted(shown), depth=1, direction=direction, as_of=as_of, limit=len(shown) + BEYOND_MAX)
        ends: dict[Key, set[Key]] = {}
        for origin, target in graph.edges:
            near, far = (target, origin) if direction == "upstream" else (origin, target)
            if near in shown and far not in shown:
                ends.setdefault(near, set()).add(far)
        side = found.up if direction == "upstream" else found.down
        side.update({key: len(keys) for key, keys in ends.items()})
    return found


def moments(visible: Iterable[Key]) -> list[datetime]:
    """When what is known of these nodes and their edges changed, oldest first, at most 60: the newest of each stretch."""
    keys = list(visible)
    nodes = [key for kind, key in keys if kind == "dataset"]
    jobs = [key for kind, key in keys if kind == "job"]
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH names AS (SELECT id FROM lineage_dataset WHERE node_id = ANY(%(nodes)s)),"
            " moments AS ("
            " SELECT known_from AS at FROM lineage_edge WHERE node_id = ANY(%(nodes)s) OR job_id = ANY(%(jobs)s)"
            " UNION SELECT known_to FROM lineage_edge WHERE known_to IS NOT NULL"
            " AND (node_id = ANY(%(nodes)s) OR job_id = ANY(%(jobs)s))"
            " UNION SELECT known_from FROM lineage_life WHERE dataset_id IN (SELECT id FROM names)"
            " UNION SELECT known_from FROM lineage_edgeclaim WHERE job_id = ANY(%(jobs)s)"
            " UNION SELECT known_to FROM lineage_edgeclaim WHERE job_id = ANY(%(jobs)s) AND known_to IS NOT NULL)"
            " SELECT max(at) FROM moments GROUP BY date_trunc('second', at) ORDER BY 1",
            {"nodes": nodes, "jobs": jobs},
        )
        found = [row[0] for row in cursor.fetchall()]
    if len(found) <= MOMENTS_MAX:
        return found
    step = len(found) / MOMENTS_MAX
    return [found[int((index + 1) * step) - 1] for index in range(MOMENTS_MAX)]


def jobs_around(dataset: Dataset) -> tuple[list[Job], list[Job]]:
    """Jobs that write a dataset and jobs that read it, by name."""
    sides: list[list[Job]] = []
    for direction in DIRECTIONS:
        graph = selectors.walk([("dataset", dataset.node_id)], depth=1, direction=direction, limit=BEYOND_MAX)
        jobs = selectors.jobs_by_id(key for kind, key in graph.nodes if kind == "job")
        sides.append(sorted(jobs.values(), key=lambda job: (job.namespace, job.name)))
    return sides[0], sides[1]


def runs_of_dataset(dataset_ids: Collection[int], *, direction: int | None = None, limit: int = 20) -> list[Run]:
    """Newest runs of the jobs around a dataset that named it, newest first."""
    where = "AND e.direction = %(direction)s" if direction else ""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.id FROM lineage_run r WHERE r.job_id IN"  # noqa: S608
            f" (SELECT e.job_id FROM lineage_edge e WHERE e.dataset_id = ANY(%(ids)s) {where})"
            " AND EXISTS (SELECT 1 FROM lineage_ioset s WHERE s.id = ANY(r.io_sets)"
            " AND (s.inputs && %(ids)s::bigint[] OR s.outputs && %(ids)s::bigint[]))"
            " ORDER BY r.first_time DESC LIMIT %(limit)s",
            {"ids": list(dataset_ids), "direction": direction, "limit": limit},
        )
        ids = [row[0] for row in cursor.fetchall()]
    return sorted(Run.objects.filter(id__in=ids), key=lambda run: run.first_time, reverse=True)


def run_children(run_id: uuid.UUID, *, limit: int = 200) -> list[Run]:
    """Runs that name this one as their parent, in the order in which they began."""
    return list(Run.objects.filter(parent_run_id=run_id).order_by("first_time", "id")[:limit])


def statistics(dataset_ids: Iterable[int], *, limit: int = 200) -> list[RunFacet]:
    """The newest facets of runs about a dataset (statistics, quality), oldest first."""
    rows = RunFacet.objects.filter(dataset_id__in=list(dataset_ids), deleted=False).order_by("-event_time")[:limit]
    return list(reversed(rows))


def version_before(version: DatasetVersion) -> DatasetVersion | None:
    """The version of the same kind that came before."""
    found: QuerySet[Any] = DatasetVersion.objects.filter(dataset_id=version.dataset_id, kind=version.kind)
    earlier: DatasetVersion | None = found.filter(first_time__lt=version.first_time).order_by("-first_time", "id").first()
    return earlier


def version_schema(version: DatasetVersion, dataset: Dataset) -> Any:
    """The ``schema`` facet that the event which first named a version carries; None when its body is past its retention."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e.body FROM lineage_eventidentity i JOIN lineage_event e"
            " ON e.recorded_at = i.recorded_at AND e.id = i.event_id WHERE i.identity = %s",
            [version.first_identity],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    event = json.loads(row[0])
    named = [event.get("dataset"), *(event.get("outputs") or ()), *(event.get("inputs") or ())]
    for item in named:
        if isinstance(item, dict) and (item.get("namespace"), item.get("name")) == (dataset.namespace, dataset.name):
            facet = (item.get("facets") or {}).get("schema")
            if facet is not None:
                return facet
    return {}


def dataset_row(dataset_id: int) -> Dataset | None:
    """A dataset under one of its names."""
    return Dataset.objects.filter(id=dataset_id).first()


def dataset_names(node_id: int) -> list[int]:
    """Identifiers of all names of a node."""
    return list(Dataset.objects.filter(node_id=node_id).values_list("id", flat=True))
