"""``GET /api/v1/lineage`` and ``/column-lineage`` in Marquez's shape."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from lineage import selectors
from lineage.api import formats, ingest, reads, shapes
from lineage.api.naming import Named, kept
from lineage.errors import NodeUnknown
from lineage.models import Dataset
from lineage.selectors import ColumnGraph, Direction, Key, Resolved, Subgraph

Json = dict[str, Any]
NODES_MAX, EDGES_MAX = 10_000, 20_000
NODE = OpenApiParameter("nodeId", str, required=True, description="dataset:<namespace>:<name> or job:<namespace>:<name>")
DEPTH = OpenApiParameter("depth", int, description="steps from the node, default 20; dataset → job → dataset is one")
LIMIT = OpenApiParameter("limit", int, description="nodes at most; the nearest are kept and `cut` says so")
DIRECTION = OpenApiParameter("direction", str, enum=["upstream", "downstream", "both"])
GRAPH = [NODE, DEPTH, reads.AS_OF, LIMIT, reads.NAMESPACE, *reads.FILTERS, formats.FORMAT]


@csrf_exempt
def lineage(request: HttpRequest) -> HttpResponse:
    """One address, two uses: producers POST events to it, readers GET the graph from it."""
    answer = ingest.event if request.method == "POST" else _lineage
    return answer(request)


class LineageView(reads.ReadView):
    content_negotiation_class = formats.Negotiation

    @extend_schema(parameters=[*GRAPH, DIRECTION], responses=formats.RESPONSES, operation_id="lineage_graph")
    def get(self, request: Request) -> HttpResponse:
        """Nodes and edges around a dataset or job. `cut` tells that more exists; `more` names the nodes to ask from."""
        direction = reads.choice(request, "direction", ("upstream", "downstream", "both"), "both")
        return around(request, cast(Direction, direction))


_lineage = LineageView.as_view()


def around(request: Request, direction: Direction) -> HttpResponse:
    found, as_of = resolved(reads.node_id(request), reads.as_of(request))
    start = key_of(found)
    limit = reads.number(request, "limit", 2000, least=1, most=NODES_MAX)
    depth = reads.number(request, "depth", 20, most=100)
    graph = selectors.walk([start], depth=depth, direction=direction, as_of=as_of, limit=limit)
    form = formats.wanted(request)
    named = Named(graph.nodes, asked=found, as_of=as_of, data=form == "marquez")
    graph, hidden = kept(graph, named, reads.filters(request), start)
    end = reads.ended(
        request, cut=graph.cut, more=sorted(named.node_id(key) for key in graph.more), limit=limit, most=NODES_MAX
    )
    if hidden:
        end["hidden"] = hidden
    if form != "marquez":
        return formats.answer(form, graph, named, start=start, end=end)
    return reads.answer({"graph": nodes_of(graph, named), **end})


def key_of(found: Resolved) -> Key:
    return ("job" if found.name.kind == "job" else "dataset", found.key)


def nodes_of(graph: Subgraph, named: Named) -> list[Json]:
    """The nodes in Marquez's shape, by their ids."""
    incoming: dict[Key, list[Key]] = {}
    outgoing: dict[Key, list[Key]] = {}
    for origin, target in sorted(graph.edges):
        outgoing.setdefault(origin, []).append(target)
        incoming.setdefault(target, []).append(origin)
    nodes = []
    names = {key: named.node_id(key) for key in graph.nodes}
    for key in sorted(graph.nodes, key=names.__getitem__):
        data = named.dataset(key[1]) if key[0] == "dataset" else named.job(key[1], incoming.get(key, ()), outgoing.get(key, ()))
        if data is None:
            continue
        nodes.append(
            {
                "id": names[key],
                "type": key[0].upper(),
                "data": data,
                "distance": graph.nodes[key],
                "inEdges": [{"origin": names[end], "destination": names[key]} for end in incoming.get(key, ())],
                "outEdges": [{"origin": names[key], "destination": names[end]} for end in outgoing.get(key, ())],
            }
        )
    return nodes


def resolved(node_id: str, as_of: datetime | None) -> tuple[Resolved, datetime | None]:
    """The node, and the moment to look at: ``…#version``, as Marquez's clients write it, is when that version became known."""
    try:
        return selectors.node_resolve(node_id, as_of=as_of), as_of
    except NodeUnknown:
        if "#" not in node_id:
            raise
        plain, _, version = node_id.rpartition("#")
        found = selectors.node_resolve(plain)
        moment = _version_known(found, version)
        if moment is None:
            raise
        return found, moment if as_of is None else min(as_of, moment)


def _version_known(found: Resolved, version: str) -> datetime | None:
    if found.name.kind == "job":
        row = selectors.jobs_by_id([found.key]).get(found.key)
        known = [item.known_from for item in selectors.job_versions(row) if str(item.version) == version] if row else []
        return known[0] if known else None
    dataset = selectors.dataset_get(found.name.namespace, found.name.name)
    item = selectors.version_get(dataset.id, version) if dataset else None
    return item.known_from if item else None


