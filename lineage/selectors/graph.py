"""Walks over jobs and datasets: breadth first, one bounded query per step, nearest nodes first when the answer is cut."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from django.db import connection

from lineage.domain.delta import INPUT, OUTPUT
from lineage.selectors.visibility import View

__all__ = ["Direction", "Subgraph", "path_between", "walk"]

Direction = Literal["upstream", "downstream", "both"]
# (kind, id): datasets by the id of their node, jobs by their own.
Key = tuple[Literal["dataset", "job"], int]
MAX_NODES = 2_000
MAX_DEPTH = 100
PATH_NODES = 50_000


@dataclass
class Subgraph:
    """Part of the graph. ``more`` are nodes whose neighbours were left out, because of the depth or of the node limit."""

    nodes: dict[Key, int] = field(default_factory=dict)
    edges: set[tuple[Key, Key]] = field(default_factory=set)
    more: set[Key] = field(default_factory=set)
    cut: bool = False


@dataclass(frozen=True, slots=True)
class _Step:
    """From a node, over a job, to a dataset (or the reverse): one edge, or two with the job between them."""

    origin: Key
    path: tuple[Key, ...]


def walk(
    start: Iterable[Key], *, depth: int, direction: Direction = "both", as_of: datetime | None = None, limit: int = MAX_NODES
) -> Subgraph:
    """Everything within ``depth`` steps (dataset → job → dataset is one) of the start, at most ``limit`` nodes.

    Upstream of the upstream and downstream of the downstream, as lineage means it; not the whole connected component.
    """
    view = View(as_of)
    found = Subgraph(nodes=dict.fromkeys(start, 0))
    for one in ("upstream", "downstream") if direction == "both" else (direction,):
        _walk_one_way(found, list(start), view, min(depth, MAX_DEPTH), downstream=one == "downstream", limit=limit)
    return found


def _walk_one_way(found: Subgraph, start: list[Key], view: View, depth: int, *, downstream: bool, limit: int) -> None:
    frontier = set(start)
    reached = set(start)
    for level in range(1, depth + 1):
        if not frontier:
            return
        following: set[Key] = set()
        for step in _steps(frontier, view, downstream=downstream):
            fresh = [key for key in step.path if key not in found.nodes]
            if len(found.nodes) + len(fresh) > limit:
                found.cut = True
                found.more.add(step.origin)
                continue
            ends = (step.origin, *step.path)
            for left, right in itertools.pairwise(ends):
                found.edges.add((left, right) if downstream else (right, left))
            for key in fresh:
                found.nodes[key] = level if downstream else -level
            # The walk goes on from datasets: what a job reaches on its other side is part of the step over it.
            if step.path[-1][0] == "dataset" and step.path[-1] not in reached:
                following.add(step.path[-1])
        reached |= following
        frontier = following
    if frontier:
        steps = _steps(frontier, view, downstream=downstream)
        beyond = {step.origin for step in steps if any(key not in found.nodes for key in step.path)}
        found.more |= beyond
        found.cut = found.cut or bool(beyond)


def path_between(origin: Key, target: Key, *, as_of: datetime | None = None) -> tuple[list[Key], bool]:
    """The shortest way downstream from one node to another, ends included; empty when there is none.

    The second value tells that the search was cut at 50,000 nodes, so that an empty answer proves nothing.
    """
    view = View(as_of)
    came_from: dict[Key, tuple[Key, ...]] = {origin: ()}
    frontier = {origin}
    while frontier and target not in came_from:
        following: set[Key] = set()
        for step in _steps(frontier, view, downstream=True):
            for index, key in enumerate(step.path):
                if key not in came_from:
                    came_from[key] = (step.origin, *step.path[:index])
                    following.add(key)
        if len(came_from) > PATH_NODES:
            return _trail(came_from, target), target not in came_from
        frontier = {key for key in following if key[0] == "dataset"}
    return _trail(came_from, target), False


def _trail(came_from: dict[Key, tuple[Key, ...]], target: Key) -> list[Key]:
    if target not in came_from:
        return []
    trail = [target]
    while before := came_from[trail[0]]:
        trail[:0] = before
    return trail


def _steps(frontier: set[Key], view: View, *, downstream: bool) -> list[_Step]:
    """One step from each node of the frontier, in a fixed order."""
    datasets = [key for kind, key in frontier if kind == "dataset"]
    jobs = [key for kind, key in frontier if kind == "job"]
    steps: list[_Step] = []
    if jobs:
        side = OUTPUT if downstream else INPUT
        steps += [_Step(("job", job), (("dataset", node),)) for job, node, _ in _of_jobs(jobs, side, view)]
    if datasets:
        steps += _over_jobs(datasets, view, downstream=downstream)
        steps += _explicit(datasets, view, downstream=downstream)
    return sorted(set(steps), key=lambda step: (step.origin, step.path))


def _over_jobs(datasets: list[int], view: View, *, downstream: bool) -> list[_Step]:
    near, far = (INPUT, OUTPUT) if downstream else (OUTPUT, INPUT)
    touching = _of_datasets(datasets, near, view)
    # An explicit output is fed by what its facet names, not by all inputs: those edges come from ``_explicit``.
    crossing = [(job, node) for job, node, explicit in touching if downstream or not explicit]
    beyond: dict[int, list[int]] = {}
    for job, node, explicit in _of_jobs(sorted({job for job, _ in crossing}), far, view):
        if not (downstream and explicit):
            beyond.setdefault(job, []).append(node)
    steps = [
        _Step(("dataset", node), (("job", job), ("dataset", other))) for job, node in crossing for other in beyond.get(job, ())
    ]
    # A job with nothing on its other side belongs to the answer all the same.
    return steps + [_Step(("dataset", node), (("job", job),)) for job, node, _ in touching]


def _of_datasets(nodes: list[int], direction: int, view: View) -> list[tuple[int, int, bool]]:
    return _edges("e.node_id = ANY(%s)", nodes, direction, view)


def _of_jobs(jobs: list[int], direction: int, view: View) -> list[tuple[int, int, bool]]:
    return _edges("e.job_id = ANY(%s)", jobs, direction, view) if jobs else []


def _edges(where: str, keys: list[int], direction: int, view: View) -> list[tuple[int, int, bool]]:
    visible, parameters = view.edges("e", "d")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e.job_id, e.node_id, bool_or(e.explicit) FROM lineage_edge e JOIN lineage_dataset d ON d.id = e.dataset_id"  # noqa: S608
            f" WHERE {where} AND e.direction = %s AND {visible} GROUP BY 1, 2",
            [keys, direction, *parameters],
        )
        return list(cursor.fetchall())


def _explicit(nodes: list[int], view: View, *, downstream: bool) -> list[_Step]:
    """Edges between datasets that a ``lineage`` facet states."""
    near, far = ("source", "target") if downstream else ("target", "source")
    rules, rule_values = view.claims("c")
    near_there, near_values = view.datasets("n", "c")
    far_there, far_values = view.datasets("f", "c")
    parameters: list[Any] = [nodes, *rule_values, *near_values, *far_values]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT n.node_id, c.job_id, f.node_id FROM lineage_dataset n"  # noqa: S608
            f" JOIN lineage_fieldedge e ON e.{near}_dataset_id = n.id AND e.source_field_id = 0 AND e.target_field_id = 0"
            f" JOIN lineage_edgeclaim c ON c.edge_set_id = e.edge_set_id"
            f" JOIN lineage_dataset f ON f.id = e.{far}_dataset_id"
            f" WHERE n.node_id = ANY(%s) AND {rules} AND {near_there} AND {far_there}",
            parameters,
        )
        rows = cursor.fetchall()
    return [
        _Step(("dataset", node), (("job", job), ("dataset", other)) if job else (("dataset", other),))
        for node, job, other in rows
    ]
