"""The home page, its live part, and the search."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from controlplane.accounts.selectors import roles_of
from controlplane.home import selectors
from controlplane.home.system import system_state
from controlplane.ui import registry
from controlplane.ui.pages import EVERY_ROLE, STAFF_ROLES, etag_of, live_part, page, render_page

TERM_MIN_LENGTH = 2


def _home_context(request: HttpRequest) -> tuple[dict[str, Any], object]:
    """What the live part of the home page shows, and the data its ETag is made of."""
    content = selectors.home(username=request.user.get_username(), roles=roles_of(request.user))
    return {"home": content}, content.fingerprint()


@page(*EVERY_ROLE)
def home(request: HttpRequest) -> HttpResponse:
    context, data = _home_context(request)
    return render_page(request, "home/home.html", {**context, "etag": etag_of(data)}, title="Home")


@page(*EVERY_ROLE)
def home_live(request: HttpRequest) -> HttpResponse:
    context, data = _home_context(request)
    return live_part(request, "home/home_live.html", context, data=data)


@page(*EVERY_ROLE)
def find(request: HttpRequest) -> HttpResponse:
    """Search over pages, datasets, KPIs, runs, drops and files: a list for Ctrl K, a page without JavaScript."""
    term = request.GET.get("q", "").strip()
    hits = registry.search(request, term) if len(term) >= TERM_MIN_LENGTH else []
    context = {"hits": hits, "term": term, "too_short": len(term) < TERM_MIN_LENGTH}
    if request.headers.get("HX-Request"):
        return render(request, "home/hits.html", context)
    return render_page(request, "home/find.html", context, title="Search")


@page(*STAFF_ROLES)
def system(request: HttpRequest) -> HttpResponse:
    state = system_state()
    return render_page(request, "home/system.html", {"system": state, "etag": etag_of(state.fingerprint())}, title="System")


@page(*STAFF_ROLES)
def system_live(request: HttpRequest) -> HttpResponse:
    state = system_state()
    return live_part(request, "home/system_live.html", {"system": state}, data=state.fingerprint())
