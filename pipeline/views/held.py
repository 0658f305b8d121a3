"""Rows that Silver held back: triage, reveal, reprocess."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from controlplane.accounts.permissions import user_has_role
from controlplane.accounts.principals import actor_of
from controlplane.accounts.roles import Role
from controlplane.ui import services as ui
from controlplane.ui.listing import Listing
from controlplane.ui.pages import STAFF_ROLES, page, render_page
from pipeline import selectors_held
from pipeline.lists import QUARANTINE, REJECTS
from pipeline.models import HeldState, QuarantinedRow, SilverReject
from pipeline.services import operations

REPROCESS_ROLES = (Role.STEWARD, Role.OWNER, Role.ONCALL)
REVEAL_ROLES = (Role.STEWARD, Role.DPO)

HeldModel = type[SilverReject] | type[QuarantinedRow]


@page(*STAFF_ROLES)
def rejects(request: HttpRequest) -> HttpResponseBase:
    return _list(
        request,
        REJECTS,
        selectors_held.rejects(),
        template="pipeline/rejects.html",
        title="Rejects",
        extra={"rules": selectors_held.reject_rules(request.GET.get("dataset", ""))},
    )


@page(*STAFF_ROLES)
def quarantine(request: HttpRequest) -> HttpResponseBase:
    return _list(
        request, QUARANTINE, selectors_held.quarantined(), template="pipeline/quarantine.html", title="Quarantine", extra={}
    )


def _list(
    request: HttpRequest, listing: Listing, rows: QuerySet[Any], *, template: str, title: str, extra: dict[str, Any]
) -> HttpResponseBase:
    if request.GET.get("format") == "csv":
        return listing.csv(request, rows, title)
    may = user_has_role(request.user, *REPROCESS_ROLES)
    context = {
        "listed": listing.read(request, rows),
        "noun": "rows",
        "select": "rows" if may else "",
        "may_reprocess": may,
        "filters": request.GET.urlencode(),
        "empty_template": "pipeline/held_empty.html",
        **extra,
    }
    return render_page(request, template, context, title=title)


@page(*REPROCESS_ROLES, methods=("POST",))
def rejects_reprocess(request: HttpRequest) -> HttpResponseBase:
    return _reprocess(request, REJECTS, SilverReject, back="rejects")


@page(*REPROCESS_ROLES, methods=("POST",))
def quarantine_reprocess(request: HttpRequest) -> HttpResponseBase:
    return _reprocess(request, QUARANTINE, QuarantinedRow, back="quarantine")


def _reprocess(request: HttpRequest, listing: Listing, model: HeldModel, *, back: str) -> HttpResponseBase:
    """Selected rows, or every open row that the filters of the list select."""
    filters = QueryDict(request.POST.get("filters", ""))
    rows: QuerySet[Any] = model._default_manager.exclude(state=HeldState.RESOLVED)
    if request.POST.get("scope") == "filtered":
        rows = listing.narrow(filters, rows)
    else:
        rows = rows.filter(pk__in=[int(pk) for pk in request.POST.getlist("rows") if pk.isdigit()])
    queued = operations.rows_reprocess(rows=rows, actor=actor_of(request), reason=request.POST.get("reason", "").strip())
    if queued:
        messages.success(request, f"{queued} row{'s' if queued != 1 else ''} will be tried again in the next run.")
    else:
        messages.warning(request, "No open row was selected, so nothing was changed.")
    return redirect(f"{reverse(back)}?{filters.urlencode()}" if filters else reverse(back))


@page(*STAFF_ROLES, methods=("GET", "HEAD", "POST"))
def reject(request: HttpRequest, pk: int) -> HttpResponseBase:
    return _row(request, SilverReject, pk, kind="silver_reject", back=("Rejects", reverse("rejects")))


@page(*STAFF_ROLES, methods=("GET", "HEAD", "POST"))
def quarantined(request: HttpRequest, pk: int) -> HttpResponseBase:
    return _row(request, QuarantinedRow, pk, kind="quarantined_row", back=("Quarantine", reverse("quarantine")))


def _row(request: HttpRequest, model: HeldModel, pk: int, *, kind: str, back: tuple[str, str]) -> HttpResponseBase:
    """One row. GET shows personal values masked; POST with a reason shows them once, after it is recorded."""
    row = model._default_manager.select_related("bronze_file", "step__run").filter(pk=pk).first()
    if row is None:
        raise Http404("no such row")
    personal = selectors_held.personal_columns(row.dataset, list(row.record))
    revealed, fault = False, ""
    if request.method == "POST":
        if not user_has_role(request.user, *REVEAL_ROLES):
            fault = "Only stewards and data protection officers may see personal values."
        else:
            try:
                ui.reveal(
                    actor=actor_of(request),
                    target=f"{kind}:{pk}",
                    fields=sorted(personal),
                    reason=request.POST.get("reason", ""),
                )
                revealed = True
            except ui.ReasonMissing as missing:
                fault = str(missing)
    rules = getattr(row, "rules", [])
    broken = {rule.split(":", 1)[1] for rule in rules if ":" in rule}
    values = [
        {
            "name": name,
            "value": None if name in personal and not revealed else value,
            "masked": name in personal and not revealed,
            "personal": name in personal,
            "broken": name in broken or name == getattr(row, "column", ""),
        }
        for name, value in row.record.items()
    ]
    response = render_page(
        request,
        "pipeline/held_row.html",
        {
            "row": row,
            "values": values,
            "rules": [(rule, selectors_held.rule_words(rule)) for rule in rules],
            "may_reveal": user_has_role(request.user, *REVEAL_ROLES),
            "may_reprocess": user_has_role(request.user, *REPROCESS_ROLES) and row.state != HeldState.RESOLVED,
            "revealed": revealed,
            "fault": fault,
            "reprocess_url": reverse(f"{'rejects' if kind == 'silver_reject' else 'quarantine'}_reprocess"),
            "filters": urlencode({"dataset": row.dataset}),
        },
        title=f"Row {row.row + 1:,} of {row.bronze_file.filename}",
        crumbs=[back],
        status=403 if fault and not user_has_role(request.user, *REVEAL_ROLES) else 400 if fault else 200,
    )
    if revealed:
        response["Cache-Control"] = "no-store"
    return response
