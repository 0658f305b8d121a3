"""Pages of a run and of the stored events."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse

from controlplane.ui.pages import STAFF_ROLES, page, render_page
from lineage import selectors, selectors_pages
from lineage.domain import reading
from lineage.domain.spec import run_uuid
from lineage.models import Dataset, Run
from lineage.views.addresses import dataset_url, job_url
from lineage.views.facets import told, tree
from lineage.views.picture import run_state
from lineage.views.state import node_url
from lineage.views.statistics import figure

EVENTS = 50
STATISTICS = ("outputStatistics", "inputStatistics", "dataQualityMetrics")


@page(*STAFF_ROLES)
def run(request: HttpRequest, run_id: str) -> HttpResponseBase:
    """A run as its events tell of it: state, times, inputs and outputs, what it measured, its facets, the events themselves."""
    key = run_uuid(run_id)
    row = selectors.run_get(key) if key else None
    if row is None:
        raise Http404("no event names this run")
    job = selectors.jobs_by_id([row.job_id]).get(row.job_id)
    inputs, outputs = selectors.run_datasets(row)
    events = selectors.events_of_run(row.id, known_from=row.known_from)
    ended = row.ended_at
    children = selectors_pages.run_children(row.id)
    child_jobs = selectors.jobs_by_id({child.job_id for child in children})
    said = told(_facets(events))
    context: dict[str, Any] = {
        "run": row,
        "state": run_state(row),
        "job": job,
        "job_url": job_url(job) if job else "",
        "graph_url": node_url(f"job:{job.namespace}:{job.name}") if job else "",
        "took_s": (row.state_time - (row.started_at or row.first_time)).total_seconds() if ended else None,
        "parents": _parents(said.parents),
        "children": [(child, run_state(child), child_jobs.get(child.job_id)) for child in children],
        "inputs": [(item, dataset_url(item)) for item in inputs],
        "outputs": [(item, dataset_url(item)) for item in outputs],
        "told": said,
        "measures": measures(row, {item.id: item for item in (*inputs, *outputs)}),
        "events": events,
    }
    title = f"Run of {job.name}" if job else "Run"
    crumbs = [("Lineage", reverse("lineage")), ("Runs", reverse("lineage_runs"))]
    return render_page(request, "lineage/run.html", context, title=title, crumbs=crumbs)


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


def measures(row: Run, sets: dict[int, Dataset]) -> list[dict[str, Any]]:
    """What a run measured of its datasets: figures, checks, and unknown facets as trees."""
    found = []
    for facet in selectors.run_facets(row.id):
        dataset = sets.get(facet.dataset_id)
        known = facet.name in STATISTICS or facet.name == "dataQualityAssertions"
        found.append(
            {
                "dataset": dataset.name if dataset else str(facet.dataset_id),
                "href": dataset_url(dataset) if dataset else "",
                "side": "read" if facet.direction == 1 else "written",
                "name": facet.name,
                "figures": [figure(*item) for item in sorted(reading.figures(facet.body).items())]
                if facet.name in STATISTICS
                else [],
                "columns": reading.column_figures(facet.body),
                "checks": reading.assertions(facet.body) if facet.name == "dataQualityAssertions" else [],
                "tree": None if known else tree(reading.plain(facet.body)),
            }
        )
    return found


def _parents(named: list[tuple[str, str, str]]) -> list[tuple[str, str, str, str]]:
    """(word, job name, run id, address): no address for a run whose own events did not arrive."""
    keys: dict[str, uuid.UUID] = {run: key for _, _, run in named if (key := run_uuid(run))}
    known = set(selectors.runs().filter(id__in=list(keys.values())).values_list("id", flat=True))
    seen: set[str] = set()
    found = []
    for word, name, run_id in named:
        if run_id in seen:
            continue
        seen.add(run_id)
        found.append((word, name, run_id, reverse("lineage_run", args=[run_id]) if keys[run_id] in known else ""))
    return found


def _facets(events: list[selectors.EventRow]) -> dict[str, Any]:
    """Facets of run and job as the run's events state them, the newest statement of each."""
    found: dict[str, Any] = {}
    for item in events:
        for part in ("job", "run"):
            facets = (item.event.get(part) or {}).get("facets") or {}
            found |= {name: body for name, body in facets.items() if isinstance(body, dict)}
    return found
