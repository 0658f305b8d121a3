"""Where does this figure come from? From a KPI value down to the raw files."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from catalog.domain.contract import Contract, Kpi
from controlplane.ui.pages import STAFF_ROLES, page, render_page
from pipeline import selectors_change, selectors_kpi, selectors_rows, selectors_trail
from pipeline.selectors_trail import KpiValue

STEPS_SHOWN = 6
HISTORY_SHOWN = 12
HISTORY_PER_PAGE = 50


@page(*STAFF_ROLES)
def evidence(request: HttpRequest) -> HttpResponseBase:
    """Every KPI with its newest figure, and a search by KPI, business day and moment."""
    key, day = request.GET.get("kpi", ""), request.GET.get("day", "")
    if key and day:
        at = request.GET.get("at", "")
        address = reverse("evidence_kpi_day", args=[key, day])
        return redirect(f"{address}?at={at}" if at else address)
    readings = selectors_kpi.kpi_readings()
    choices = [one.kpi for one in readings]
    return render_page(
        request,
        "evidence/evidence.html",
        {"kpis": readings, "choices": choices, "today": selectors_kpi.business_today()},
        title="Trace a figure",
    )


@page(*STAFF_ROLES)
def evidence_kpi(request: HttpRequest, key: str) -> HttpResponseBase:
    """The newest day that has a figure."""
    today = selectors_kpi.business_today()
    return _trail_page(request, key, selectors_trail.kpi_day_latest(key, until=today) or today)


@page(*STAFF_ROLES)
def evidence_kpi_day(request: HttpRequest, key: str, day: str) -> HttpResponseBase:
    return _trail_page(request, key, day_or_404(day))


def _trail_page(request: HttpRequest, key: str, day: date) -> HttpResponseBase:
    contracts = {one.kpi.key: one for one in selectors_kpi.kpi_contracts() if one.kpi}
    contract = contracts.get(key)
    if contract is None:
        raise Http404("no contract defines this KPI")
    at, fault = moment(request.GET.get("at", ""))
    pk = request.GET.get("value", "")
    found = selectors_trail.trail(key=key, day=day, at=at, value_pk=int(pk) if pk.isdigit() else None)
    history = list(selectors_trail.kpi_values(key, day)[: HISTORY_SHOWN + 1])
    earlier, later = selectors_trail.kpi_days_beside(key, day)
    return render_page(
        request,
        "evidence/kpi.html",
        {
            "trail": found,
            "contract": found.contract if found else contract,
            "kpi": contract.kpi,
            "day": day,
            "at": at,
            "fault": fault,
            "choices": [one.kpi for one in contracts.values()],
            "today": selectors_kpi.business_today(),
            "earlier": earlier,
            "later": later,
            "history": history[:HISTORY_SHOWN],
            "history_more": len(history) > HISTORY_SHOWN,
            "sides": selectors_rows.sides(key),
            "steps_shown": STEPS_SHOWN,
        },
        title=contract.kpi.title if contract.kpi else key,
        crumbs=[("Trace a figure", reverse("evidence"))],
        status=400 if fault else 200,
    )


@page(*STAFF_ROLES)
def evidence_history(request: HttpRequest, key: str, day: str) -> HttpResponseBase:
    """Every figure that was ever published for the day."""
    _, kpi = kpi_or_404(key)
    wanted = day_or_404(day)
    listed = Paginator(selectors_trail.kpi_values(key, wanted), HISTORY_PER_PAGE).get_page(request.GET.get("page"))
    return render_page(
        request,
        "evidence/history.html",
        {"kpi": kpi, "day": wanted, "listed": listed},
        title=f"Figures of {wanted:%-d %b %Y}",
        crumbs=day_crumbs(kpi, wanted),
    )


@page(*STAFF_ROLES)
def evidence_change(request: HttpRequest, key: str, day: str) -> HttpResponseBase:
    """Why a figure of the day differs from another one: ``?to=`` (default the newest) and ``?from=`` (the one before it)."""
    _, kpi = kpi_or_404(key)
    wanted = day_or_404(day)
    values = selectors_trail.kpi_values(key, wanted)
    after = _given(values, request.GET.get("to", "")) or values.first()
    if after is None:
        raise Http404("no figure was published for this day")
    before = _given(values, request.GET.get("from", "")) or values.filter(pk__lt=after.pk).first()
    if before is not None and before.pk > after.pk:
        before, after = after, before
    found = selectors_change.compare(before, after) if before is not None and before.pk != after.pk else None
    return render_page(
        request,
        "evidence/change.html",
        {"kpi": kpi, "day": wanted, "before": before, "after": after, "found": found, "others": values[:HISTORY_PER_PAGE]},
        title="Why it changed",
        crumbs=day_crumbs(kpi, wanted, value=after),
    )


def _given(values: Any, pk: str) -> KpiValue | None:
    found: KpiValue | None = values.filter(pk=int(pk)).first() if pk.isdigit() else None
    return found


@page(*STAFF_ROLES)
def evidence_code(request: HttpRequest, sha256: str) -> HttpResponseBase:
    """The SQL that ran, by its hash. Asked for by htmx it is the text alone."""
    text = selectors_trail.sql_text(sha256)
    if text is None:
        raise Http404("no step is known to have run this SQL")
    context = {"text": text, "sha256": sha256, "used_by": selectors_trail.sql_datasets(sha256)}
    template = "evidence/_code.html" if getattr(request, "htmx", False) else "evidence/code.html"
    return render_page(request, template, context, title=f"SQL {sha256[:12]}", crumbs=[("Trace a figure", reverse("evidence"))])


# --- what the pages share ---------------------------------------------------------------------------------------------


def kpi_or_404(key: str) -> tuple[Contract, Kpi]:
    contract = selectors_trail.kpi_contract(key)
    if contract is None or contract.kpi is None:
        raise Http404("no contract defines this KPI")
    return contract, contract.kpi


def day_or_404(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Http404(f"{text} is not a day; write it as 2026-11-24") from None


def value_or_404(request: HttpRequest, key: str, day: date) -> KpiValue:
    """The figure that ``?value=`` names, else the newest of the day."""
    pk = request.GET.get("value", "")
    found = selectors_trail.kpi_value(key, day, value_pk=int(pk) if pk.isdigit() else None)
    if found is None:
        raise Http404("no such figure was published for this day")
    return found


def day_crumbs(kpi: Kpi, day: date, *, value: KpiValue | None = None) -> list[tuple[str, str]]:
    address = reverse("evidence_kpi_day", args=[kpi.key, day.isoformat()])
    return [
        ("Trace a figure", reverse("evidence")),
        (f"{kpi.title}, {day:%-d %b %Y}", f"{address}?value={value.pk}" if value else address),
    ]


def moment(text: str) -> tuple[datetime | None, str]:
    """A moment from the address: ISO 8601; without an offset it is business time. (moment, fault)."""
    if not text:
        return None, ""
    try:
        found = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        return None, f"“{text}” is not a moment; write it as 2026-11-24T14:02:10."
    return (found if found.tzinfo else found.replace(tzinfo=ZoneInfo(settings.BUSINESS_TIME_ZONE))), ""
