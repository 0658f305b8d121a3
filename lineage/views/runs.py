"""Pages of a run and of the stored events."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse

from controlplane.ui.pages import STAFF_ROLES, page, render_page
from lineage import selectors
from lineage.domain.spec import run_uuid
from lineage.models import Run
from lineage.views.picture import node_url, run_state

EVENTS = 50


@page(*STAFF_ROLES)
def run(request: HttpRequest, run_id: str) -> HttpResponseBase:
    """A run as its events tell of it: state, times, inputs and outputs, facets, the events themselves."""
    key = run_uuid(run_id)
    row = selectors.run_get(key) if key else None
    if row is None:
        raise Http404("no event names this run")
    job = selectors.jobs_by_id([row.job_id]).get(row.job_id)
    inputs, outputs = selectors.run_datasets(row)
    events = selectors.events_of_run(row.id, known_from=row.known_from)
    parent = selectors.run_get(row.parent_run_id) if row.parent_run_id else None
    context: dict[str, Any] = {
        "run": row,
        "state": run_state(row),
        "job": job,
        "job_url": node_url(f"job:{job.namespace}:{job.name}") if job else "",
        "parent": parent,
        "inputs": [(item, node_url(f"dataset:{item.namespace}:{item.name}")) for item in inputs],
        "outputs": [(item, node_url(f"dataset:{item.namespace}:{item.name}")) for item in outputs],
        "facets": _facets(events),
        "measures": _measures(row),
        "events": events,
    }
    title = f"Run of {job.name}" if job else "Run"
    return render_page(request, "lineage/run.html", context, title=title, crumbs=[("Lineage", reverse("lineage"))])


@page(*STAFF_ROLES)
def events(request: HttpRequest) -> HttpResponseBase:
    """The newest events by the time they name, fifty to a page."""
    text = request.GET.get("page", "1")
    number = int(text) if text.isdigit() and 0 < int(text) <= 1000 else 1
    rows = selectors.events_page(limit=EVENTS + 1, offset=(number - 1) * EVENTS)
    context = {
        "rows": [
            {"row": row, "job": row.event.get("job") or row.event.get("dataset") or {}, "run": row.event.get("run")}
            for row in rows[:EVENTS]
        ],
        "number": number,
        "more": len(rows) > EVENTS,
    }
    return render_page(request, "lineage/events.html", context, title="Events", crumbs=[("Lineage", reverse("lineage"))])


def _facets(events: list[selectors.EventRow]) -> list[tuple[str, Any]]:
    found: dict[str, Any] = {}
    for item in events:
        for part in ("job", "run"):
            facets = (item.event.get(part) or {}).get("facets") or {}
            found |= {name: body for name, body in facets.items() if isinstance(body, dict)}
    return [
        (name, {key: value for key, value in body.items() if not key.startswith("_")})
        for name, body in sorted(found.items())
        if not body.get("_deleted")
    ]


def _measures(row: Run) -> list[dict[str, Any]]:
    facets = selectors.run_facets(row.id)
    sets = {item.id: item for side in selectors.run_datasets(row) for item in side}
    return [
        {
            "dataset": sets[facet.dataset_id].name if facet.dataset_id in sets else str(facet.dataset_id),
            "side": "input" if facet.direction == 1 else "output",
            "name": facet.name,
            "body": {key: value for key, value in facet.body.items() if not key.startswith("_")},
        }
        for facet in facets
    ]
