"""Graph answers as files: GraphML, node-link JSON, SVG. Asked for with ``format`` or with ``Accept``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import networkx
from django.http import HttpResponse, JsonResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from lineage.api.naming import Named
from lineage.api.reads import fault
from lineage.domain.drawing import Box, draw
from lineage.selectors import ColumnGraph, Key, Subgraph

Json = dict[str, Any]
TYPES = {"graphml": "application/graphml+xml", "svg": "image/svg+xml", "json": "application/vnd.node-link+json"}
FORMAT = OpenApiParameter(
    "format",
    str,
    enum=["marquez", "json", "graphml", "svg"],
    description="marquez (default), json (node-link, as NetworkX and D3 read it), graphml, svg; or by Accept",
)
RESPONSES = {
    (200, "application/json"): OpenApiTypes.OBJECT,
    (200, TYPES["graphml"]): OpenApiTypes.STR,
    (200, TYPES["svg"]): OpenApiTypes.STR,
}
# Graphviz takes about half a second for so many boxes, and nobody reads more.
SVG_NODES = 500


class Negotiation(DefaultContentNegotiation):
    """``format`` names ours, not REST framework's renderers, and our types are acceptable to it."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> tuple[BaseRenderer, str]:
        del request, format_suffix
        first = next(iter(renderers))
        return first, first.media_type


def wanted(request: Request) -> str:
    """The format that was asked for; the parameter comes before the header. Raises ValidationError for an unknown one."""
    name = request.query_params.get("format", "")
    if name:
        if name not in {"marquez", *TYPES}:
            raise fault("format", f"must be one of marquez, {', '.join(sorted(TYPES))}")
        return name
    accepted = [part.partition(";")[0].strip().lower() for part in request.headers.get("Accept", "").split(",")]
    for one in accepted:
        for form, kind in TYPES.items():
            if one == kind:
                return form
        if one in {"application/json", "*/*"}:
            break
    return "marquez"


def answer(form: str, graph: Subgraph, named: Named, *, start: Key, end: Json) -> HttpResponse:
    names = {key: named.node_id(key) for key in graph.nodes}
    made: Any = networkx.DiGraph(**_flat(end))
    for key in sorted(graph.nodes, key=names.__getitem__):
        row = named.datasets.get(key[1]) if key[0] == "dataset" else named.jobs.get(key[1])
        if row is not None:
            made.add_node(
                names[key],
                type=key[0],
                namespace=row.namespace,
                name=row.name,
                distance=graph.nodes[key],
                more=key in graph.more,
            )
    made.add_edges_from(sorted((names[left], names[right]) for left, right in graph.edges))
    boxes = [
        Box(
            key=node,
            kind=data["type"],
            label=data["name"],
            full=data["name"],
            href=f"/lineage/?node={node}",
            note=data["namespace"],
            focus=node == names.get(start),
            more=data["more"],
        )
        for node, data in made.nodes(data=True)
    ]
    return _written(form, made, boxes, end, f"Lineage of {names.get(start, '')}")


def columns(form: str, graph: ColumnGraph, named: Named, *, end: Json) -> HttpResponse:
    names = {column: named.field_id(column) for column in graph.columns if column[0] in named.datasets}
    made: Any = networkx.MultiDiGraph(**_flat(end))
    for column in sorted(names, key=names.__getitem__):
        row = named.datasets[column[0]]
        made.add_node(
            names[column],
            type="field",
            namespace=row.namespace,
            dataset=row.name,
            field=column[1],
            distance=graph.columns[column],
            more=column in graph.more,
        )
    for edge in graph.edges.values():
        if edge.source in names and edge.target in names:
            how = ", ".join(f"{way[0]} {way[1]}".strip() for way in edge.transformations)
            made.add_edge(names[edge.source], names[edge.target], transformations=how, direct=edge.direct, masking=edge.masking)
    boxes = [
        Box(
            key=node,
            kind="dataset",
            label=data["field"] or "(all rows)",
            full=node,
            href=f"/lineage/?node=dataset:{data['namespace']}:{data['dataset']}",
            note=data["dataset"],
            focus=data["distance"] == 0,
            more=data["more"],
        )
        for node, data in made.nodes(data=True)
    ]
    return _written(form, made, boxes, end, "Column lineage")


def _flat(end: Json) -> Json:
    """GraphML holds no lists and no null."""
    return {name: ", ".join(value) if isinstance(value, list) else value for name, value in end.items() if value is not None}


def _written(form: str, made: Any, boxes: Sequence[Box], end: Json, title: str) -> HttpResponse:
    if form == "json":
        return JsonResponse({**networkx.node_link_data(made, edges="links"), "graph": end}, content_type=TYPES["json"])
    if form == "graphml":
        text = "\n".join(networkx.generate_graphml(made, named_key_ids=True))
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'
        return HttpResponse(body, content_type=TYPES["graphml"], headers=_attached("lineage.graphml"))
    if len(boxes) > SVG_NODES:
        raise fault(
            "format", f"svg draws at most {SVG_NODES} nodes, these are {len(boxes)}: lower depth or limit, or use graphml"
        )
    description = f"{len(boxes)} nodes, data flows from left to right." + (" More exists than is shown." if end["cut"] else "")
    lines = [(left, right) for left, right, *_ in made.edges]
    svg = draw(boxes, lines, title=title, description=description, standalone=True)
    return HttpResponse(svg, content_type=TYPES["svg"])


def _attached(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}
