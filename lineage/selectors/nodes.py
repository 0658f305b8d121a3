"""Datasets, jobs and runs by name; lists and search."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Length

from lineage.domain import ids
from lineage.domain.nodes import NodeName, readings
from lineage.errors import NodeIdInvalid, NodeUnknown
from lineage.models import Dataset, Facet, Field, IoSet, Job, Namespace, Place, Run, RunFacet, Symlink
from lineage.selectors.visibility import View

__all__ = [
    "Found",
    "Resolved",
    "aliases",
    "alive",
    "dataset_get",
    "datasets",
    "datasets_by_id",
    "facets",
    "job_get",
    "jobs",
    "jobs_by_id",
    "namespaces",
    "node_resolve",
    "run_datasets",
    "run_facets",
    "run_get",
    "runs",
    "search",
]


@dataclass(frozen=True)
class Resolved:
    """The node that a node id names. ``key``: node of the dataset, or id of the job; ``field``: for a column."""

    name: NodeName
    key: int


@dataclass(frozen=True)
class Found:
    """A hit of the search."""

    kind: str
    namespace: str
    name: str
    updated_at: datetime

    @property
    def node_id(self) -> str:
        return f"{self.kind}:{self.namespace}:{self.name}"


def node_resolve(node_id: str, *, as_of: datetime | None = None) -> Resolved:
    """The node of a node id. Raises NodeIdInvalid when it is none, NodeUnknown when no event ever named it.

    A dataset that was renamed leads to what it became; with ``as_of``, to what it was then.
    """
    named = readings(node_id)
    if not named:
        raise NodeIdInvalid("a node id is dataset:<namespace>:<name>, job:<namespace>:<name> or datasetField:…:<field>")
    if named[0].kind == "job":
        by_id = {ids.job_id(name.namespace, name.name): name for name in named}
        for job in Job.objects.filter(id__in=by_id):
            return Resolved(by_id[job.id], job.id)
        raise NodeUnknown(f"no event names {node_id}")
    by_dataset: dict[int, list[NodeName]] = {}
    for name in named:
        by_dataset.setdefault(ids.dataset_id(name.namespace, name.name), []).append(name)
    for dataset in Dataset.objects.filter(id__in=by_dataset).order_by("-seen", "id"):
        node = _node(dataset, as_of)
        for name in by_dataset[dataset.id]:
            if name.kind == "dataset" or _has_field(node, name.field):
                return Resolved(name, node)
    # A name that only a symlink knows leads to the dataset it belongs to.
    for link in Symlink.objects.filter(alias_id__in=by_dataset).order_by("id"):
        named_by = Dataset.objects.filter(id=link.dataset_id).first()
        if named_by is None:
            continue
        node, name = _node(named_by, as_of), by_dataset[link.alias_id][0]
        if name.kind == "dataset" or _has_field(node, name.field):
            return Resolved(name, node)
    raise NodeUnknown(f"no event names {node_id}")


def _node(dataset: Dataset, as_of: datetime | None) -> int:
    if as_of is None:
        return dataset.node_id
    places = Place.objects.filter(Q(known_to=None) | Q(known_to__gt=as_of), dataset_id=dataset.id, known_from__lte=as_of)
    found = places.order_by(F("until_time").desc(nulls_first=True)).values_list("node_id", flat=True).first()
    return dataset.id if found is None else found


def _has_field(node: int, field: str) -> bool:
    members = Place.objects.filter(node_id=node).values_list("dataset_id", flat=True)
    return Field.objects.filter(dataset_id__in=list(members), name=field).exists()


def datasets_by_id(keys: Iterable[int]) -> dict[int, Dataset]:
    """Nodes of datasets by their key, each under its canonical name."""
    return {item.id: item for item in Dataset.objects.filter(id__in=list(keys))}


def jobs_by_id(keys: Iterable[int]) -> dict[int, Job]:
    return {item.id: item for item in Job.objects.filter(id__in=list(keys))}


def namespaces(*, as_of: datetime | None = None) -> QuerySet[Namespace]:
    found = Namespace.objects.order_by("name")
    return found if as_of is None else found.filter(known_from__lte=as_of)


def datasets(*, namespace: str | None = None, as_of: datetime | None = None) -> QuerySet[Dataset]:
    """Datasets that events named as such, by name."""
    found = Dataset.objects.filter(seen=True).order_by("namespace", "name")
    found = found if as_of is None else found.filter(known_from__lte=as_of)
    return found if namespace is None else found.filter(namespace=namespace)


def jobs(*, namespace: str | None = None, as_of: datetime | None = None) -> QuerySet[Job]:
    found = Job.objects.order_by("namespace", "name")
    found = found if as_of is None else found.filter(known_from__lte=as_of)
    return found if namespace is None else found.filter(namespace=namespace)


def dataset_get(namespace: str, name: str, *, as_of: datetime | None = None) -> Dataset | None:
    """The dataset of this name; None also when it became known after ``as_of``."""
    row = Dataset.objects.filter(id=ids.dataset_id(namespace, name)).first()
    return None if row is None or (as_of is not None and row.known_from > as_of) else row


def job_get(namespace: str, name: str, *, as_of: datetime | None = None) -> Job | None:
    row = Job.objects.filter(id=ids.job_id(namespace, name)).first()
    return None if row is None or (as_of is not None and row.known_from > as_of) else row


def alive(keys: Iterable[int], *, as_of: datetime) -> set[int]:
    """Which of these datasets had not ended, as known then."""
    view = View(as_of)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT d.id FROM lineage_dataset d WHERE d.id = ANY(%(keys)s) AND {view.alive('d')}",  # noqa: S608
            {"keys": list(keys), **view.values},
        )
        return {row[0] for row in cursor.fetchall()}


def runs(*, job_id: int | None = None, as_of: datetime | None = None) -> QuerySet[Run]:
    """Runs, newest first."""
    found = Run.objects.order_by("-first_time", "id")
    found = found if as_of is None else found.filter(known_from__lte=as_of)
    return found if job_id is None else found.filter(job_id=job_id)


def run_get(run_id: uuid.UUID, *, as_of: datetime | None = None) -> Run | None:
    row = Run.objects.filter(id=run_id).first()
    return None if row is None or (as_of is not None and row.known_from > as_of) else row


def run_datasets(run: Run) -> tuple[list[Dataset], list[Dataset]]:
    """Inputs and outputs of a run: what all its events named, united."""
    sets = list(IoSet.objects.filter(id__in=run.io_sets))
    inputs = {key for item in sets for key in item.inputs}
    outputs = {key for item in sets for key in item.outputs}
    named = {item.id: item for item in Dataset.objects.filter(id__in=inputs | outputs)}

    def ordered(keys: set[int]) -> list[Dataset]:
        return sorted((named[key] for key in keys if key in named), key=lambda item: (item.namespace, item.name))

    return ordered(inputs), ordered(outputs)


def run_facets(run_id: uuid.UUID) -> list[RunFacet]:
    """Input and output facets of a run's datasets: statistics, quality results."""
    return list(RunFacet.objects.filter(run_id=run_id, deleted=False).order_by("direction", "dataset_id", "name"))


