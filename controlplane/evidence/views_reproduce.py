"""Reproductions and bundles: asked for under a figure, watched on a page of their own."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from controlplane.evidence import selectors_reproductions
from controlplane.evidence.access import proving
from controlplane.evidence.models import Reproduction
from controlplane.evidence.services import bundles, reproductions
from controlplane.ui.pages import STAFF_ROLES, etag_of, live_part, page, render_page
from pipeline import selectors_reproduce, selectors_trail
from pipeline.errors import NotReproducible

LISTED = 100


@proving("POST")
def reproduce(request: HttpRequest, value_id: int) -> HttpResponseBase:
    """Have the figure computed again, and go where it can be watched."""
    if selectors_reproduce.figure_by_id(value_id) is None:
        raise Http404("this figure was never published")
    source = request.POST.get("source", Reproduction.Source.BRONZE)
    if source not in Reproduction.Source.values:
        return HttpResponse("source is bronze or delta", status=400)
    made = reproductions.reproduction_request(value_id=value_id, source=source, actor=request.user, user=request.user)
    return redirect(made)


@proving("POST")
def bundle(request: HttpRequest, value_id: int) -> HttpResponseBase:
    """The evidence bundle of a figure as a file; who got it stands in the audit log."""
    value = selectors_reproduce.figure_by_id(value_id)
    if value is None:
        raise Http404("this figure was never published")
    try:
        data = bundles.bundle_build(value_id=value_id)
    except NotReproducible as gone:
        messages.error(request, f"There is no bundle of this figure: {gone}.")
        return redirect(_figure_url(value))
    bundles.bundle_handed_out(value_id=value_id, data=data, actor=request.user)
    return bundle_response(value_id, data)


def bundle_response(value_id: int, data: bytes) -> HttpResponse:
    name = bundles.bundle_filename(value_id)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
    return HttpResponse(data, content_type="application/zip", headers=headers)


@page(*STAFF_ROLES)
def reproduction(request: HttpRequest, uuid: UUID) -> HttpResponseBase:
    """One reproduction: its progress while it runs, its outcome when it is done."""
    one = _found(uuid)
    contract = selectors_trail.kpi_contract(one.kpi)
    kpi = contract.kpi if contract else None
    return render_page(
        request,
        "evidence/reproduction.html",
        {**_shown(one), "etag": etag_of(_changes(one)), "kpi": kpi, "figure_url": _figure_url(one.value)},
        title=f"Reproduction of {kpi.title if kpi else one.kpi}",
        crumbs=[("Trace a figure", reverse("evidence")), (kpi.title if kpi else one.kpi, _figure_url(one.value))],
    )


@page(*STAFF_ROLES)
def reproduction_live(request: HttpRequest, uuid: UUID) -> HttpResponseBase:
    one = _found(uuid)
    response = live_part(request, "evidence/_reproduction_live.html", _shown(one), data=_changes(one))
    if not one.is_open:
        response["X-Live-Done"] = "1"  # nothing changes any more: the page stops asking
    return response


@page(*STAFF_ROLES)
def reproductions_list(request: HttpRequest) -> HttpResponseBase:
    """The newest reproductions, whoever asked for them."""
    return render_page(
        request,
        "evidence/reproductions.html",
        {"listed": list(selectors_reproductions.reproductions()[:LISTED]), "most": LISTED},
        title="Reproductions",
        crumbs=[("Trace a figure", reverse("evidence"))],
    )


def _found(uuid: UUID) -> Reproduction:
    one = selectors_reproductions.reproduction_by_uuid(uuid)
    if one is None:
        raise Http404("no such reproduction")
    return one


def _shown(one: Reproduction) -> dict[str, Any]:
    contract = selectors_trail.kpi_contract(one.kpi)
    return {"one": one, "value": one.value, "unit": contract.kpi.unit if contract and contract.kpi else ""}


def _changes(one: Reproduction) -> object:
    return (one.state, one.outcome, one.attempts, one.progress, one.error)


def _figure_url(value: Any) -> str:
    return f"{reverse('evidence_kpi_day', args=[value.kpi, value.business_date.isoformat()])}?value={value.pk}"
