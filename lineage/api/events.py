"""Events as they were sent, search over names, and counts over time."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from lineage import selectors
from lineage.api import reads, shapes

Json = dict[str, Any]
PERIOD = [
    OpenApiParameter("period", str, enum=["DAY", "WEEK"], required=True, description="24 hours by hour, or 7 days by day"),
    OpenApiParameter("timezone", str, description="IANA name; days of a week begin at its midnight; default UTC"),
    reads.AS_OF,
]


class Events(reads.ReadView):
    @extend_schema(
        parameters=[
            *reads.PAGING,
            OpenApiParameter("after", str, description="event time, inclusive"),
            OpenApiParameter("before", str, description="event time, exclusive"),
            OpenApiParameter("sortDirection", str, enum=["desc", "asc"]),
            OpenApiParameter("namespace", str, description="events of the jobs of a namespace"),
            reads.AS_OF,
        ],
        responses={200: dict},
        operation_id="lineage_events",
    )
    def get(self, request: Request, namespace: str | None = None) -> Response:
        """Stored events as they were sent, by event time.

        `totalCount` counts as far as this page and one more: counting a partitioned store would cost more than the page.
        """
        limit, offset = reads.paging(request)
        rows = selectors.events_page(
            after=reads.time_or_none(request, "after"),
            before=reads.time_or_none(request, "before"),
            namespace=namespace or request.query_params.get("namespace") or None,
            as_of=reads.as_of(request),
            ascending=reads.choice(request, "sortDirection", ("desc", "asc"), "desc") == "asc",
            limit=limit + 1,
            offset=offset,
        )
        return reads.listed(request, "events", [row.event for row in rows[:limit]], offset + len(rows))


@extend_schema(exclude=True)
class OldEvents(Events):
    """The same where older clients of Marquez ask."""


class Search(reads.ReadView):
    @extend_schema(
        parameters=[
            OpenApiParameter("q", str, required=True, description="part of a name; with % a pattern of the whole name"),
            OpenApiParameter("filter", str, enum=["DATASET", "JOB"]),
            OpenApiParameter("sort", str, enum=["NAME", "UPDATE_AT"]),
            OpenApiParameter("namespace", str),
            OpenApiParameter("limit", int, description="default 10, at most 100"),
            OpenApiParameter("after", str, description="last heard of at or after"),
            OpenApiParameter("before", str, description="last heard of before"),
            reads.AS_OF,
        ],
        responses={200: dict},
        operation_id="lineage_search",
    )
    def get(self, request: Request) -> Response:
        """Datasets and jobs by name, shortest names first."""
        kind = reads.choice(request, "filter", ("", "DATASET", "JOB", "dataset", "job", "ALL"), "").lower()
        sort = reads.choice(request, "sort", ("NAME", "UPDATE_AT", "name", "updated_at", "update_at"), "NAME").lower()
        limit = reads.number(request, "limit", 10, least=1, most=100)
        hits = selectors.search(
            reads.node_id(request, "q"),
            kind="" if kind == "all" else kind,
            namespace=request.query_params.get("namespace", ""),
            limit=limit + 1,
            newest_first=sort != "name",
            after=reads.time_or_none(request, "after"),
            before=reads.time_or_none(request, "before"),
            as_of=reads.as_of(request),
            pattern="%" in reads.node_id(request, "q"),
        )
        shown = [
            {
                "type": hit.kind.upper(),
                "name": hit.name,
                "namespace": hit.namespace,
                "nodeId": hit.node_id,
                "updatedAt": shapes.moment(hit.updated_at),
            }
            for hit in hits[:limit]
        ]
        through = shapes.moment(selectors.known_through(reads.as_of(request)))
        return Response(
            {"totalCount": len(shown), "results": shown, "limit": limit, "more": len(hits) > limit, "knownThrough": through}
        )


class EventStats(reads.ReadView):
    @extend_schema(parameters=PERIOD, responses={200: list[dict[str, Any]]}, operation_id="lineage_stats_events")
    def get(self, request: Request) -> Response:
        """Run events by their time and type."""
        return Response([_interval(row) for row in selectors.stats_events(**_period(request))])


class AssetStats(reads.ReadView):
    @extend_schema(parameters=PERIOD, responses={200: list[dict[str, Any]]}, operation_id="lineage_stats_assets")
    def get(self, request: Request, asset: str) -> Response:
        """How many jobs, datasets or sources were known at the end of each interval."""
        return Response([_interval(row) for row in selectors.stats_assets(asset, **_period(request))])


def _period(request: Request) -> Json:
    period = reads.choice(request, "period", ("DAY", "WEEK"), "")
    return {"period": period, "zone": reads.zone(request), "until": reads.as_of(request) or timezone.now()}


def _interval(row: Json) -> Json:
    return {**row, "startInterval": shapes.moment(row["startInterval"]), "endInterval": shapes.moment(row["endInterval"])}