class ColumnLineageView(reads.ReadView):
    content_negotiation_class = formats.Negotiation

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "nodeId", str, required=True, description="dataset:…, job:… or datasetField:<namespace>:<name>:<field>"
            ),
            DEPTH,
            reads.AS_OF,
            OpenApiParameter("withDownstream", bool, description="both ways; default upstream"),
            OpenApiParameter("limit", int, description="edges at most, default 5000"),
            reads.NAMESPACE,
            *reads.FILTERS,
            formats.FORMAT,
        ],
        responses=formats.RESPONSES,
        operation_id="column_lineage",
    )
    def get(self, request: Request) -> HttpResponse:
        """Columns that a column, or each column of a dataset, is made of. A field "" is the dataset as a whole."""
        found, as_of = resolved(reads.node_id(request), reads.as_of(request))
        limit = reads.number(request, "limit", 5000, least=1, most=EDGES_MAX)
        graph = selectors.column_walk(
            _columns_of(found, as_of),
            depth=reads.number(request, "depth", 20, most=100),
            downstream=reads.flag(request, "withDownstream"),
            as_of=as_of,
            limit=limit,
        )
        graph, hidden = _kept_columns(graph, reads.filters(request), found.key)
        keys: list[Key] = [("dataset", node) for node, _ in graph.columns]
        named = Named(dict.fromkeys(keys), asked=found, data=False)
        more = sorted(named.field_id(column) for column in graph.more if column[0] in named.datasets)
        end = reads.ended(request, cut=graph.cut, more=more, limit=limit, most=EDGES_MAX, about="columns")
        if hidden:
            end["hidden"] = hidden
        form = formats.wanted(request)
        if form != "marquez":
            return formats.columns(form, graph, named, end=end)
        return reads.answer({"graph": _columns(graph, named, as_of), **end})


def _columns_of(found: Resolved, as_of: datetime | None) -> set[tuple[int, str]]:
    if found.name.kind == "field":
        return {(found.key, found.name.field)}
    if found.name.kind == "dataset":
        return {(found.key, name) for name in selectors.fields_of([found.key], as_of=as_of).get(found.key, ())}
    around_job = selectors.walk([("job", found.key)], depth=1, direction="downstream", as_of=as_of)
    written = [key for kind, key in around_job.nodes if kind == "dataset"]
    return {(key, name) for key, names in selectors.fields_of(written, as_of=as_of).items() for name in names}


def _kept_columns(graph: ColumnGraph, wanted: selectors.Filter, asked: int) -> tuple[ColumnGraph, int]:
    if not wanted:
        return graph, 0
    nodes = {node for node, _ in graph.columns}
    match = set(wanted.datasets(selectors.datasets().filter(id__in=nodes)).values_list("id", flat=True)) | {asked}
    shown = ColumnGraph(
        columns={column: level for column, level in graph.columns.items() if column[0] in match},
        edges={key: edge for key, edge in graph.edges.items() if edge.source[0] in match and edge.target[0] in match},
        more=graph.more,
        cut=graph.cut,
    )
    return shown, len(graph.columns) - len(shown.columns)


def _columns(graph: ColumnGraph, named: Named, as_of: datetime | None) -> list[Json]:
    facets = selectors.facets("dataset", list(named.datasets), names=["schema"], as_of=as_of)
    types = {node: {item["name"]: item["type"] for item in shapes.fields(facets.get(node, {}))} for node in named.datasets}
    incoming: dict[Any, list[selectors.ColumnEdge]] = {}
    outgoing: dict[Any, list[selectors.ColumnEdge]] = {}
    for edge in graph.edges.values():
        incoming.setdefault(edge.target, []).append(edge)
        outgoing.setdefault(edge.source, []).append(edge)
    names = {column: named.field_id(column) for column in graph.columns if column[0] in named.datasets}
    shown = []
    for column in sorted(names, key=names.__getitem__):
        row = named.datasets[column[0]]
        into, out = incoming.get(column, []), outgoing.get(column, [])
        sources = [column_input(edge, named.datasets) for edge in into if edge.source in names]
        shown.append(
            {
                "id": names[column],
                "type": "DATASET_FIELD",
                "data": {
                    "namespace": row.namespace,
                    "dataset": row.name,
                    "datasetVersion": None,
                    "field": column[1],
                    "fieldType": types[column[0]].get(column[1]),
                    "transformationDescription": sources[0]["transformationDescription"] if sources else None,
                    "transformationType": sources[0]["transformationType"] if sources else None,
                    "inputFields": sources,
                },
                "distance": graph.columns[column],
                "inEdges": [
                    {"origin": names[edge.source], "destination": names[column]} for edge in into if edge.source in names
                ],
                "outEdges": [
                    {"origin": names[column], "destination": names[edge.target]} for edge in out if edge.target in names
                ],
            }
        )
    return shown


def column_input(edge: selectors.ColumnEdge, rows: dict[int, Dataset]) -> Json:
    row = rows[edge.source[0]]
    first = edge.transformations[0] if edge.transformations else ("", "", "", False)
    return {
        "namespace": row.namespace,
        "dataset": row.name,
        "datasetVersion": None,
        "field": edge.source[1],
        "transformationDescription": first[2] or None,
        "transformationType": first[1] or first[0] or None,
        "transformations": [
            {"type": kind, "subtype": subtype, "description": description, "masking": masking}
            for kind, subtype, description, masking in edge.transformations
        ],
        "masking": edge.masking,
    }
