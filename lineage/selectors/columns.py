"""Walks over columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection

from lineage.selectors.edges import Column, ColumnEdge, column_step
from lineage.selectors.visibility import View

__all__ = ["ColumnEdge", "ColumnGraph", "column_walk", "fields_of"]

MAX_EDGES = 5_000
MAX_DEPTH = 100


@dataclass
class ColumnGraph:
    """Part of the graph of columns. ``more`` are columns whose neighbours were left out; distances are negative upstream."""

    columns: dict[Column, int] = field(default_factory=dict)
    edges: dict[tuple[Column, Column, int], ColumnEdge] = field(default_factory=dict)
    more: set[Column] = field(default_factory=set)
    cut: bool = False


def column_walk(
    start: Iterable[Column],
    *,
    depth: int,
    upstream: bool = True,
    downstream: bool = False,
    as_of: datetime | None = None,
    limit: int = MAX_EDGES,
) -> ColumnGraph:
    """Columns within ``depth`` steps of the start, over at most ``limit`` edges; names that symlinks join are one dataset.

    Upstream, the columns that filter or join the whole dataset belong to each of its columns. Downstream the walk ends at a
    dataset as a whole: from there on every column of it is affected, which is the walk over datasets.
    """
    view = View(as_of)
    begin = set(start)
    found = ColumnGraph(columns=dict.fromkeys(sorted(begin), 0))
    for sign, wanted in ((-1, upstream), (1, downstream)):
        frontier, level = begin, 0
        while wanted and frontier and level < min(depth, MAX_DEPTH):
            level += 1
            frontier = _step(found, frontier, view, sign * level, limit)
        if wanted and frontier:
            _beyond(found, frontier, view, limit, upstream=sign < 0)
    return found


def _step(found: ColumnGraph, frontier: set[Column], view: View, level: int, limit: int) -> set[Column]:
    following: set[Column] = set()
    edges, short = column_step(frontier, upstream=level < 0, view=view, rows=limit + 1)
    if short:
        found.cut = True
        found.more |= frontier
    for edge in edges:
        near, far = (edge.target, edge.source) if level < 0 else (edge.source, edge.target)
        key = (edge.source, edge.target, edge.job_id)
        if key not in found.edges and len(found.edges) >= limit:
            found.cut = True
            found.more.add(near)
            continue
        found.edges[key] = edge
        found.columns.setdefault(near, level)
        if far not in found.columns:
            found.columns[far] = level
            if far[1]:
                following.add(far)
    return following


def _beyond(found: ColumnGraph, frontier: set[Column], view: View, limit: int, *, upstream: bool) -> None:
    """Mark the columns at the edge of the answer that have neighbours outside of it."""
    edges, short = column_step(frontier, upstream=upstream, view=view, rows=limit + 1)
    beyond = {
        edge.target if upstream else edge.source for edge in edges if (edge.source, edge.target, edge.job_id) not in found.edges
    }
    found.more |= {column for column in beyond if column in found.columns} or (frontier if beyond else set())
    found.cut = found.cut or bool(beyond) or short


def fields_of(nodes: Iterable[int], *, as_of: datetime | None = None) -> dict[int, list[str]]:
    """Names of the columns of datasets, under all their names, in the order in which they became known."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT d.node_id, f.name, min(f.known_from) FROM lineage_dataset d JOIN lineage_field f ON f.dataset_id = d.id"
            " WHERE d.node_id = ANY(%s) AND f.known_from <= coalesce(%s, 'infinity'::timestamptz)"
            " GROUP BY 1, 2 ORDER BY 1, 3, 2",
            [list(nodes), as_of],
        )
        found: dict[int, list[str]] = {}
        for node, name, _ in cursor.fetchall():
            found.setdefault(node, []).append(name)
    return found
