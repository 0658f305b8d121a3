"""What changed between two moments of knowledge."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from lineage.domain.nodes import SchemaChange, schema_changes
from lineage.models import Dataset, DatasetVersion
from lineage.selectors.columns import column_walk, fields_of
from lineage.selectors.edges import Column
from lineage.selectors.graph import Key, Subgraph, walk
from lineage.selectors.versions import version_facets
from lineage.selectors.visibility import View

__all__ = ["Changes", "SchemaStep", "changes_between", "changes_list", "schema_steps"]

CHANGES_MAX = 10_000
_ENDED = "SELECT dataset_id FROM lineage_life WHERE known_from > %(since)s AND known_from <= %(until)s"


@dataclass(frozen=True)
class SchemaStep:
    """A dataset's schema became another one. ``changes`` is empty when the events that say how are gone."""

    dataset_id: int
    known_from: datetime
    version: str
    before: str | None
    changes: tuple[SchemaChange, ...]


@dataclass
class Changes:
    """Nodes and edges that came and went. ``cut``: more changed than is told."""

    nodes_added: set[Key] = field(default_factory=set)
    nodes_removed: set[Key] = field(default_factory=set)
    edges_added: set[tuple[Key, Key]] = field(default_factory=set)
    edges_removed: set[tuple[Key, Key]] = field(default_factory=set)
    column_edges_added: set[tuple[Column, Column]] = field(default_factory=set)
    column_edges_removed: set[tuple[Column, Column]] = field(default_factory=set)
    schemas: list[SchemaStep] = field(default_factory=list)
    cut: bool = False


def changes_between(start: Key, *, since: datetime, until: datetime, depth: int, limit: int) -> Changes:
    """What changed around a node: the walk as known at either end, compared."""
    old, new = (walk([start], depth=depth, as_of=moment, limit=limit) for moment in (since, until))
    found = Changes(
        nodes_added=set(new.nodes) - set(old.nodes),
        nodes_removed=set(old.nodes) - set(new.nodes),
        edges_added=new.edges - old.edges,
        edges_removed=old.edges - new.edges,
        cut=old.cut or new.cut,
    )
    nodes = _datasets(old) | _datasets(new)
    if start[0] == "dataset":
        _columns(found, start[1], since, until, depth)
    members = Dataset.objects.filter(node_id__in=nodes).values_list("id", flat=True)
    found.schemas, more = schema_steps(since=since, until=until, datasets=list(members), limit=limit)
    found.cut = found.cut or more
    return found


def _datasets(graph: Subgraph) -> set[int]:
    return {key for kind, key in graph.nodes if kind == "dataset"}


def _columns(found: Changes, node: int, since: datetime, until: datetime, depth: int) -> None:
    edges = []
    for moment in (since, until):
        start = [(node, name) for name in fields_of([node], as_of=moment).get(node, ())]
        graph = column_walk(start, depth=depth, downstream=True, as_of=moment)
        found.cut = found.cut or graph.cut
        edges.append({(source, target) for source, target, _ in graph.edges})
    found.column_edges_added, found.column_edges_removed = edges[1] - edges[0], edges[0] - edges[1]


