"""From a figure to the rows that it was counted from, and from a row to its lines in the raw files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import transaction
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.http import urlencode

from controlplane.accounts.permissions import user_has_role
from controlplane.accounts.principals import actor_of
from controlplane.accounts.roles import Role
from controlplane.evidence.views import day_crumbs, day_or_404, kpi_or_404, value_or_404
from controlplane.lake.errors import LakeError
from controlplane.ui import services as ui
from controlplane.ui.csv import csv_line, csv_response
from controlplane.ui.pages import STAFF_ROLES, page, render_page
from pipeline import selectors_raw, selectors_rows
from pipeline.selectors_raw import Origins, Raw
from pipeline.selectors_rows import Rows

REVEAL_ROLES = (Role.STEWARD, Role.DPO)
COLUMNS = ("kind", "id", "part", "place", "channel", "region", "detail", "happened_at", "amount")


@page(*STAFF_ROLES)
def evidence_rows(request: HttpRequest, key: str, day: str, side: str) -> HttpResponseBase:
    """The rows of a figure's numerator or denominator, a page at a time; ``format=csv`` for all that the filters select."""
    _, kpi = kpi_or_404(key)
    wanted = day_or_404(day)
    value = value_or_404(request, key, wanted)
    as_csv = request.GET.get("format") == "csv"
    number = request.GET.get("page", "1")
    given: dict[str, Any] = {name: request.GET.get(name, "") for name in ("channel", "region")}
    found, fault = None, ""
    try:
        found = selectors_rows.side_rows(
            value, side, **given, page=max(1, int(number)) if number.isdigit() else 1, everything=as_csv
        )
    except LakeError as error:
        fault = str(error)
    if found is None and not fault:
        raise Http404("this figure has no such side")
    if as_csv and found is not None:
        return csv_response(_lines(found), f"{key} {day} {side} {value.pk}")
    context = {
        "kpi": kpi,
        "day": wanted,
        "value": value,
        "side": side,
        "sides": selectors_rows.sides(key),
        "found": found,
        "fault": fault,
        "given": given,
        "decimals": found.drill.scale if found else 0,
        "csv_query": urlencode({"value": value.pk, **{name: one for name, one in given.items() if one}, "format": "csv"}),
    }
    title = f"{found.side.plural.capitalize()} behind it" if found else "Rows behind it"
    return render_page(
        request,
        "evidence/rows.html",
        context,
        title=title,
        crumbs=day_crumbs(kpi, wanted, value=value),
        status=503 if fault else 200,
    )


def _lines(found: Rows) -> Iterator[str]:
    yield csv_line(COLUMNS)
    for row in found.rows:
        yield csv_line([getattr(row, name) for name in COLUMNS])


@page(*STAFF_ROLES, methods=("GET", "HEAD", "POST"))
def evidence_row(request: HttpRequest, key: str, day: str) -> HttpResponseBase:
    """One row behind a figure, down to the raw lines. GET hides personal values; POST with a reason shows them, recorded."""
    _, kpi = kpi_or_404(key)
    wanted = day_or_404(day)
    value = value_or_404(request, key, wanted)
    name = {one: request.GET.get(one, "") for one in ("kind", "id", "part", "place")}
    found: Origins | None = None
    fault, revealed = "", False
    try:
        found = selectors_raw.origins(value, kind=name["kind"], id_=name["id"], part=name["part"], place=name["place"])
    except LakeError as error:
        fault = f"The lake could not be read: {error}"
    if found is None and not fault:
        raise Http404("no such row behind this figure")
    may_reveal = user_has_role(request.user, *REVEAL_ROLES)
    reveal_fault = ""
    if request.method == "POST" and found is not None:
        revealed, reveal_fault = _reveal(
            request, [row.raw for row in found.silver if row.raw and row.raw.hides], may=may_reveal
        )
    refused = request.method == "POST" and not revealed
    response = render_page(
        request,
        "evidence/row.html",
        {
            "kpi": kpi,
            "day": wanted,
            "value": value,
            "name": name,
            "found": found,
            "fault": fault,
            "reveal_fault": reveal_fault,
            "may_reveal": may_reveal,
            "hides": found is not None and any(row.raw and row.raw.hides for row in found.silver),
            "revealed": revealed,
        },
        title=f"{name['kind'].capitalize()} {name['id'][:13]}",
        crumbs=[
            *day_crumbs(kpi, wanted, value=value),
            ("Rows", f"{reverse('evidence_rows', args=[key, day, 'numerator'])}?value={value.pk}"),
        ],
        status=503 if fault else (403 if not may_reveal else 400) if refused else 200,
    )
    if revealed:
        response["Cache-Control"] = "no-store"
    return response


@transaction.atomic
def _reveal(request: HttpRequest, hidden: list[Raw], *, may: bool) -> tuple[bool, str]:
    """Record the look at every record's personal values. (whether they may be shown, why not)."""
    if not may:
        return False, "Only stewards and data protection officers may see personal values."
    try:
        for raw in hidden:
            ui.reveal(actor=actor_of(request), target=raw.target, fields=raw.hides, reason=request.POST.get("reason", ""))
    except ui.ReasonMissing as missing:
        return False, str(missing)
    return True, ""
