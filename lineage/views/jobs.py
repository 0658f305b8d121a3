"""The page of a job."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse

from controlplane.ui.pages import STAFF_ROLES, page, render_page
from lineage import selectors, selectors_pages
from lineage.views.addresses import dataset_url, job_url, number_of
from lineage.views.facets import told
from lineage.views.picture import run_state
from lineage.views.state import node_url

RUNS = 20


@page(*STAFF_ROLES)
def job(request: HttpRequest, key: str) -> HttpResponseBase:
    """What a job reads and writes, its last runs, its code, and who answers for it."""
    number = number_of(key)
    row = selectors.jobs_by_id([number]).get(number)
    if row is None:
        raise Http404("no event names this job")
    sides = []
    for direction in selectors_pages.DIRECTIONS:
        graph = selectors.walk([("job", row.id)], depth=1, direction=direction)
        sets = selectors.datasets_by_id(key for kind, key in graph.nodes if kind == "dataset")
        sides.append([(item, dataset_url(item)) for item in sorted(sets.values(), key=lambda item: item.name)])
    runs = list(selectors.runs(job_id=row.id)[:RUNS])
    parent = selectors.job_get(row.parent_namespace, row.parent_name) if row.parent_namespace and row.parent_name else None
    context: dict[str, Any] = {
        "job": row,
        "graph_url": node_url(f"job:{row.namespace}:{row.name}"),
        "inputs": sides[0],
        "outputs": sides[1],
        "runs": [(item, run_state(item), _took_s(item)) for item in runs],
        "runs_url": f"{reverse('lineage_runs')}?job={key}",
        "parent": parent,
        "parent_url": job_url(parent) if parent else "",
        "state": run_state(runs[0]) if runs else "not_run",
        "told": told(selectors.facets("job", [row.id]).get(row.id, {})),
    }
    crumbs = [("Lineage", reverse("lineage")), ("Jobs", reverse("lineage_jobs"))]
    return render_page(request, "lineage/job.html", context, title=row.name, crumbs=crumbs)


def _took_s(run: Any) -> float | None:
    return (run.state_time - (run.started_at or run.first_time)).total_seconds() if run.ended_at else None
