"""What Marquez has no address for: one direction, the way between two nodes, the impact of a change, what changed when."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from lineage import selectors
from lineage.api import formats, reads, shapes
from lineage.api.graph import GRAPH, NODES_MAX, around, key_of, resolved
from lineage.api.naming import Named
from lineage.selectors import Changes, Column, Impact, Key
from lineage.selectors.impact import products_of

Json = dict[str, Any]


class UpstreamView(reads.ReadView):
    content_negotiation_class = formats.Negotiation

    @extend_schema(parameters=GRAPH, responses=formats.RESPONSES, operation_id="lineage_upstream")
    def get(self, request: Request) -> HttpResponse:
        """What a dataset or job is made of, nearest first."""
        return around(request, "upstream")


class DownstreamView(reads.ReadView):
    content_negotiation_class = formats.Negotiation

    @extend_schema(parameters=GRAPH, responses=formats.RESPONSES, operation_id="lineage_downstream")
    def get(self, request: Request) -> HttpResponse:
        """What is made of a dataset, or by a job, nearest first."""
        return around(request, "downstream")


class PathView(reads.ReadView):
    @extend_schema(
        parameters=[
            OpenApiParameter("from", str, required=True, description="node id where the way begins"),
            OpenApiParameter("to", str, required=True, description="node id where it ends"),
            reads.AS_OF,
        ],
        responses={200: dict},
        operation_id="lineage_path",
    )
    def get(self, request: Request) -> Response:
        """The shortest way from one node downstream to another: node ids in order, empty when there is none.

        `cut` tells that the search ended at 50,000 nodes, so that an empty path proves nothing.
        """
        as_of = reads.as_of(request)
        ends = [resolved(reads.node_id(request, name), as_of)[0] for name in ("from", "to")]
        trail, cut = selectors.path_between(key_of(ends[0]), key_of(ends[1]), as_of=as_of)
        named = Named(trail, data=False)
        found: Json = {"path": [named.node_id(key) for key in trail], "cut": cut, "asOf": shapes.moment(as_of)}
        if not trail:
            found["hint"] = "No way leads downstream from the first to the second; try with from and to exchanged."
        return Response({**found, "knownThrough": shapes.moment(selectors.known_through(as_of))})


class ImpactView(reads.ReadView):
    @extend_schema(
        parameters=[
            OpenApiParameter(
                "nodeId",
                str,
                required=True,
                description="datasetField:<namespace>:<name>:<field>, or dataset:… for all columns",
            ),
            OpenApiParameter("depth", int, description="steps downstream, default 20"),
            OpenApiParameter("limit", int, description="column edges and nodes at most, default 2000"),
            reads.AS_OF,
            reads.NAMESPACE,
            *reads.FILTERS,
        ],
        responses={200: dict},
        operation_id="lineage_impact",
    )
    def get(self, request: Request) -> Response:
        """What a change of a column reaches: columns with the way there, datasets, jobs, data products and whom to tell.

        `masked` and `aggregated` hold when every way masks or aggregates the value; `indirect` when it only decides which rows
        there are. Datasets `byColumns: false` are reached as a whole: by a filter, or by a job that states no columns.
        """
        found, as_of = resolved(reads.node_id(request), reads.as_of(request))
        if found.name.kind == "job":
            raise reads.fault("nodeId", "must be a column or a dataset; what a job writes is at /api/v1/lineage/downstream")
        names = (
            [found.name.field]
            if found.name.kind == "field"
            else selectors.fields_of([found.key], as_of=as_of).get(found.key, [])
        )
        limit = reads.number(request, "limit", 2000, least=1, most=NODES_MAX)
        reached = selectors.impact(
            [(found.key, name) for name in names or [""]],
            depth=reads.number(request, "depth", 20, least=1, most=100),
            as_of=as_of,
            limit=limit,
        )
        return Response(_impact(request, reached, found.key, limit))


def _impact(request: Request, reached: Impact, asked: int, limit: int) -> Json:
    keys: set[Key] = {("dataset", key) for key in (*reached.datasets, asked)} | {("job", key) for key in reached.jobs}
    keys |= {("dataset", node) for item in reached.columns for node, _ in item.path} | set(reached.more_nodes)
    named = Named(keys, data=False)
    wanted = reads.filters(request)
    shown = set(reached.datasets)
    if wanted:
        shown &= set(wanted.datasets(selectors.datasets().filter(id__in=shown)).values_list("id", flat=True))
    columns = [item for item in reached.columns if item.column[0] in shown or not wanted]
    jobs = sorted(named.node_id(("job", key)) for key in reached.jobs if key in named.jobs)
    products = products_of(named.datasets[key] for key in shown if key in named.datasets)
    more = [named.field_id(column) for column in reached.more if column[0] in named.datasets]
    more += [named.node_id(key) for key in reached.more_nodes]
    return {
        "columns": [
            {
                "id": named.field_id(item.column),
                "distance": item.distance,
                "path": [named.field_id(column) for column in item.path],
                "masked": item.masked,
                "aggregated": item.aggregated,
                "indirect": item.indirect,
            }
            for item in columns
            if item.column[0] in named.datasets
        ],
        "datasets": [
            {"id": named.node_id(("dataset", key)), "byColumns": reached.datasets[key]}
            for key in sorted(shown, key=lambda key: named.node_id(("dataset", key)))
        ],
        "jobs": jobs,
        "products": [
            {
                "key": item.key,
                "name": item.name,
                "owner": item.owner,
                "steward": item.steward,
                "datasets": sorted(named.node_id(("dataset", key)) for key in item.datasets),
            }
            for item in products
        ],
        "owners": sorted({item.owner for item in products}),
        "hidden": len(reached.datasets) - len(shown),
        **reads.ended(request, cut=reached.cut, more=sorted(set(more)), limit=limit, most=NODES_MAX, about="columns and nodes"),
    }


class ChangesView(reads.ReadView):
    @extend_schema(
        parameters=[
            OpenApiParameter("from", str, required=True, description="moment of knowledge, ISO 8601 with zone"),
            OpenApiParameter("to", str, description="default now"),
            OpenApiParameter("nodeId", str, description="what changed around this node; without it, anywhere"),
            OpenApiParameter("depth", int, description="steps around the node, default 5"),
            OpenApiParameter("limit", int, description="of each sort at most, default 2000"),
            reads.NAMESPACE,
        ],
        responses={200: dict},
        operation_id="lineage_changes",
    )
    def get(self, request: Request) -> Response:
        """Nodes and edges that came and went between two moments, and schemas that changed.

        Moments are those at which Touchstone knew, not those of the events. Around a node, columns' edges are compared too.
        """
        since = reads.time_needed(request, "from")
        until = reads.time_or_none(request, "to") or selectors.known_through()
        if until < since:
            raise reads.fault("to", "is before 'from'")
        limit = reads.number(request, "limit", 2000, least=1, most=NODES_MAX)
        if node_id := request.query_params.get("nodeId"):
            depth = reads.number(request, "depth", 5, most=100)
            start = key_of(resolved(node_id, None)[0])
            changes = selectors.changes_between(start, since=since, until=until, depth=depth, limit=limit)
        else:
            namespace = request.query_params.get("namespace", "")
            changes = selectors.changes_list(since=since, until=until, limit=limit, namespace=namespace)
        return Response(
            {
                "from": shapes.moment(since),
                "to": shapes.moment(until),
                **_changes(changes),
                "cut": changes.cut,
                **({"rest": "narrow the times, or name a node or a namespace"} if changes.cut else {}),
                "limit": limit,
                "knownThrough": shapes.moment(selectors.known_through()),
            }
        )


def _changes(changes: Changes) -> Json:
    edges = changes.edges_added | changes.edges_removed
    columns = changes.column_edges_added | changes.column_edges_removed
    keys: set[Key] = changes.nodes_added | changes.nodes_removed | {end for edge in edges for end in edge}
    keys |= {("dataset", node) for edge in columns for node, _ in edge}
    keys |= {("dataset", step.dataset_id) for step in changes.schemas}
    named = Named(keys, data=False)

    def nodes(found: set[Key]) -> list[str]:
        return sorted(named.node_id(key) for key in found)

    def arrows(found: set[tuple[Key, Key]]) -> list[Json]:
        ends = sorted((named.node_id(left), named.node_id(right)) for left, right in found)
        return [{"origin": left, "destination": right} for left, right in ends]

    def flows(found: set[tuple[Column, Column]]) -> list[Json]:
        known = [edge for edge in found if edge[0][0] in named.datasets and edge[1][0] in named.datasets]
        ends = sorted((named.field_id(left), named.field_id(right)) for left, right in known)
        return [{"origin": left, "destination": right} for left, right in ends]

    return {
        "nodesAdded": nodes(changes.nodes_added),
        "nodesRemoved": nodes(changes.nodes_removed),
        "edgesAdded": arrows(changes.edges_added),
        "edgesRemoved": arrows(changes.edges_removed),
        "columnEdgesAdded": flows(changes.column_edges_added),
        "columnEdgesRemoved": flows(changes.column_edges_removed),
        "schemas": [
            {
                "dataset": named.node_id(("dataset", step.dataset_id)),
                "knownAt": shapes.moment(step.known_from),
                "version": step.version,
                "previousVersion": step.before,
                "columns": [{"column": item.column, "before": item.before, "after": item.after} for item in step.changes],
            }
            for step in changes.schemas
        ],
    }
