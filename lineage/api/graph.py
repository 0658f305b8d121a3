"""``GET /api/v1/lineage`` and ``/column-lineage`` in Marquez's shape, and the ways between nodes in our own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from lineage import selectors
from lineage.api import ingest, reads, shapes
from lineage.models import Dataset, Job, Run
from lineage.selectors import ColumnGraph, Resolved, Subgraph
from lineage.selectors.graph import Key

Json = dict[str, Any]
NODE = OpenApiParameter("nodeId", str, required=True, description="dataset:<namespace>:<name> or job:<namespace>:<name>")
DEPTH = OpenApiParameter("depth", int, description="steps from the node, default 20; dataset → job → dataset is one")
AS_OF = OpenApiParameter("asOf", str, description="the graph as it was known then: ISO 8601 with zone; default now")
LIMIT = OpenApiParameter("limit", int, description="nodes at most; the nearest are kept and `cut` says so")
DIRECTION = OpenApiParameter("direction", str, enum=["upstream", "downstream", "both"])


@csrf_exempt
def lineage(request: HttpRequest) -> HttpResponse:
    """One address, two uses: producers POST events to it, readers GET the graph from it."""
    answer = ingest.event if request.method == "POST" else _lineage
    return answer(request)


class LineageView(reads.ReadView):
    @extend_schema(parameters=[NODE, DEPTH, DIRECTION, AS_OF, LIMIT], responses={200: dict}, operation_id="lineage_graph")
    def get(self, request: Request) -> Response:
        """Nodes and edges around a dataset or job. `cut` tells that more exists; `more` names the nodes to ask from."""
        found = selectors.node_resolve(reads.node_id(request))
        direction: Any = reads.choice(request, "direction", ("upstream", "downstream", "both"), "both")
        start: Key = ("job" if found.name.kind == "job" else "dataset", found.key)
        graph = selectors.walk(
            [start],
            depth=reads.number(request, "depth", 20, most=100),
            direction=direction,
            as_of=reads.time_or_none(request, "asOf"),
            limit=reads.number(request, "limit", 2000, least=1, most=10_000),
        )
        return Response(_graph(graph, found))


_lineage = LineageView.as_view()


def _graph(graph: Subgraph, asked: Resolved) -> Json:
    named = Named({key for kind, key in graph.nodes if kind == "dataset"}, {key for kind, key in graph.nodes if kind == "job"})
    if asked.name.kind == "dataset":
        named.call(asked)
    incoming: dict[Key, list[Key]] = {}
    outgoing: dict[Key, list[Key]] = {}
    for origin, target in sorted(graph.edges):
        outgoing.setdefault(origin, []).append(target)
        incoming.setdefault(target, []).append(origin)
    nodes = []
    for key in sorted(graph.nodes, key=named.node_id):
        data = named.dataset(key[1]) if key[0] == "dataset" else named.job(key[1], incoming.get(key, ()), outgoing.get(key, ()))
        if data is None:
            continue
        nodes.append(
            {
                "id": named.node_id(key),
                "type": key[0].upper(),
                "data": data,
                "inEdges": [{"origin": named.node_id(end), "destination": named.node_id(key)} for end in incoming.get(key, ())],
                "outEdges": [
                    {"origin": named.node_id(key), "destination": named.node_id(end)} for end in outgoing.get(key, ())
                ],
            }
        )
    return {
        "graph": nodes,
        "cut": graph.cut,
        "more": sorted(named.node_id(key) for key in graph.more),
        "knownThrough": shapes.moment(timezone.now()),
    }


class Named:
    """Rows and facets of the nodes of an answer, read once; nodes are shown under the name that was asked for."""

    def __init__(self, datasets: set[int], jobs: set[int]) -> None:
        self.datasets: dict[int, Dataset] = selectors.datasets_by_id(datasets)
        self.jobs: dict[int, Job] = selectors.jobs_by_id(jobs)
        self.facets = selectors.facets("dataset", datasets, names=shapes.DATASET_FACETS)
        self.job_facets = selectors.facets("job", jobs, names=shapes.JOB_FACETS)
        wanted = {job.latest_run_id for job in self.jobs.values() if job.latest_run_id}
        self.runs: dict[Any, Run] = {run.id: run for run in selectors.runs().filter(id__in=wanted)}

    def call(self, asked: Resolved) -> None:
        row = selectors.dataset_get(asked.name.namespace, asked.name.name)
        if row is not None:
            self.datasets[asked.key] = row
            self.facets[asked.key] = self.facets.get(asked.key, {}) | selectors.facets("dataset", [row.id]).get(row.id, {})

    def node_id(self, key: Key) -> str:
        row: Dataset | Job | None = self.datasets.get(key[1]) if key[0] == "dataset" else self.jobs.get(key[1])
        return f"{key[0]}:{row.namespace}:{row.name}" if row else f"{key[0]}:{key[1]}"

    def dataset(self, key: int) -> Json | None:
        row = self.datasets.get(key)
        return shapes.dataset(row, self.facets.get(key, {})) if row else None

    def job(self, key: int, inputs: Iterable[Key], outputs: Iterable[Key]) -> Json | None:
        row = self.jobs.get(key)
        if row is None:
            return None
        return shapes.job(
            row,
            self.job_facets.get(key, {}),
            inputs=[self.datasets[end] for _, end in inputs if end in self.datasets],
            outputs=[self.datasets[end] for _, end in outputs if end in self.datasets],
            latest=self.runs.get(row.latest_run_id),
        )


class PathView(reads.ReadView):
    @extend_schema(
        parameters=[OpenApiParameter("from", str, required=True), OpenApiParameter("to", str, required=True), AS_OF],
        responses={200: dict},
        operation_id="lineage_path",
    )
    def get(self, request: Request) -> Response:
        """The shortest way from one node downstream to another: node ids in order, empty when there is none."""
        ends = [selectors.node_resolve(reads.node_id(request, name)) for name in ("from", "to")]
        keys: list[Key] = [("job" if end.name.kind == "job" else "dataset", end.key) for end in ends]
        trail, cut = selectors.path_between(keys[0], keys[1], as_of=reads.time_or_none(request, "asOf"))
        named = Named({key for kind, key in trail if kind == "dataset"}, {key for kind, key in trail if kind == "job"})
        return Response({"path": [named.node_id(key) for key in trail], "cut": cut})


class ColumnLineageView(reads.ReadView):
    @extend_schema(
        parameters=[NODE, DEPTH, AS_OF, OpenApiParameter("withDownstream", bool, description="both ways; default upstream")],
        responses={200: dict},
        operation_id="column_lineage",
    )
    def get(self, request: Request) -> Response:
        """Columns that a column, or each column of a dataset, is made of. A field "" is the dataset as a whole."""
        found = selectors.node_resolve(reads.node_id(request))
        if found.name.kind == "job":
            start = {(key, name) for key, names in _outputs(found.key).items() for name in names}
        elif found.name.kind == "field":
            start = {(found.key, found.name.field)}
        else:
            start = {(found.key, name) for name in selectors.fields_of([found.key]).get(found.key, ())}
        graph = selectors.column_walk(
            start,
            depth=reads.number(request, "depth", 20, most=100),
            downstream=reads.flag(request, "withDownstream"),
            as_of=reads.time_or_none(request, "asOf"),
            limit=reads.number(request, "limit", 5000, least=1, most=20_000),
        )
        return Response(_columns(graph))


def _outputs(job_id: int) -> dict[int, list[str]]:
    around = selectors.walk([("job", job_id)], depth=1, direction="downstream")
    return selectors.fields_of(key for kind, key in around.nodes if kind == "dataset")


def _columns(graph: ColumnGraph) -> Json:
    nodes = {node for node, _ in graph.columns}
    rows = selectors.datasets_by_id(nodes)
    facets = selectors.facets("dataset", nodes, names=["schema"])
    types = {node: {item["name"]: item["type"] for item in shapes.fields(facets.get(node, {}))} for node in nodes}

    def node_id(column: tuple[int, str]) -> str:
        row = rows[column[0]]
        return f"datasetField:{row.namespace}:{row.name}:{column[1]}"

    shown = []
    for column in sorted((column for column in graph.columns if column[0] in rows), key=node_id):
        incoming = [edge for edge in graph.edges.values() if edge.target == column]
        outgoing = [edge for edge in graph.edges.values() if edge.source == column]
        row = rows[column[0]]
        shown.append(
            {
                "id": node_id(column),
                "type": "DATASET_FIELD",
                "data": {
                    "namespace": row.namespace,
                    "dataset": row.name,
                    "field": column[1],
                    "fieldType": types[column[0]].get(column[1]),
                    "inputFields": [_input(edge, rows) for edge in incoming],
                },
                "inEdges": [{"origin": node_id(edge.source), "destination": node_id(column)} for edge in incoming],
                "outEdges": [{"origin": node_id(column), "destination": node_id(edge.target)} for edge in outgoing],
            }
        )
    return {
        "graph": shown,
        "cut": graph.cut,
        "more": sorted(node_id(column) for column in graph.more if column[0] in rows),
        "knownThrough": shapes.moment(timezone.now()),
    }


def _input(edge: selectors.ColumnEdge, rows: dict[int, Dataset]) -> Json:
    row = rows[edge.source[0]]
    first = edge.transformations[0] if edge.transformations else ("", "", "", False)
    return {
        "namespace": row.namespace,
        "dataset": row.name,
        "field": edge.source[1],
        "transformationDescription": first[2] or None,
        "transformationType": first[1] or first[0] or None,
        "transformations": [
            {"type": kind, "subtype": subtype, "description": description, "masking": masking}
            for kind, subtype, description, masking in edge.transformations
        ],
        "masking": edge.masking,
    }