def changes_list(*, since: datetime, until: datetime, limit: int, namespace: str = "") -> Changes:
    """What changed anywhere, or in the datasets and jobs of a namespace.

    Edges that became known, and those that ended or came back with their dataset. Reads the edge table once through.
    """
    values: dict[str, Any] = {"since": since, "until": until, "limit": limit + 1, "namespace": namespace}
    there = " AND namespace = %(namespace)s" if namespace else ""
    window = "known_from > %(since)s AND known_from <= %(until)s"
    found = Changes()
    rows = _rows(f"SELECT DISTINCT node_id FROM lineage_dataset WHERE seen AND {window}{there} LIMIT %(limit)s", values)  # noqa: S608
    found.nodes_added |= {("dataset", row[0]) for row in rows}
    jobs = _rows(f"SELECT id FROM lineage_job WHERE {window}{there} LIMIT %(limit)s", values)  # noqa: S608
    found.nodes_added |= {("job", row[0]) for row in jobs}
    lives = _lives(values, there)
    found.nodes_removed |= {("dataset", node) for node, before, after in lives if before and not after}
    found.nodes_added |= {("dataset", node) for node, before, after in lives if after and not before}
    edges = _edges(values, namespace)
    for job, node, direction, before, after in edges:
        one: tuple[Key, Key] = (("dataset", node), ("job", job))
        edge = one if direction == 1 else (one[1], one[0])
        if before != after:
            (found.edges_added if after else found.edges_removed).add(edge)
    ids = None
    if namespace:
        ids = [row[0] for row in _rows("SELECT id FROM lineage_dataset WHERE namespace = %(namespace)s", values)]
    found.schemas, more = schema_steps(since=since, until=until, datasets=ids, limit=limit)
    found.cut = more or any(len(part) > limit for part in (rows, jobs, lives, edges))
    return found


def _lives(values: dict[str, Any], there: str) -> list[tuple[int, bool, bool]]:
    before, after = (View(values[moment], moment).alive("d") for moment in ("since", "until"))
    return _rows(
        f"SELECT d.node_id, d.known_from <= %(since)s AND {before}, {after} FROM lineage_dataset d"  # noqa: S608
        f" WHERE d.seen{there} AND d.id IN ({_ENDED}) LIMIT %(limit)s",
        values,
    )


def _edges(values: dict[str, Any], namespace: str) -> list[tuple[int, int, int, bool, bool]]:
    there = " AND (j.namespace = %(namespace)s OR d.namespace = %(namespace)s)" if namespace else ""
    before, after = (View(values[moment], moment).edges("e") for moment in ("since", "until"))
    return _rows(
        f"SELECT e.job_id, e.node_id, e.direction, bool_or({before}), bool_or({after}) FROM lineage_edge e"  # noqa: S608
        " JOIN lineage_dataset d ON d.id = e.dataset_id JOIN lineage_job j ON j.id = e.job_id"
        " WHERE (e.known_from > %(since)s AND e.known_from <= %(until)s"
        f" OR e.known_to > %(since)s AND e.known_to <= %(until)s){there}"
        " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LIMIT %(limit)s",
        values,
    )


def _rows(sql: str, values: dict[str, Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


def schema_steps(
    *, since: datetime, until: datetime, datasets: Iterable[int] | None = None, limit: int = CHANGES_MAX
) -> tuple[list[SchemaStep], bool]:
    """Schemas that became known between two moments, and whether there are more than ``limit``; the first is no change."""
    rows = DatasetVersion.objects.filter(kind="schema", known_from__gt=since, known_from__lte=until)
    if datasets is not None:
        rows = rows.filter(dataset_id__in=list(datasets))
    wanted = list(rows.order_by("known_from", "id")[: limit + 1])
    history: dict[int, list[DatasetVersion]] = {}
    every = DatasetVersion.objects.filter(kind="schema", dataset_id__in={row.dataset_id for row in wanted})
    for row in every.order_by("first_time", "id"):
        history.setdefault(row.dataset_id, []).append(row)
    known = {row.id: row for row in Dataset.objects.filter(id__in=history)}
    steps = []
    for row in wanted[:limit]:
        line = history[row.dataset_id]
        at = next(index for index, item in enumerate(line) if item.id == row.id)
        if at == 0:
            continue
        before = line[at - 1]
        facets = version_facets(known[row.dataset_id], [before, row]) if row.dataset_id in known else {}
        change = schema_changes(*(facets.get(item.id, {}).get("schema") for item in (before, row)))
        steps.append(SchemaStep(row.dataset_id, row.known_from, row.version, before.version, tuple(change)))
    return steps, len(wanted) > limit
