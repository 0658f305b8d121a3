"""Pages of a dataset: what is known of it, its versions and what changed between them, its figures over time."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import NoReverseMatch, reverse

from catalog import selectors as catalog
from controlplane.ui.pages import STAFF_ROLES, page, render_page
from lineage import selectors, selectors_pages
from lineage.domain import reading
from lineage.models import Dataset, DatasetVersion
from lineage.views.addresses import dataset_url, job_url, key_of, number_of, version_url
from lineage.views.facets import told
from lineage.views.picture import run_state
from lineage.views.state import State, node_url
from lineage.views.statistics import charts, checks, figure

VERSIONS = 200


@page(*STAFF_ROLES)
def dataset(request: HttpRequest, key: str) -> HttpResponseBase:
    """Identity, people, columns and what they are made of, jobs and runs."""
    row, facets = _dataset(key)
    members = _members(row)
    writers, readers = selectors_pages.jobs_around(row)
    runs = selectors_pages.runs_of_dataset(members, limit=10)
    jobs = selectors.jobs_by_id({run.job_id for run in runs})
    names = selectors.aliases([row.node_id]).get(row.node_id, [])
    context = {
        **_frame(row),
        "told": told(facets),
        "columns": _columns(row, facets),
        "aliases": [(*name, node_url(f"dataset:{name[0]}:{name[1]}")) for name in names if name != (row.namespace, row.name)],
        "renamed_to": selectors_pages.dataset_row(row.renamed_to) if row.renamed_to and not row.alive else None,
        "writers": [(item, job_url(item)) for item in writers],
        "readers": [(item, job_url(item)) for item in readers],
        "runs": [(run, run_state(run), jobs.get(run.job_id)) for run in runs],
        "checks": checks(selectors_pages.statistics(members)),
        "catalog_url": _catalog_url(row.namespace, row.name),
    }
    return _page(request, "lineage/dataset.html", row, context)


@page(*STAFF_ROLES)
def part(request: HttpRequest, key: str, name: str) -> HttpResponseBase:
    """``versions`` or ``figures`` of a dataset."""
    row, facets = _dataset(key)
    if name == "versions":
        versions = list(selectors.versions(row.id)[:VERSIONS])
        context = {**_frame(row), "versions": [(item, version_url(item)) for item in versions]}
        return _page(request, "lineage/versions.html", row, context)
    if name == "figures":
        found = selectors_pages.statistics(_members(row), limit=400)
        context = {**_frame(row), "charts": charts(found), "checks": checks(found), "now": told(facets)}
        return _page(request, "lineage/figures.html", row, context)
    raise Http404("a dataset has no such page")


@page(*STAFF_ROLES)
def version(request: HttpRequest, key: str, version_key: str) -> HttpResponseBase:
    """One version: its schema, what made it, and what changed against the one before or the one asked for (``against``)."""
    row, _ = _dataset(key)
    shown = _version(row, version_key)
    others = [item for item in selectors.versions(row.id)[:VERSIONS] if item.id != shown.id]
    against = request.GET.get("against", "")
    other = _version(row, against) if against else selectors_pages.version_before(shown)
    now, then = (selectors_pages.version_schema(item, row) if item else None for item in (shown, other))
    changes = reading.schema_changes(reading.schema_fields(then), reading.schema_fields(now)) if now and then else []
    run = selectors.run_get(shown.run_id) if shown.run_id else None
    context = {
        **_frame(row),
        "version": shown,
        "other": other,
        "other_url": version_url(other) if other else "",
        "others": [(key_of(item.id), item) for item in others],
        "against": key_of(other.id) if other else "",
        "fields": reading.schema_fields(now),
        "changes": changes,
        "changed": [change for change in changes if change.what != "same"],
        "schema_kept": now is not None,
        "other_kept": other is None or then is not None,
        "run": run,
        "run_state": run_state(run) if run else "",
        "figures": _figures(shown, _members(row)),
    }
    crumb = [("Versions", dataset_url(row, "versions"))]
    title = f"{row.name}, version {shown.version[:24]}"
    return _page(request, "lineage/version.html", row, context, title=title, more=crumb)


def _page(
    request: HttpRequest, template: str, row: Dataset, context: dict[str, Any], *, title: str = "", more: Any = ()
) -> HttpResponseBase:
    crumbs = [("Lineage", reverse("lineage")), ("Datasets", reverse("lineage_datasets"))]
    crumbs += [(row.name, dataset_url(row)), *more] if more else []
    return render_page(request, template, context, title=title or row.name, crumbs=crumbs)


def _dataset(key: str) -> tuple[Dataset, dict[str, Any]]:
    """The dataset under this name with its facets: those of its node, then its own. Raises Http404."""
    row = selectors_pages.dataset_row(number_of(key))
    if row is None:
        raise Http404("no event names this dataset")
    found = selectors.facets("dataset", [row.node_id, row.id])
    return row, found.get(row.node_id, {}) | found.get(row.id, {})


def _members(row: Dataset) -> list[int]:
    return selectors_pages.dataset_names(row.node_id) or [row.id]


def _version(row: Dataset, key: str) -> DatasetVersion:
    found: DatasetVersion | None = selectors.versions(row.id).filter(id=number_of(key)).first()
    if found is None:
        raise Http404("the dataset has no such version")
    return found


def _frame(row: Dataset) -> dict[str, Any]:
    """What every page of a dataset shows above its tab."""
    node_id = f"dataset:{row.namespace}:{row.name}"
    tabs = [
        ("Overview", dataset_url(row), None),
        ("Versions", dataset_url(row, "versions"), None),
        ("Figures", dataset_url(row, "figures"), None),
    ]
    return {
        "dataset": row,
        "node_id": node_id,
        "tabs_": tabs,
        "graph_url": State(node=node_id, open=(node_id,)).url(),
    }


def _columns(row: Dataset, facets: dict[str, Any]) -> list[dict[str, Any]]:
    """Columns in the order of the schema, with what each is made of. "" is the dataset as a whole (filters, joins)."""
    fields = {item.name: item for item in reading.schema_fields(facets.get("schema"))}
    known = selectors.fields_of([row.node_id]).get(row.node_id, [])
    walked = selectors.column_walk({(row.node_id, name) for name in known}, depth=1)
    sets = selectors.datasets_by_id({edge.source[0] for edge in walked.edges.values()})
    made_of: dict[str, list[dict[str, Any]]] = {}
    for edge in walked.edges.values():
        source = sets.get(edge.source[0])
        if edge.target[0] != row.node_id or source is None:
            continue
        ways = sorted({(subtype or kind).replace("_", " ").lower() for kind, subtype, _, _ in edge.transformations})
        made_of.setdefault(edge.target[1], []).append(
            {
                "dataset": source.name,
                "column": edge.source[1],
                "href": dataset_url(source),
                "how": ", ".join(ways),
                "masked": edge.masking,
                "direct": edge.direct,
            }
        )
    names = [*fields, *(name for name in known if name not in fields), *([""] if "" in made_of else [])]
    return [
        {
            "name": name,
            "field": fields.get(name),
            "sources": [one for one in made_of.get(name, ()) if one["direct"]],
            "deciding": [one for one in made_of.get(name, ()) if not one["direct"]],
        }
        for name in names
    ]


def _figures(shown: DatasetVersion, members: list[int]) -> list[tuple[str, str]]:
    """What the run that made a version measured of it."""
    if shown.run_id is None:
        return []
    found: dict[str, float] = {}
    for facet in selectors.run_facets(shown.run_id):
        if facet.dataset_id in members and facet.direction == 2:
            found |= reading.figures(facet.body)
    return [figure(name, value) for name, value in sorted(found.items())]


def _catalog_url(namespace: str, name: str) -> str:
    entry = catalog.dataset_by_event(namespace, name)
    try:
        return entry.get_absolute_url() if entry else ""
    except NoReverseMatch:
        return ""
