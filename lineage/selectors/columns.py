"""Walks over columns."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from lineage.selectors.visibility import View

__all__ = ["ColumnEdge", "ColumnGraph", "column_walk", "fields_of"]

MAX_EDGES = 5_000
MAX_DEPTH = 100
# A column: the node of its dataset and its name; "" is the dataset as a whole.
Column = tuple[int, str]


@dataclass(frozen=True, slots=True)
class ColumnEdge:
    """From a column to a column. ``direct`` false: it only decides which rows or groups there are (filter, join, …)."""

    source: Column
    target: Column
    job_id: int
    direct: bool
    masking: bool
    transformations: tuple[tuple[str, str, str, bool], ...]


@dataclass
class ColumnGraph:
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
        if wanted and frontier and (beyond := _edges(frontier, view, upstream=sign < 0)):
            found.more |= {edge.target if sign < 0 else edge.source for edge in beyond}
            found.cut = True
    return found


def _step(found: ColumnGraph, frontier: set[Column], view: View, level: int, limit: int) -> set[Column]:
    following: set[Column] = set()
    for edge in _edges(frontier, view, upstream=level < 0):
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


def _edges(columns: set[Column], view: View, *, upstream: bool) -> list[ColumnEdge]:
    fields, datasets = _identifiers(columns)
    rules, values = view.claims("c")
    source_there, source_values = view.datasets("s", "c")
    target_there, target_values = view.datasets("t", "c")
    select = (
        "SELECT s.node_id, coalesce(sf.name, ''), t.node_id, coalesce(tf.name, ''), c.job_id,"  # noqa: S608
        " e.direct, e.masking, e.transformations"
        " FROM lineage_fieldedge e JOIN lineage_edgeclaim c ON c.edge_set_id = e.edge_set_id"
        " JOIN lineage_dataset s ON s.id = e.source_dataset_id JOIN lineage_dataset t ON t.id = e.target_dataset_id"
        " LEFT JOIN lineage_field sf ON sf.id = e.source_field_id LEFT JOIN lineage_field tf ON tf.id = e.target_field_id"
        f" WHERE {{where}} AND {rules} AND {source_there} AND {target_there}"
    )
    # The conditions repeat those of the partial indexes.
    parts = [("e.source_field_id = ANY(%s) AND e.source_field_id <> 0", fields)]
    if upstream:
        parts = [
            ("e.target_field_id = ANY(%s) AND e.target_field_id <> 0 AND e.source_field_id <> 0", fields),
            ("e.target_dataset_id = ANY(%s) AND e.target_field_id = 0 AND e.source_field_id <> 0", datasets),
        ]
    found: list[ColumnEdge] = []
    with connection.cursor() as cursor:
        for where, keys in parts:
            cursor.execute(select.format(where=where), [keys, *values, *source_values, *target_values])
            found += [_made(row) for row in cursor.fetchall()]
    return sorted(set(found), key=lambda edge: (edge.source, edge.target, edge.job_id))


def _made(row: tuple[Any, ...]) -> ColumnEdge:
    parsed = row[7] if isinstance(row[7], list) else json.loads(row[7])
    ways = tuple(
        (str(item.get("type")), str(item.get("subtype") or ""), str(item.get("description") or ""), item.get("masking") is True)
        for item in parsed
    )
    return ColumnEdge((row[0], row[1]), (row[2], row[3]), row[4], row[5], row[6], ways)


def _identifiers(columns: set[Column]) -> tuple[list[int], list[int]]:
    """Fields under every name of their dataset, and those datasets."""
    nodes = sorted({node for node, _ in columns})
    names = sorted({name for _, name in columns if name})
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT d.node_id, d.id, f.name, f.id FROM lineage_dataset d"
            " LEFT JOIN lineage_field f ON f.dataset_id = d.id AND f.name = ANY(%s) WHERE d.node_id = ANY(%s)",
            [names, nodes],
        )
        rows = cursor.fetchall()
    fields = [row[3] for row in rows if row[3] is not None and (row[0], row[2]) in columns]
    return fields, sorted({row[1] for row in rows})


def fields_of(nodes: Iterable[int]) -> dict[int, list[str]]:
    """Names of the columns of datasets, under all their names, in the order in which they became known."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT d.node_id, f.name, min(f.known_from) FROM lineage_dataset d JOIN lineage_field f ON f.dataset_id = d.id"
            " WHERE d.node_id = ANY(%s) GROUP BY 1, 2 ORDER BY 1, 3, 2",
            [list(nodes)],
        )
        found: dict[int, list[str]] = {}
        for node, name, _ in cursor.fetchall():
            found.setdefault(node, []).append(name)
    return found
