"""Lists of runs, jobs, datasets and refused events: search, filters, sort, paging, CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.ui import components
from controlplane.ui.formats import duration, middle
from controlplane.ui.listing import Column, Filter, Listing
from controlplane.ui.pages import STAFF_ROLES, page, render_page
from lineage import selectors
from lineage.models import Job, Quarantine
from lineage.views.addresses import dataset_url, job_url, number_of
from lineage.views.picture import run_state
from lineage.views.state import node_url

RUN_STATES = (("START", "Started"), ("RUNNING", "Running"), ("COMPLETE", "Succeeded"), ("FAIL", "Failed"), ("ABORT", "Stopped"))
NAMESPACES_MAX = 200


@page(*STAFF_ROLES)
def datasets(request: HttpRequest) -> HttpResponseBase:
    return _list(request, DATASETS, selectors.datasets(), title="Datasets in events", noun="datasets")


@page(*STAFF_ROLES)
def jobs(request: HttpRequest) -> HttpResponseBase:
    return _list(request, JOBS, selectors.jobs(), title="Jobs", noun="jobs")


@page(*STAFF_ROLES)
def runs(request: HttpRequest) -> HttpResponseBase:
    return _list(request, RUNS, selectors.runs(), title="Runs in events", noun="runs")


def _list(request: HttpRequest, listing: Listing, rows: QuerySet[Any], *, title: str, noun: str) -> HttpResponseBase:
    if request.GET.get("format") == "csv":
        return listing.csv(request, rows, title)
    context = {"listed": listing.read(request, rows), "noun": noun, "empty_template": "lineage/list_empty.html"}
    return render_page(request, "lineage/list.html", context, title=title, crumbs=[("Lineage", reverse("lineage"))])


def _link(href: str, text: str) -> SafeString:
    return format_html('<a href="{}" title="{}">{}</a>', href, text, middle(text, 72))


def _namespace(row: Any) -> SafeString:
    return format_html('<code title="{}">{}</code>', row.namespace, middle(row.namespace, 40))


def _graph(kind: str) -> Column:
    return Column(
        "graph",
        "Lineage",
        lambda row: format_html('<a href="{}">Graph</a>', node_url(f"{kind}:{row.namespace}:{row.name}")),
        lambda row: f"{kind}:{row.namespace}:{row.name}",
    )


def _named(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    return rows.filter(name__icontains=text)


def _in_namespace(rows: QuerySet[Any], name: str) -> QuerySet[Any]:
    return rows.filter(namespace=name)


def _namespaces() -> list[tuple[str, str]]:
    names = selectors.namespaces().values_list("name", flat=True)[:NAMESPACES_MAX]
    return [(name, middle(name, 40)) for name in names]


FIND = Filter("q", "Name", _named, hint="Part of a name")
NAMESPACE = Filter("namespace", "Namespace", _in_namespace, _namespaces)


def _life(row: Any) -> SafeString:
    return components.state("active") if row.alive else components.state("retired", "Deleted")


def _dataset_link(row: Any) -> SafeString:
    return _link(dataset_url(row), row.name)


def _last_event(row: Any) -> SafeString:
    return components.time(row.last_event_at)


LAST_EVENT = Column("last_event_at", "Last event", _last_event, sort="last_event_at")
DATASETS = Listing(
    columns=(
        Column("state", "State", _life, lambda row: "active" if row.alive else "deleted"),
        Column("name", "Dataset", _dataset_link, sort="name", wrap=True),
        Column("namespace", "Namespace", _namespace, sort="namespace"),
        LAST_EVENT,
        _graph("dataset"),
    ),
    filters=(FIND, NAMESPACE),
    order="-last_event_at",
)


def _jobs_prepared(rows: Sequence[Job]) -> Sequence[Job]:
    latest = {row.latest_run_id for row in rows if row.latest_run_id}
    states = {run.id: run for run in selectors.runs().filter(id__in=latest)}
    for row in rows:
        run = states.get(row.latest_run_id) if row.latest_run_id else None
        row.run_state = run_state(run)  # type: ignore[attr-defined]
    return rows


JOBS = Listing(
    columns=(
        Column("run_state", "Last run", lambda row: components.state(row.run_state)),
        Column("name", "Job", lambda row: _link(job_url(row), row.name), sort="name", wrap=True),
        Column("namespace", "Namespace", _namespace, sort="namespace"),
        LAST_EVENT,
        _graph("job"),
    ),
    filters=(FIND, NAMESPACE),
    order="-last_event_at",
    prepare=_jobs_prepared,
)


def _runs_prepared(rows: Sequence[Any]) -> Sequence[Any]:
    named = selectors.jobs_by_id({row.job_id for row in rows})
    for row in rows:
        row.job = named.get(row.job_id)
        row.took_s = (row.state_time - (row.started_at or row.first_time)).total_seconds() if row.ended_at else None
    return rows


def _of_job(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    """Runs of one job (its key), or of jobs whose name holds the text."""
    if len(text) == 16 and all(letter in "0123456789abcdef" for letter in text):
        return rows.filter(job_id=number_of(text))
    return rows.filter(job_id__in=selectors.jobs().filter(name__icontains=text).order_by().values("id"))


def _job_of_run(row: Any) -> SafeString | str:
    return _link(job_url(row.job), row.job.name) if row.job else "not known"


def _run_link(row: Any) -> SafeString:
    return format_html('<a href="{}"><code>{}</code></a>', reverse("lineage_run", args=[row.run_id]), row.run_id[:8])


RUNS = Listing(
    columns=(
        Column("state", "State", lambda row: components.state(run_state(row)), run_state),
        Column("job", "Job", _job_of_run, lambda row: row.job.name if row.job else "", wrap=True),
        Column("run_id", "Run", _run_link),
        Column("first_time", "Started", lambda row: components.time(row.first_time), sort="first_time"),
        Column("took_s", "Took", lambda row: duration(row.took_s), right=True),
        Column("nominal_start", "Scheduled for", lambda row: components.time(row.nominal_start)),
    ),
    filters=(
        Filter("job", "Job", _of_job, hint="Part of a name"),
        Filter("state", "State", lambda rows, value: rows.filter(state=value), lambda: RUN_STATES),
    ),
    order="-first_time",
    prepare=_runs_prepared,
)


def _refused_state(row: Any) -> SafeString:
    return components.state(REFUSED_LOOKS[row.state], row.get_state_display())


def _refused_reason(row: Any) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse("lineage_refused_one", args=[row.uuid]), row.reason)


def _refused_path(row: Any) -> SafeString:
    return format_html("<code>{}</code>", row.path or "the body")


def _where(field: str) -> Callable[[QuerySet[Any], str], QuerySet[Any]]:
    return lambda rows, value: rows.filter(**{field: value})


REFUSED_LOOKS = {"open": "open", "replayed": "resolved", "dismissed": "skipped"}
REFUSED = Listing(
    columns=(
        Column("state", "State", _refused_state),
        Column("reason", "Reason", _refused_reason, wrap=True),
        Column("path", "Place in the body", _refused_path, wrap=True),
        Column("producer", "Producer"),
        Column("stage", "Where", lambda row: row.get_stage_display()),
        Column("times", "Sent", lambda row: f"{row.times} ×", right=True, sort="times"),
        Column("last_received_at", "Last sent", lambda row: components.time(row.last_received_at), sort="last_received_at"),
    ),
    filters=(
        Filter("state", "State", _where("state"), lambda: Quarantine.State.choices, default="open"),
        Filter("stage", "Where", _where("stage"), lambda: Quarantine.Stage.choices),
        Filter("producer", "Producer", _where("producer__icontains"), hint="Name of its key"),
        Filter("reason", "Reason", _where("reason__icontains"), hint="Part of the reason"),
    ),
    order="-last_received_at",
)