def facets(
    kind: str, keys: Iterable[int], *, names: Iterable[str] | None = None, as_of: datetime | None = None
) -> dict[int, dict[str, Any]]:
    """The latest facets of datasets or jobs: {id: {name: body}}. With ``as_of``, less those that changed after it."""
    found = Facet.objects.filter(subject_kind=kind, subject_id__in=list(keys), deleted=False)
    if as_of is not None:
        found = found.filter(recorded_at__lte=as_of)
    if names is not None:
        found = found.filter(name__in=list(names))
    by_id: dict[int, dict[str, Any]] = {}
    for subject, name, body in found.order_by("name").values_list("subject_id", "name", "body"):
        by_id.setdefault(subject, {})[name] = body
    return by_id


def aliases(nodes: Iterable[int]) -> Mapping[int, list[tuple[str, str]]]:
    """Every name of the nodes: names of joined datasets and names that only symlinks know."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT node_id, namespace, name FROM lineage_dataset WHERE node_id = ANY(%s)"
            " UNION SELECT d.node_id, s.namespace, s.name FROM lineage_dataset d JOIN lineage_symlink s ON s.dataset_id = d.id"
            " WHERE d.node_id = ANY(%s) AND (d.symlinks_removed_at IS NULL OR s.last_time > d.symlinks_removed_at)"
            " ORDER BY 1, 2, 3",
            [list(nodes), list(nodes)],
        )
        found: dict[int, list[tuple[str, str]]] = {}
        for node, namespace, name in cursor.fetchall():
            found.setdefault(node, []).append((namespace, name))
    return found


def search(
    text: str,
    *,
    kind: str = "",
    namespace: str = "",
    limit: int = 10,
    newest_first: bool = False,
    after: datetime | None = None,
    before: datetime | None = None,
    as_of: datetime | None = None,
    pattern: bool = False,
) -> list[Found]:
    """Datasets and jobs whose name contains the text, ignoring case; shortest names first, or those last heard of.

    As a ``pattern`` the text is that of the whole name, with ``%`` and ``_`` as LIKE has them. ``after`` and ``before`` bound
    the time of the last event.
    """
    found: list[Found] = []
    bounds = {"namespace": namespace or None, "last_event_at__gte": after, "last_event_at__lt": before}
    wanted = {name: value for name, value in bounds.items() if value is not None}
    order = ("-last_event_at", "name") if newest_first else (Length("name"), "name", "namespace")
    sources: list[tuple[str, QuerySet[Any]]] = [("dataset", datasets(as_of=as_of)), ("job", jobs(as_of=as_of))]
    for sort, every in sources:
        if kind in {"", sort}:
            rows = (
                (_like(every, text) if pattern else every.filter(name__icontains=text))
                .filter(**wanted)
                .order_by(*order)[:limit]
            )
            found += [Found(sort, row.namespace, row.name, row.last_event_at) for row in rows]
    if newest_first:
        return sorted(found, key=lambda item: (-item.updated_at.timestamp(), item.name))[:limit]
    return sorted(found, key=lambda item: (len(item.name), item.name, item.namespace, item.kind))[:limit]


def _like(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    pattern = "".join(".*" if char == "%" else "." if char == "_" else re.escape(char) for char in text)
    return rows.filter(name__iregex=f"^{pattern}$")
