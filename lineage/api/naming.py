"""Rows and facets of the nodes of an answer, read once for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from lineage import selectors
from lineage.api import shapes
from lineage.models import Dataset, Job, Run
from lineage.selectors import Column, Filter, Key, Resolved, Subgraph

Json = dict[str, Any]

__all__ = ["Named", "kept"]


class Named:
    """Nodes are shown under the name that was asked for, else under their canonical one.

    ``data`` False reads names only.
    """

    def __init__(
        self, keys: Iterable[Key], *, asked: Resolved | None = None, as_of: datetime | None = None, data: bool = True
    ) -> None:
        keys = list(keys)
        sets = {key for kind, key in keys if kind == "dataset"}
        jobs = {key for kind, key in keys if kind == "job"}
        self.datasets: dict[int, Dataset] = selectors.datasets_by_id(sets)
        self.jobs: dict[int, Job] = selectors.jobs_by_id(jobs)
        self.facets: dict[int, Json] = {}
        self.job_facets: dict[int, Json] = {}
        self.runs: dict[Any, Run] = {}
        self.there: set[int] | None = None
        self.known: dict[Any, tuple[str, datetime, bool]] = {}
        if asked is not None and asked.name.kind != "job":
            self._call(asked)
        if data:
            self._read(sets, jobs, as_of)

    def _call(self, asked: Resolved) -> None:
        row = selectors.dataset_get(asked.name.namespace, asked.name.name)
        if row is not None:
            self.datasets[asked.key] = row

    def _read(self, sets: set[int], jobs: set[int], as_of: datetime | None) -> None:
        rows = {row.id: key for key, row in self.datasets.items()}
        facets = selectors.facets("dataset", sets | set(rows), names=shapes.DATASET_FACETS, as_of=as_of)
        self.facets = {key: facets.get(key, {}) | facets.get(row.id, {}) for key, row in self.datasets.items()}
        self.job_facets = selectors.facets("job", jobs, names=shapes.JOB_FACETS, as_of=as_of)
        wanted = {job.latest_run_id for job in self.jobs.values() if job.latest_run_id}
        self.runs = {run.id: run for run in selectors.runs().filter(id__in=wanted)}
        if as_of is not None:
            self.there = selectors.alive(rows, as_of=as_of)
            self.known = selectors.run_states(wanted, as_of=as_of)

    def node_id(self, key: Key) -> str:
        row: Dataset | Job | None = self.datasets.get(key[1]) if key[0] == "dataset" else self.jobs.get(key[1])
        return f"{key[0]}:{row.namespace}:{row.name}" if row else f"{key[0]}:{key[1]}"

    def field_id(self, column: Column) -> str:
        """A column, or (with an empty name) the dataset that it stands for."""
        row = self.datasets[column[0]]
        return f"datasetField:{row.namespace}:{row.name}:{column[1]}"

    def dataset(self, key: int) -> Json | None:
        row = self.datasets.get(key)
        if row is None:
            return None
        return shapes.dataset(row, self.facets.get(key, {}), alive=None if self.there is None else row.id in self.there)

    def job(self, key: int, inputs: Iterable[Key], outputs: Iterable[Key]) -> Json | None:
        row = self.jobs.get(key)
        if row is None:
            return None
        latest = self.runs.get(row.latest_run_id)
        shown = shapes.job(
            row,
            self.job_facets.get(key, {}),
            inputs=[self.datasets[end] for _, end in inputs if end in self.datasets],
            outputs=[self.datasets[end] for _, end in outputs if end in self.datasets],
            latest=latest,
        )
        if latest is not None and latest.id in self.known:
            then = shapes.run(latest, job=row, known=self.known[latest.id])
            shown |= {"latestRun": then, "latestRuns": [then]}
        return shown


def kept(graph: Subgraph, named: Named, wanted: Filter, start: Key) -> tuple[Subgraph, int]:
    """The part of an answer that a filter lets through, and how many nodes it hides.

    Datasets that match, jobs that match or touch such a dataset, and always the node that was asked for. The walk went through
    hidden nodes, so what lies behind them is there; edges are between shown nodes only, none is made up.
    """
    if not wanted:
        return graph, 0
    sets = wanted.datasets(selectors.datasets().filter(id__in=list(named.datasets))).values_list("id", flat=True)
    match: set[Key] = {("dataset", key) for key in sets} | {start}
    jobs = wanted.jobs(selectors.jobs().filter(id__in=list(named.jobs))).values_list("id", flat=True)
    match |= {("job", key) for key in jobs}
    touching = {end for edge in graph.edges for end in edge if end[0] == "job" and not match.isdisjoint(edge)}
    match |= touching
    shown = Subgraph(
        nodes={key: level for key, level in graph.nodes.items() if key in match},
        edges={edge for edge in graph.edges if match.issuperset(edge)},
        more=graph.more,
        cut=graph.cut,
    )
    return shown, len(graph.nodes) - len(shown.nodes)
