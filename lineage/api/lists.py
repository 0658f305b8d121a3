"""Namespaces, datasets, jobs, runs, events, search, quarantine: the lists, in Marquez's shapes where it has them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from controlplane.accounts.models import ApiKey
from controlplane.accounts.permissions import HasRole
from controlplane.accounts.roles import Role
from controlplane.ui.pages import EVERY_ROLE
from lineage import selectors
from lineage.api import reads, shapes
from lineage.domain.spec import run_uuid
from lineage.models import Dataset, Job, Quarantine, Run

Json = dict[str, Any]
PAGING = [OpenApiParameter("limit", int), OpenApiParameter("offset", int)]


class Namespaces(reads.ReadView):
    @extend_schema(parameters=PAGING, responses={200: dict}, operation_id="lineage_namespaces")
    def get(self, request: Request) -> Response:
        rows, total = reads.page(selectors.namespaces(), request)
        shown = [
            {
                "name": row.name,
                "createdAt": shapes.moment(row.known_from),
                "updatedAt": shapes.moment(row.known_from),
                "ownerName": "",
                "description": None,
                "isHidden": False,
            }
            for row in rows
        ]
        return Response({"totalCount": total, "namespaces": shown})


class Datasets(reads.ReadView):
    @extend_schema(parameters=PAGING, responses={200: dict}, operation_id="lineage_datasets")
    def get(self, request: Request, namespace: str) -> Response:
        rows, total = reads.page(selectors.datasets(namespace=namespace), request)
        facets = selectors.facets("dataset", [row.id for row in rows], names=shapes.DATASET_FACETS)
        return Response({"totalCount": total, "datasets": [shapes.dataset(row, facets.get(row.id, {})) for row in rows]})


class DatasetDetail(reads.ReadView):
    @extend_schema(responses={200: dict}, operation_id="lineage_dataset")
    def get(self, request: Request, namespace: str, name: str) -> Response:
        row = _dataset(namespace, name)
        facets = selectors.facets("dataset", [row.id]).get(row.id, {})
        others = [item for item in selectors.aliases([row.node_id]).get(row.node_id, ()) if item != (row.namespace, row.name)]
        shown = shapes.dataset(row, facets, all_facets=True)
        return Response({**shown, "symlinks": [{"namespace": space, "name": title} for space, title in others]})


class DatasetVersions(reads.ReadView):
    @extend_schema(parameters=PAGING, responses={200: dict}, operation_id="lineage_dataset_versions")
    def get(self, request: Request, namespace: str, name: str) -> Response:
        row = _dataset(namespace, name)
        rows, total = reads.page(selectors.versions(row.id), request)
        shown = [
            {
                "id": {"namespace": row.namespace, "name": row.name, "version": item.version},
                "version": item.version,
                "kind": item.kind,
                "createdAt": shapes.moment(item.first_time),
                "createdByRun": {"id": str(item.run_id)} if item.run_id else None,
            }
            for item in rows
        ]
        return Response({"totalCount": total, "versions": shown})


class Jobs(reads.ReadView):
    """The jobs of a namespace, with their newest run."""

    @extend_schema(parameters=PAGING, responses={200: dict}, operation_id="lineage_jobs")
    def get(self, request: Request, namespace: str = "") -> Response:
        rows, total = reads.page(selectors.jobs(namespace=namespace or None), request)
        facets = selectors.facets("job", [row.id for row in rows], names=shapes.JOB_FACETS)
        latest = _latest(rows)
        shown = [
            shapes.job(row, facets.get(row.id, {}), inputs=(), outputs=(), latest=latest.get(row.latest_run_id)) for row in rows
        ]
        return Response({"totalCount": total, "jobs": shown})


@extend_schema_view(get=extend_schema(operation_id="lineage_all_jobs"))
class AllJobs(Jobs):
    """The jobs of every namespace, with their newest run."""


class JobDetail(reads.ReadView):
    """A job with its latest run, what it reads and what it writes."""

    @extend_schema(responses={200: dict}, operation_id="lineage_job")
    def get(self, request: Request, namespace: str, name: str) -> Response:
        row = _job(namespace, name)
        sides = [_side(row, side) for side in ("upstream", "downstream")]
        facets = selectors.facets("job", [row.id]).get(row.id, {})
        latest = _latest([row]).get(row.latest_run_id)
        return Response(shapes.job(row, facets, inputs=sides[0], outputs=sides[1], latest=latest, all_facets=True))


class JobRuns(reads.ReadView):
    @extend_schema(parameters=PAGING, responses={200: dict}, operation_id="lineage_job_runs")
    def get(self, request: Request, namespace: str, name: str) -> Response:
        rows, total = reads.page(selectors.runs(job_id=_job(namespace, name).id), request)
        return Response({"totalCount": total, "runs": [shapes.run(row) for row in rows]})


class RunDetail(reads.ReadView):
    @extend_schema(responses={200: dict}, operation_id="lineage_run")
    def get(self, request: Request, run_id: str) -> Response:
        row = _run(run_id)
        job = selectors.jobs_by_id([row.job_id]).get(row.job_id)
        inputs, outputs = selectors.run_datasets(row)
        shown: Json = {
            **shapes.run(row),
            "jobName": job.name if job else None,
            "jobNamespace": job.namespace if job else None,
            "facets": _facets(row, "run"),
            "inputs": _named(inputs),
            "outputs": _named(outputs),
            "inputDatasetVersions": [{"datasetVersionId": item, "facets": {}} for item in _named(inputs)],
            "outputDatasetVersions": [{"datasetVersionId": item, "facets": {}} for item in _named(outputs)],
        }
        return Response(shown)


class RunFacets(reads.ReadView):
    @extend_schema(
        parameters=[OpenApiParameter("type", str, enum=["run", "job"])], responses={200: dict}, operation_id="run_facets"
    )
    def get(self, request: Request, run_id: str) -> Response:
        kind = reads.choice(request, "type", ("run", "job"), "run")
        return Response({"runId": run_id, "facets": _facets(_run(run_id), kind)})


class Events(reads.ReadView):
    @extend_schema(
        parameters=[
            *PAGING,
            OpenApiParameter("after", str),
            OpenApiParameter("before", str),
            OpenApiParameter("sortDirection", str, enum=["desc", "asc"]),
        ],
        responses={200: dict},
        operation_id="lineage_events",
    )
    def get(self, request: Request) -> Response:
        """Stored events as they were sent. There is no total: counting a partitioned store per page would cost more than it."""
        limit, offset = reads.paging(request)
        rows = selectors.events_page(
            after=reads.time_or_none(request, "after"),
            before=reads.time_or_none(request, "before"),
            ascending=reads.choice(request, "sortDirection", ("desc", "asc"), "desc") == "asc",
            limit=limit + 1,
            offset=offset,
        )
        shown = [row.event for row in rows[:limit]]
        return Response({"totalCount": offset + len(rows), "more": len(rows) > limit, "events": shown})


class Search(reads.ReadView):
    @extend_schema(
        parameters=[
            OpenApiParameter("q", str, required=True),
            OpenApiParameter("filter", str, enum=["DATASET", "JOB"]),
            OpenApiParameter("namespace", str),
            OpenApiParameter("limit", int),
        ],
        responses={200: dict},
        operation_id="lineage_search",
    )
    def get(self, request: Request) -> Response:
        kind = reads.choice(request, "filter", ("", "DATASET", "JOB", "dataset", "job"), "").lower()
        hits = selectors.search(
            reads.node_id(request, "q"),
            kind=kind,
            namespace=request.query_params.get("namespace", ""),
            limit=reads.number(request, "limit", 10, least=1, most=100),
        )
        shown = [
            {
                "type": hit.kind.upper(),
                "name": hit.name,
                "namespace": hit.namespace,
                "nodeId": hit.node_id,
                "updatedAt": shapes.moment(hit.updated_at),
            }
            for hit in hits
        ]
        return Response({"totalCount": len(shown), "results": shown})


class QuarantineList(reads.ReadView):
    permission_classes = [HasRole(*EVERY_ROLE)]

    @extend_schema(parameters=PAGING, responses={200: dict}, operation_id="lineage_quarantine")
    def get(self, request: Request) -> Response:
        """Refused events. A producer sees its own, everybody else sees that they exist; bodies may hold personal data."""
        key = request.auth if isinstance(request.auth, ApiKey) and request.auth.role == Role.PRODUCER else None
        rows, total = reads.page(selectors.refused_events(key=key), request)
        return Response({"totalCount": total, "refused": [_refused(row, body=key is not None) for row in rows]})


def _refused(row: Quarantine, *, body: bool) -> Json:
    shown: Json = {
        "id": str(row.uuid),
        "producer": row.producer,
        "namespace": row.namespace,
        "stage": row.stage,
        "state": row.state,
        "path": row.path,
        "reason": row.reason,
        "times": row.times,
        "receivedAt": shapes.moment(row.received_at),
        "lastReceivedAt": shapes.moment(row.last_received_at),
    }
    return {**shown, "body": row.body} if body else shown


def _dataset(namespace: str, name: str) -> Dataset:
    row = selectors.dataset_get(namespace, name)
    if row is None:
        raise NotFound(f"no event names the dataset {name!r} of {namespace!r}")
    return row


def _job(namespace: str, name: str) -> Job:
    row = selectors.job_get(namespace, name)
    if row is None:
        raise NotFound(f"no event names the job {name!r} of {namespace!r}")
    return row


def _run(run_id: str) -> Run:
    key = run_uuid(run_id)
    row = selectors.run_get(key) if key else None
    if row is None:
        raise NotFound(f"no event names the run {run_id!r}")
    return row


def _side(row: Job, direction: Any) -> list[Dataset]:
    around = selectors.walk([("job", row.id)], depth=1, direction=direction)
    found = selectors.datasets_by_id(key for kind, key in around.nodes if kind == "dataset")
    return sorted(found.values(), key=lambda item: (item.namespace, item.name))


def _latest(rows: list[Job]) -> dict[Any, Run]:
    wanted = [row.latest_run_id for row in rows if row.latest_run_id]
    return {row.id: row for row in selectors.runs().filter(id__in=wanted)}


def _facets(row: Run, kind: str) -> Json:
    """Facets of a run (or of its job in that run), the latest of each name, from the run's events."""
    found: Json = {}
    for item in selectors.events_of_run(row.id, known_from=row.known_from):
        facets = (item.event.get(kind) or {}).get("facets") or {}
        found |= {name: body for name, body in facets.items() if body is not None}
    return {name: body for name, body in sorted(found.items()) if not body.get("_deleted")}


def _named(rows: list[Dataset]) -> list[Json]:
    return [{"namespace": row.namespace, "name": row.name} for row in rows]
