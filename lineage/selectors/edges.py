"""Every read of the edge tables: one query per step of a walk, bounded whatever hubs it meets.

Each query starts from the keys of a frontier and follows indexes in their order, so its cost is that of the rows it gives.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from lineage.domain.delta import INPUT, OUTPUT
from lineage.selectors.visibility import View

__all__ = ["Column", "ColumnEdge", "Step", "column_step", "columns_stated", "step"]

# A column: the node of its dataset and its name; "" is the dataset as a whole.
Column = tuple[int, str]


@dataclass
class Step:
    """What lies one step from a frontier: dataset → job (``near``), job → dataset (``far``), dataset → dataset (``stated``).

    ``explicit`` tells that a ``lineage`` facet says what feeds the output. ``short``: there were more rows than asked for.
    """

    near: dict[tuple[int, int], bool] = field(default_factory=dict)
    far: dict[tuple[int, int], bool] = field(default_factory=dict)
    stated: list[tuple[int, int, int]] = field(default_factory=list)
    short: bool = False


@dataclass(frozen=True, slots=True)
class ColumnEdge:
    """From a column to a column. ``direct`` false: it only decides which rows or groups there are (filter, join, …)."""

    source: Column
    target: Column
    job_id: int
    direct: bool
    masking: bool
    transformations: tuple[tuple[str, str, str, bool], ...]


_NEAR, _FAR, _STATED = 0, 1, 2


def step(datasets: Collection[int], jobs: Collection[int], *, downstream: bool, view: View, rows: int) -> Step:
    """Edges of nodes of datasets and of jobs, at most ``rows`` of each sort."""
    sides = (INPUT, OUTPUT) if downstream else (OUTPUT, INPUT)
    ends = ("source", "target") if downstream else ("target", "source")
    visible = view.edges("e")
    sql = f"""
    WITH near AS MATERIALIZED (
        SELECT f.* FROM unnest(%(datasets)s::bigint[]) AS n (id) CROSS JOIN LATERAL (
            SELECT e.node_id, e.job_id, e.explicit FROM lineage_edge e
            WHERE e.node_id = n.id AND e.direction = %(near)s AND {visible} ORDER BY e.job_id LIMIT %(rows)s
        ) f LIMIT %(rows)s
    ), crossed AS MATERIALIZED (
        SELECT job_id FROM near UNION SELECT unnest(%(jobs)s::bigint[])
    ), far AS MATERIALIZED (
        SELECT f.* FROM crossed c CROSS JOIN LATERAL (
            SELECT e.job_id, e.node_id, e.explicit FROM lineage_edge e
            WHERE e.job_id = c.job_id AND e.direction = %(far)s AND {visible} ORDER BY e.dataset_id LIMIT %(rows)s
        ) f LIMIT %(rows)s
    ), stated AS MATERIALIZED (
        SELECT f.* FROM unnest(%(datasets)s::bigint[]) AS n (id) CROSS JOIN LATERAL (
            SELECT h.node_id AS origin, c.job_id, t.node_id FROM lineage_place h
            JOIN lineage_fieldedge e ON e.{ends[0]}_dataset_id = h.dataset_id
                AND e.source_field_id = 0 AND e.target_field_id = 0
            JOIN lineage_edgeclaim c ON c.edge_set_id = e.edge_set_id
            JOIN lineage_place t ON t.dataset_id = e.{ends[1]}_dataset_id
            WHERE h.node_id = n.id AND {view.claims("c")} AND {view.places("h", "c")} AND {view.places("t", "c")}
            LIMIT %(rows)s
        ) f LIMIT %(rows)s
    )
    SELECT {_NEAR}, node_id, job_id, explicit, 0 FROM near
    UNION ALL SELECT {_FAR}, job_id, node_id, explicit, 0 FROM far
    UNION ALL SELECT {_STATED}, origin, job_id, true, node_id FROM stated
    """  # noqa: S608  (column names and conditions of our own)
    values: dict[str, Any] = {
        "datasets": sorted(datasets),
        "jobs": sorted(jobs),
        "near": sides[0],
        "far": sides[1],
        "rows": rows,
    }
    found = Step()
    counts = [0, 0, 0]
    stated: set[tuple[int, int, int]] = set()
    with connection.cursor() as cursor:
        cursor.execute(sql, values | view.values)
        for sort, one, two, explicit, three in cursor.fetchall():
            counts[sort] += 1
            if sort == _STATED:
                stated.add((one, two, three))
                continue
            side = found.near if sort == _NEAR else found.far
            # Under several names of one node: it is explicit when it is so under any.
            side[one, two] = explicit or side.get((one, two), False)
    found.stated = sorted(stated)
    found.short = max(counts) >= rows
    return found


def column_step(columns: Collection[Column], *, upstream: bool, view: View, rows: int) -> tuple[list[ColumnEdge], bool]:
    """Edges of columns, in a fixed order, and whether there were more than ``rows``.

    Upstream, the columns that decide which rows the whole dataset has belong to each of its columns.
    """
    near = "target" if upstream else "source"
    ruled = f"{view.claims('c')} AND {view.places('s', 'c')} AND {view.places('t', 'c')}"
    edge = (
        "SELECT e.edge_set_id, e.source_dataset_id, e.source_field_id, e.target_dataset_id, e.target_field_id, e.direct,"
        " e.masking, e.transformations FROM lineage_fieldedge e WHERE e.source_field_id <> 0"
    )
    # The conditions repeat those of the partial indexes.
    lookups = [("fields", f"e.{near}_field_id = w.id AND e.{near}_field_id <> 0")]
    if upstream:
        lookups.append(("datasets", "e.target_dataset_id = w.id AND e.target_field_id = 0"))
    parts = [
        f"(SELECT f.* FROM {keys} w CROSS JOIN LATERAL ({edge} AND {where} LIMIT %(rows)s) f LIMIT %(rows)s)"  # noqa: S608
        for keys, where in lookups
    ]
    sql = f"""
    WITH wanted AS (SELECT * FROM unnest(%(nodes)s::bigint[], %(names)s::text[]) AS w (node, name)),
    datasets AS MATERIALIZED (
        SELECT DISTINCT p.dataset_id AS id FROM wanted w JOIN lineage_place p ON p.node_id = w.node WHERE {view.places("p")}
    ),
    fields AS MATERIALIZED (
        SELECT DISTINCT f.id FROM wanted w JOIN lineage_place p ON p.node_id = w.node
        JOIN lineage_field f ON f.dataset_id = p.dataset_id AND f.name = w.name WHERE w.name <> '' AND {view.places("p")}
    ), found AS MATERIALIZED ({" UNION ALL ".join(parts)})
    SELECT s.node_id, coalesce(sf.name, ''), t.node_id, coalesce(tf.name, ''), c.job_id, e.direct, e.masking, e.transformations,
        (SELECT count(*) FROM found)
    FROM found e JOIN lineage_edgeclaim c ON c.edge_set_id = e.edge_set_id
    JOIN lineage_place s ON s.dataset_id = e.source_dataset_id JOIN lineage_place t ON t.dataset_id = e.target_dataset_id
    LEFT JOIN lineage_field sf ON sf.id = e.source_field_id LEFT JOIN lineage_field tf ON tf.id = e.target_field_id
    WHERE {ruled}
    """  # noqa: S608
    ordered = sorted(columns)
    values: dict[str, Any] = {"nodes": [node for node, _ in ordered], "names": [name for _, name in ordered], "rows": rows}
    with connection.cursor() as cursor:
        cursor.execute(sql, values | view.values)
        fetched = cursor.fetchall()
    edges = sorted({_made(row) for row in fetched}, key=lambda item: (item.source, item.target, item.job_id))
    return edges, bool(fetched) and fetched[0][8] >= rows


def columns_stated(jobs: Collection[int], *, view: View) -> set[tuple[int, int]]:
    """(job, node of an output) for which the job says which columns it is made of."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT c.job_id, t.node_id FROM lineage_edgeclaim c JOIN lineage_place t ON t.dataset_id = c.dataset_id"  # noqa: S608
            " JOIN lineage_edgeset s ON s.id = c.edge_set_id"
            f" WHERE c.job_id = ANY(%(jobs)s) AND s.source = 1 AND {view.claims('c')} AND {view.places('t', 'c')}",
            {"jobs": sorted(jobs), **view.values},
        )
        return set(cursor.fetchall())


def _made(row: tuple[Any, ...]) -> ColumnEdge:
    parsed = row[7] if isinstance(row[7], list) else json.loads(row[7])
    ways = tuple(
        (str(item.get("type")), str(item.get("subtype") or ""), str(item.get("description") or ""), item.get("masking") is True)
        for item in parsed
    )
    return ColumnEdge((row[0], row[1]), (row[2], row[3]), row[4], row[5], row[6], ways)
