"""Refused events: what was wrong with them, sending them through again, closing them."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from controlplane.accounts.models import User
from controlplane.accounts.permissions import user_has_role
from controlplane.accounts.principals import actor_of
from controlplane.accounts.roles import Role
from controlplane.ui import services as ui
from controlplane.ui.pages import page, render_page
from lineage import selectors, services
from lineage.errors import Overloaded
from lineage.models import Quarantine
from lineage.views.lists import REFUSED

READ_ROLES = (Role.ONCALL, Role.STEWARD, Role.DPO)
ACT_ROLES = (Role.ONCALL, Role.STEWARD)
# One request handles at most this many, so that it ends well before a proxy gives up.
BULK_MAX = 500


@page(*READ_ROLES)
def refused(request: HttpRequest) -> HttpResponseBase:
    """Bodies stay closed here: a list needs the reason and the place alone."""
    rows = selectors.refused_events()
    if request.GET.get("format") == "csv":
        return REFUSED.csv(request, rows, "Refused events")
    may = user_has_role(request.user, *ACT_ROLES)
    listed = REFUSED.read(request, rows)
    context = {
        "listed": listed,
        "noun": "events",
        "select": "events" if may else "",
        "may_act": may,
        "bulk": min(listed.total, BULK_MAX),
        "filters": request.GET.urlencode(),
        "empty_template": "lineage/refused_empty.html",
    }
    return render_page(
        request, "lineage/refused.html", context, title="Refused events", crumbs=[("Lineage", reverse("lineage"))]
    )


@page(*READ_ROLES, methods=("GET", "HEAD", "POST"))
def refused_one(request: HttpRequest, uuid: UUID) -> HttpResponseBase:
    """One refused event. Its body may hold personal data: POST with a reason shows it, after that is recorded."""
    item = selectors.refused_events().filter(uuid=uuid).first()
    if item is None:
        raise Http404("no such refused event")
    revealed, fault = False, ""
    if request.method == "POST":
        reason = request.POST.get("reason", "")
        try:
            ui.reveal(actor=actor_of(request), target=f"lineage.quarantine:{item.uuid}", fields=["body"], reason=reason)
            revealed = True
        except ui.ReasonMissing as missing:
            fault = str(missing)
    context: dict[str, Any] = {
        "item": item,
        "revealed": revealed,
        "fault": fault,
        "may_act": user_has_role(request.user, *ACT_ROLES) and item.state == Quarantine.State.OPEN,
        "may_reveal": user_has_role(request.user, *READ_ROLES),
    }
    crumbs = [("Lineage", reverse("lineage")), ("Refused events", reverse("lineage_refused"))]
    response = render_page(request, "lineage/refused_one.html", context, title=item.reason[:120], crumbs=crumbs)
    if revealed:
        response.headers["Cache-Control"] = "no-store"
    return response


@page(*ACT_ROLES, methods=("POST",))
def refused_act(request: HttpRequest) -> HttpResponseBase:
    """Replay or dismiss: the ticked events, one event, or every open one that the filters of the list select."""
    filters = QueryDict(request.POST.get("filters", ""))
    rows: QuerySet[Quarantine] = selectors.refused_events().filter(state=Quarantine.State.OPEN)
    if request.POST.get("scope") == "filtered":
        rows = REFUSED.narrow(filters, rows)
    else:
        rows = rows.filter(pk__in=[int(pk) for pk in request.POST.getlist("events") if pk.isdigit()])
    chosen = list(rows.order_by("last_received_at", "pk").values_list("uuid", flat=True)[:BULK_MAX])
    reason = request.POST.get("reason", "").strip()[:300]
    if not chosen:
        messages.warning(request, "No open event was selected, so nothing was changed.")
    elif request.POST.get("action") == "replay":
        _replay(request, chosen)
    elif request.POST.get("action") == "dismiss":
        _dismiss(request, chosen, reason)
    return redirect(f"{reverse('lineage_refused')}?{filters.urlencode()}" if filters else reverse("lineage_refused"))


def _replay(request: HttpRequest, chosen: list[UUID]) -> None:
    try:
        done = services.quarantine_replay(uuids=chosen, actor=_actor(request))
    except Overloaded:
        messages.error(request, "Nothing was replayed: the projection is too far behind. Try again in a minute.")
        return
    if done.replayed:
        messages.success(request, f"{_count(done.replayed)} accepted and on the way into the graph.")
    if done.refused:
        messages.warning(request, f"{_count(len(done.refused))} refused again and still open, with the reason of today.")


def _dismiss(request: HttpRequest, chosen: list[UUID], reason: str) -> None:
    if len(reason) < ui.REASON_MIN_LENGTH:
        messages.error(request, f"Nothing was dismissed: say in at least {ui.REASON_MIN_LENGTH} characters why.")
        return
    closed = services.quarantine_dismiss(uuids=chosen, actor=_actor(request), reason=reason)
    messages.success(request, f"{_count(len(closed))} dismissed. The bodies are kept until their retention ends.")


def _actor(request: HttpRequest) -> User:
    """Whoever pressed the button; ``page`` has let nobody through who is not signed in."""
    return cast("User", request.user)


def _count(number: int) -> str:
    return f"{number} event{'s were' if number != 1 else ' was'}"
