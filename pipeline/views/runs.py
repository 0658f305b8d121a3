"""Runs and their steps."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse

from controlplane.ui.pages import STAFF_ROLES, etag_of, live_part, page, render_page
from pipeline import selectors_runs
from pipeline.lists import RUNS
from pipeline.models import Run
from pipeline.selectors_runs import RunTotals

FILES_SHOWN = 200


@page(*STAFF_ROLES)
def runs(request: HttpRequest) -> HttpResponseBase:
    rows = Run.objects.all()
    if request.GET.get("format") == "csv":
        return RUNS.csv(request, rows, "runs")
    return render_page(
        request,
        "pipeline/runs.html",
        {"listed": RUNS.read(request, rows), "noun": "runs", "empty_template": "pipeline/runs_empty.html"},
        title="Runs",
    )


def _run_or_404(uuid: UUID) -> RunTotals:
    found = selectors_runs.run_by_uuid(uuid)
    if found is None:
        raise Http404("no such run")
    return found


def _progress(total: RunTotals) -> tuple[dict[str, Any], object]:
    """The part of the run page that changes while it runs, and what its ETag is made of."""
    steps = selectors_runs.run_steps(total.run)
    data = [
        (total.run.state, total.run.finished_at),
        [
            (step.pk, step.state, step.attempts, step.started_at, step.finished_at, step.rows_in, step.rows_out, step.error)
            for step in steps
        ],
    ]
    return {"total": total, "run": total.run, "steps": steps, "failed": [step for step in steps if step.error]}, data


@page(*STAFF_ROLES)
def run(request: HttpRequest, uuid: UUID) -> HttpResponseBase:
    total = _run_or_404(uuid)
    context, data = _progress(total)
    files = list(selectors_runs.run_files(total.run)[: FILES_SHOWN + 1])
    return render_page(
        request,
        "pipeline/run.html",
        {
            **context,
            "etag": etag_of(data),
            "files": files[:FILES_SHOWN],
            "files_cut": len(files) > FILES_SHOWN,
            "values": selectors_runs.run_kpis(total.run),
        },
        title=f"Run {str(uuid)[:8]}",
        crumbs=[("Runs", reverse("runs"))],
    )


@page(*STAFF_ROLES)
def run_live(request: HttpRequest, uuid: UUID) -> HttpResponseBase:
    context, data = _progress(_run_or_404(uuid))
    response = live_part(request, "pipeline/run_live.html", context, data=data)
    if context["run"].finished_at:
        response["X-Live-Done"] = "1"  # nothing changes any more: the page stops asking
    return response
