"""Where does this figure come from? From a KPI value down to the raw files."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from controlplane.ui.pages import STAFF_ROLES, page, render_page
from pipeline import selectors_kpi, selectors_trail


@page(*STAFF_ROLES)
def evidence(request: HttpRequest) -> HttpResponseBase:
    """Every KPI with its newest figure, and a search by KPI, business day and moment."""
    key, day = request.GET.get("kpi", ""), request.GET.get("day", "")
    if key and day:
        at = request.GET.get("at", "")
        address = reverse("evidence_kpi_day", args=[key, day])
        return redirect(f"{address}?at={at}" if at else address)
    return render_page(
        request,
        "evidence/evidence.html",
        {"kpis": selectors_kpi.kpi_readings(), "today": selectors_kpi.business_today()},
        title="Trace a figure",
    )


@page(*STAFF_ROLES)
def evidence_kpi(request: HttpRequest, key: str) -> HttpResponseBase:
    """The newest day that has a figure."""
    contract = selectors_trail.kpi_contract(key)
    if contract is None:
        raise Http404("no contract defines this KPI")
    today = selectors_kpi.business_today()
    day = selectors_trail.kpi_day_latest(key, until=today) or today
    return _trail_page(request, key, day)


@page(*STAFF_ROLES)
def evidence_kpi_day(request: HttpRequest, key: str, day: str) -> HttpResponseBase:
    try:
        wanted = date.fromisoformat(day)
    except ValueError:
        raise Http404(f"{day} is not a day; write it as 2026-11-24") from None
    if selectors_trail.kpi_contract(key) is None:
        raise Http404("no contract defines this KPI")
    return _trail_page(request, key, wanted)


def _trail_page(request: HttpRequest, key: str, day: date) -> HttpResponseBase:
    at, fault = _moment(request.GET.get("at", ""))
    pk = request.GET.get("value", "")
    found = selectors_trail.trail(key=key, day=day, at=at, value_pk=int(pk) if pk.isdigit() else None)
    contract = selectors_trail.kpi_contract(key)
    assert contract is not None
    assert contract.kpi is not None
    return render_page(
        request,
        "evidence/kpi.html",
        {
            "trail": found,
            "contract": contract,
            "kpi": contract.kpi,
            "day": day,
            "at": at,
            "fault": fault,
            "history": selectors_trail.kpi_values(key, day)[: selectors_trail.HISTORY_SHOWN],
        },
        title=contract.kpi.title,
        crumbs=[("Trace a figure", reverse("evidence"))],
        status=400 if fault else 200,
    )


def _moment(text: str) -> tuple[datetime | None, str]:
    """A moment from the address: ISO 8601; without an offset it is business time."""
    if not text:
        return None, ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None, f"“{text}” is not a moment; write it as 2026-11-24T14:02:10."
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(settings.BUSINESS_TIME_ZONE))), ""
