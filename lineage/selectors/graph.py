"""Walks over jobs and datasets: breadth first, one bounded query per step, nearest nodes first when the answer is cut."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from lineage.selectors import edges
from lineage.selectors.edges import Step
from lineage.selectors.visibility import View

__all__ = ["Direction", "Key", "Subgraph", "path_between", "walk"]

Direction = Literal["upstream", "downstream", "both"]
# (kind, id): datasets by the id of their node, jobs by their own.
Key = tuple[Literal["dataset", "job"], int]
MAX_NODES = 2_000
MAX_DEPTH = 100
PATH_NODES = 50_000
# Edges that each node of a wide frontier may bring; of a narrow one, as many as the answer may hold, so that hubs stay cheap.
EDGES_PER_NODE = 4


@dataclass
class Subgraph:
    """Part of the graph. ``more`` are nodes whose neighbours were left out, because of the depth or of the node limit.

    ``nodes`` gives each its distance in steps, negative upstream.
    """

    nodes: dict[Key, int] = field(default_factory=dict)
    edges: set[tuple[Key, Key]] = field(default_factory=set)
    more: set[Key] = field(default_factory=set)
    cut: bool = False


def walk(
    start: Iterable[Key], *, depth: int, direction: Direction = "both", as_of: datetime | None = None, limit: int = MAX_NODES
) -> Subgraph:
    """Everything within ``depth`` steps (dataset → job → dataset is one) of the start, at most ``limit`` nodes.

    Upstream of the upstream and downstream of the downstream, as lineage means it; not the whole connected component.
    """
    begin = list(start)
    found = Subgraph(nodes=dict.fromkeys(begin, 0))
    for one in ("upstream", "downstream") if direction == "both" else (direction,):
        _Walk(found, View(as_of), downstream=one == "downstream", limit=limit).go(begin, min(depth, MAX_DEPTH))
    return found


class _Walk:
    """A walk one way. Nodes enter in the order of their keys, so the same graph gives the same answer."""

    def __init__(self, found: Subgraph, view: View, *, downstream: bool, limit: int) -> None:
        self.found, self.view, self.downstream, self.limit = found, view, downstream, limit

    def go(self, start: list[Key], depth: int) -> None:
        reached = set(start)
        frontier = set(start)
        for level in range(1, depth + 1):
            if not frontier:
                return
            following = self._level(frontier, level if self.downstream else -level)
            # The walk goes on from datasets: what a job reaches on its other side is part of the step over it.
            frontier = following - reached
            reached |= frontier
        if frontier:
            self._beyond(frontier)

    def _ask(self, frontier: set[Key]) -> Step:
        return edges.step(
            [key for kind, key in frontier if kind == "dataset"],
            [key for kind, key in frontier if kind == "job"],
            downstream=self.downstream,
            view=self.view,
            rows=max(self.limit, EDGES_PER_NODE * len(frontier)) + 1,
        )

    def _level(self, frontier: set[Key], level: int) -> set[Key]:
        asked = self._ask(frontier)
        following: set[Key] = set()
        crossing: dict[int, Key] = {key: ("job", key) for kind, key in frontier if kind == "job"}
        for (node, job), explicit in sorted(asked.near.items()):
            if self._take(("dataset", node), ("job", job), level) and (self.downstream or not explicit):
                # An explicit output is fed by what its facet names, not by all inputs of its job.
                crossing[job] = ("job", job)
        begun = {key for kind, key in frontier if kind == "job"}
        for (job, node), explicit in sorted(asked.far.items()):
            if job not in crossing or (self.downstream and explicit and job not in begun):
                continue
            if self._take(crossing[job], ("dataset", node), level):
                following.add(("dataset", node))
        for origin, job, node in asked.stated:
            over: list[Key] = [("job", job)] if job else []
            path: list[Key] = [("dataset", origin), *over, ("dataset", node)]
            if all(self._take(left, right, level) for left, right in itertools.pairwise(path)):
                following.add(path[-1])
        if asked.short:
            self.found.cut = True
            self.found.more |= frontier
        return following

    def _take(self, near: Key, far: Key, level: int) -> bool:
        """Add an edge and the node at its far end; false when the answer is full."""
        found = self.found
        if far not in found.nodes:
            if len(found.nodes) >= self.limit:
                found.cut = True
                found.more.add(near)
                return False
            found.nodes[far] = level
        found.edges.add((near, far) if self.downstream else (far, near))
        return True

    def _beyond(self, frontier: set[Key]) -> None:
        """Mark the nodes at the edge of the answer that have neighbours outside of it."""
        asked = self._ask(frontier)
        nodes = self.found.nodes
        beyond: set[Key] = set()
        outside = {job for (job, node) in asked.far if ("dataset", node) not in nodes}
        for node, job in asked.near:
            if ("job", job) not in nodes or job in outside:
                beyond.add(("dataset", node))
        beyond |= {("dataset", origin) for origin, _, node in asked.stated if ("dataset", node) not in nodes}
        self.found.more |= beyond
        self.found.cut = self.found.cut or bool(beyond) or asked.short


def path_between(origin: Key, target: Key, *, as_of: datetime | None = None) -> tuple[list[Key], bool]:
    """The shortest way downstream from one node to another, ends included; empty when there is none.

    The second value tells that the search was cut at 50,000 nodes, so that an empty answer proves nothing.
    """
    found = Subgraph(nodes={origin: 0})
    walk_on = _Walk(found, View(as_of), downstream=True, limit=PATH_NODES)
    before: dict[Key, Key] = {}
    frontier, level = {origin}, 0
    while frontier and target not in found.nodes and not found.cut:
        level += 1
        known, seen = set(found.nodes), set(found.edges)
        following = walk_on._level(frontier, level)
        for near, far in sorted(found.edges - seen, key=lambda edge: (edge[0][0] == "job", edge)):
            if far not in known:
                before.setdefault(far, near)
        frontier = {key for key in following if key not in known}
    if target not in found.nodes:
        return [], found.cut
    trail = [target]
    while trail[0] != origin:
        trail.insert(0, before[trail[0]])
    return trail, False
