"""Jobs, their versions and runs, in Marquez's shapes."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from lineage import selectors
from lineage.api import reads, shapes
from lineage.domain.spec import run_uuid
from lineage.models import Dataset, Job, Run

Json = dict[str, Any]
LATEST_RUNS = 10
RUN_FROM_EVENTS = "Runs come from events: send a RunEvent (START, RUNNING, COMPLETE, FAIL, ABORT) to POST /api/v1/lineage."


class Jobs(reads.ReadView):
    """The jobs of a namespace, with their newest run."""

    @extend_schema(
        parameters=[
            *reads.PAGING,
            reads.AS_OF,
            *reads.FILTERS,
            OpenApiParameter("lastRunStates", str, description="state of the newest run: RUNNING, COMPLETED, FAILED, ABORTED"),
        ],
        responses={200: dict},
        operation_id="lineage_jobs",
    )
    def get(self, request: Request, namespace: str | None = None) -> Response:
        as_of = reads.as_of(request)
        found = reads.filters(request, namespace).jobs(selectors.jobs(as_of=as_of))
        if states := request.query_params.getlist("lastRunStates"):
            kinds = [kind for kind, state in shapes.RUN_STATES.items() if state in states]
            found = found.filter(latest_run_id__in=selectors.runs().order_by().filter(state__in=kinds).values("id"))
        rows, total = reads.page(found, request)
        facets = selectors.facets("job", [row.id for row in rows], as_of=as_of)
        latest = _latest(rows)
        shown = [
            shapes.job(
                row,
                facets.get(row.id, {}),
                inputs=(),
                outputs=(),
                latest=latest.get(row.latest_run_id),
                all_facets=True,
            )
            for row in rows
        ]
        return reads.listed(request, "jobs", shown, total)


@extend_schema_view(get=extend_schema(operation_id="lineage_all_jobs", parameters=[reads.NAMESPACE]))
class AllJobs(Jobs):
    """The jobs of every namespace, with their newest run."""


class JobDetail(reads.ReadView):
    instead = "Jobs come from events: send a JobEvent or RunEvent to POST /api/v1/lineage."

    @extend_schema(parameters=[reads.AS_OF], responses={200: dict}, operation_id="lineage_job")
    def get(self, request: Request, namespace: str, name: str) -> Response:
        """A job with its latest runs, what it reads and what it writes."""
        as_of = reads.as_of(request)
        row = _job(namespace, name, as_of=as_of)
        sides = [_side(row, side, as_of) for side in ("upstream", "downstream")]
        facets = selectors.facets("job", [row.id], as_of=as_of).get(row.id, {})
        runs = list(selectors.runs(job_id=row.id, as_of=as_of)[:LATEST_RUNS])
        latest = _latest([row]).get(row.latest_run_id) if as_of is None else (runs[0] if runs else None)
        shown = shapes.job(row, facets, inputs=sides[0], outputs=sides[1], latest=latest, latest_runs=runs, all_facets=True)
        return Response({**shown, "knownThrough": shapes.moment(selectors.known_through(as_of))})


class JobVersions(reads.ReadView):
    @extend_schema(parameters=[*reads.PAGING, reads.AS_OF], responses={200: dict}, operation_id="lineage_job_versions")
    def get(self, request: Request, namespace: str, name: str) -> Response:
        """A job's sets of inputs and outputs, each with its newest run; newest first."""
        row = _job(namespace, name)
        rows, total = reads.page(selectors.job_versions(row, as_of=reads.as_of(request)), request)
        return reads.listed(request, "versions", _versions(row, rows), total)


class JobVersion(reads.ReadView):
    @extend_schema(responses={200: dict}, operation_id="lineage_job_version")
    def get(self, request: Request, namespace: str, name: str, version: str) -> Response:
        row = _job(namespace, name)
        found = [item for item in selectors.job_versions(row) if str(item.version) == version]
        if not found:
            raise NotFound(f"the job {name!r} has no version {version!r}; …/versions lists them")
        return Response(_versions(row, found)[0])


def _versions(row: Job, items: list[selectors.JobVersion]) -> list[Json]:
    facets = selectors.facets("job", [row.id]).get(row.id, {})
    datasets = selectors.datasets_by_id({key for item in items for key in (*item.inputs, *item.outputs)})
    runs = {run.id: run for run in selectors.runs().filter(id__in=[item.latest_run_id for item in items])}
    return [shapes.job_version(row, item, facets, datasets, runs.get(item.latest_run_id)) for item in items]


