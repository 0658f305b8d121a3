"""What a change of a column reaches: columns, datasets, jobs, data products and their owners, and on which way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from catalog import selectors as catalog
from lineage.models import Dataset
from lineage.selectors import edges
from lineage.selectors.columns import column_walk
from lineage.selectors.edges import Column, ColumnEdge
from lineage.selectors.graph import Key, walk
from lineage.selectors.visibility import View

__all__ = ["Impact", "Product", "Reached", "impact", "products_of"]

AGGREGATION = "AGGREGATION"


@dataclass(frozen=True)
class Reached:
    """A column that the change reaches. ``path``: the shortest way, the changed column first.

    ``masked``, ``aggregated``: on every way the value is masked, or goes into an aggregate. ``indirect``: no value arrives on
    any way; the changed column only decides which rows or groups there are. A name "" is the dataset as a whole.
    """

    column: Column
    distance: int
    path: tuple[Column, ...]
    masked: bool
    aggregated: bool
    indirect: bool


@dataclass(frozen=True)
class Product:
    """A data product, and whom to tell."""

    key: str
    name: str
    owner: str
    steward: str
    datasets: tuple[int, ...]


@dataclass
class Impact:
    """Everything reached. ``datasets`` → by columns (True), or only because a dataset as a whole feeds it (False)."""

    columns: list[Reached] = field(default_factory=list)
    datasets: dict[int, bool] = field(default_factory=dict)
    jobs: set[int] = field(default_factory=set)
    more: list[Column] = field(default_factory=list)
    more_nodes: list[Key] = field(default_factory=list)
    cut: bool = False


def impact(start: Iterable[Column], *, depth: int, as_of: datetime | None = None, limit: int = 2000) -> Impact:
    """Follow columns downstream; from a dataset that is reached as a whole, follow datasets.

    Where a job states no columns, nothing is known of it: its outputs count as reached as a whole.
    """
    begin = sorted(set(start))
    graph = column_walk(begin, depth=depth, upstream=False, downstream=True, as_of=as_of, limit=limit)
    flows = list(graph.edges.values())
    found = Impact(cut=graph.cut, more=sorted(graph.more))
    before = _spread(begin, flows, lambda _: True)
    open_ways = [_spread(begin, flows, way) for way in (_unmasked, _unaggregated, lambda edge: edge.direct)]
    for column in graph.columns:
        if column in begin or column not in before:
            continue
        path = _trail(before, column)
        flags = [column not in way for way in open_ways]
        found.columns.append(Reached(column, len(path) - 1, path, *flags))
    found.columns.sort(key=lambda item: (item.distance, item.column))
    found.datasets = {item.column[0]: True for item in found.columns if item.column[1]}
    found.jobs = {edge.job_id for edge in flows if edge.job_id}
    _whole(found, begin, depth, as_of, limit)
    return found


def _whole(found: Impact, begin: list[Column], depth: int, as_of: datetime | None, limit: int) -> None:
    """Datasets that columns do not reach but datasets do: a filter led there, or a job that states no columns for them."""
    view = View(as_of)
    touched = {node for node, _ in begin} | set(found.datasets)
    beside = edges.step(touched, [], downstream=True, view=view, rows=limit + 1)
    stated = edges.columns_stated({job for _, job in beside.near}, view=view)
    silent = {pair for pair in beside.far if pair not in stated}
    # Whoever reads and writes nothing shows or sends what it reads.
    found.jobs |= {job for job, _ in silent} | ({job for _, job in beside.near} - {job for job, _ in beside.far})
    wholes = {item.column[0] for item in found.columns if not item.column[1]}
    wholes |= ({node for _, node in silent} | {node for _, _, node in beside.stated}) - touched
    found.cut = found.cut or beside.short
    if not wholes:
        return
    graph = walk(
        [("dataset", node) for node in sorted(wholes)],
        depth=max(depth - 1, 0),
        direction="downstream",
        as_of=as_of,
        limit=limit,
    )
    for kind, key in graph.nodes:
        if kind == "job":
            found.jobs.add(key)
        elif key not in touched:
            found.datasets[key] = False
    found.cut = found.cut or graph.cut
    found.more_nodes = sorted(graph.more)


def _unmasked(edge: ColumnEdge) -> bool:
    return not edge.masking


def _unaggregated(edge: ColumnEdge) -> bool:
    return not edge.transformations or any(way[1].upper() != AGGREGATION for way in edge.transformations)


def _spread(
    begin: Iterable[Column], flows: Iterable[ColumnEdge], passes: Callable[[ColumnEdge], bool]
) -> dict[Column, Column | None]:
    """Columns that the passing edges reach, each with the one before it on a shortest way."""
    outgoing: dict[Column, list[Column]] = {}
    for edge in flows:
        if passes(edge):
            outgoing.setdefault(edge.source, []).append(edge.target)
    before: dict[Column, Column | None] = dict.fromkeys(begin)
    waiting = deque(before)
    while waiting:
        column = waiting.popleft()
        for target in sorted(outgoing.get(column, ())):
            if target not in before:
                before[target] = column
                waiting.append(target)
    return before


def _trail(before: Mapping[Column, Column | None], column: Column) -> tuple[Column, ...]:
    trail = [column]
    while (previous := before[trail[-1]]) is not None:
        trail.append(previous)
    return tuple(reversed(trail))


def products_of(rows: Iterable[Dataset]) -> list[Product]:
    """The data products that hold these datasets, by key."""
    by_name = {(row.namespace, row.name): row.node_id for row in rows}
    named = catalog.datasets().filter(namespace__in={space for space, _ in by_name}, name__in={name for _, name in by_name})
    made: dict[str, Product] = {}
    for item in named.filter(product__isnull=False).select_related("product__steward"):
        node = by_name.get((item.namespace, item.name))
        if node is None or item.product is None:
            continue
        known = made.get(item.product.key)
        held = (*(known.datasets if known else ()), node)
        product = item.product
        made[product.key] = Product(product.key, product.name, product.owner_text, product.steward_text, held)
    return [made[key] for key in sorted(made)]