class JobRuns(reads.ReadView):
    instead = RUN_FROM_EVENTS

    @extend_schema(parameters=[*reads.PAGING, reads.AS_OF], responses={200: dict}, operation_id="lineage_job_runs")
    def get(self, request: Request, namespace: str, name: str) -> Response:
        """Runs of a job, newest first."""
        as_of = reads.as_of(request)
        job = _job(namespace, name, as_of=as_of)
        rows, total = reads.page(selectors.runs(job_id=job.id, as_of=as_of), request)
        known = selectors.run_states([row.id for row in rows], as_of=as_of) if as_of else {}
        shown = [shapes.run(row, job=job, known=known.get(row.id)) for row in rows]
        return reads.listed(request, "runs", shown, total)


class RunDetail(reads.ReadView):
    instead = RUN_FROM_EVENTS

    @extend_schema(parameters=[reads.AS_OF], responses={200: dict}, operation_id="lineage_run")
    def get(self, request: Request, run_id: str) -> Response:
        as_of = reads.as_of(request)
        row = _run(run_id, as_of=as_of)
        job = selectors.jobs_by_id([row.job_id]).get(row.job_id)
        inputs, outputs = (shapes.names(side) for side in selectors.run_datasets(row))
        known = selectors.run_states([row.id], as_of=as_of).get(row.id) if as_of else None
        shown: Json = {
            **shapes.run(row, job=job, known=known),
            "facets": _facets(row, "run", as_of),
            "inputs": inputs,
            "outputs": outputs,
            "inputDatasetVersions": [{"datasetVersionId": item, "facets": {}} for item in inputs],
            "outputDatasetVersions": [{"datasetVersionId": item, "facets": {}} for item in outputs],
        }
        return Response(shown)


class RunFacets(reads.ReadView):
    @extend_schema(
        parameters=[OpenApiParameter("type", str, enum=["run", "job"]), reads.AS_OF],
        responses={200: dict},
        operation_id="run_facets",
    )
    def get(self, request: Request, run_id: str) -> Response:
        """Facets of a run, or of its job as the run's events had them."""
        kind = reads.choice(request, "type", ("run", "job"), "run")
        as_of = reads.as_of(request)
        return Response({"runId": run_id, "facets": _facets(_run(run_id, as_of=as_of), kind, as_of)})


@extend_schema(exclude=True)
class RunTransition(reads.ReadView):
    """Only refuses: Marquez's old way to start and end runs."""

    http_method_names = ["post", "options"]
    instead = RUN_FROM_EVENTS


def _job(namespace: str, name: str, *, as_of: datetime | None = None) -> Job:
    row = selectors.job_get(namespace, name, as_of=as_of)
    if row is None:
        when = " before that moment" if as_of else ""
        raise NotFound(f"no event names the job {name!r} of {namespace!r}{when}; GET /api/v1/search?q=… finds names")
    return row


def _run(run_id: str, *, as_of: datetime | None = None) -> Run:
    key: uuid.UUID | None = run_uuid(run_id)
    row = selectors.run_get(key, as_of=as_of) if key else None
    if row is None:
        raise NotFound(f"no event names the run {run_id!r}")
    return row


def _side(row: Job, direction: Any, as_of: datetime | None) -> list[Dataset]:
    around = selectors.walk([("job", row.id)], depth=1, direction=direction, as_of=as_of)
    found = selectors.datasets_by_id(key for kind, key in around.nodes if kind == "dataset")
    return sorted(found.values(), key=lambda item: (item.namespace, item.name))


def _latest(rows: list[Job]) -> dict[Any, Run]:
    wanted = [row.latest_run_id for row in rows if row.latest_run_id]
    return {row.id: row for row in selectors.runs().filter(id__in=wanted)}


def _facets(row: Run, kind: str, as_of: datetime | None) -> Json:
    """Facets of a run (or of its job in that run), the latest of each name, from the run's events."""
    found: Json = {}
    for item in selectors.events_of_run(row.id, known_from=row.known_from, as_of=as_of):
        facets = (item.event.get(kind) or {}).get("facets") or {}
        found |= {name: body for name, body in facets.items() if body is not None}
    return {name: body for name, body in sorted(found.items()) if not (isinstance(body, dict) and body.get("_deleted"))}
