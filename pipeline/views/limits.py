"""Budgets of the machine, and the switches that stop a dataset or everything."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from controlplane.accounts.principals import actor_of
from controlplane.accounts.roles import Role
from controlplane.ui.pages import STAFF_ROLES, etag_of, live_part, page, render_page
from pipeline import selectors, selectors_limits
from pipeline.services import operations, watermarks

SWITCH_ROLES = (Role.ONCALL, Role.OWNER, Role.STEWARD)
REASON_MIN_LENGTH = 8


def _budget() -> tuple[dict[str, object], object]:
    marks = [selectors_limits.budget(mark) for mark in watermarks.readings()]
    # Free memory moves all the time; whole percents do not.
    return {"marks": marks}, [(mark.name, mark.share, mark.state) for mark in marks]


@page(*STAFF_ROLES)
def limits(request: HttpRequest) -> HttpResponseBase:
    context, data = _budget()
    context |= {
        "datasets": selectors_limits.dataset_lines(),
        "everything": selectors_limits.switch_of("*"),
        "etag": etag_of(data),
    }
    return render_page(request, "pipeline/limits.html", context, title="Limits and switches")


@page(*STAFF_ROLES)
def limits_live(request: HttpRequest) -> HttpResponseBase:
    context, data = _budget()
    return live_part(request, "pipeline/limits_live.html", context, data=data)


@page(*SWITCH_ROLES, methods=("POST",))
def switch(request: HttpRequest) -> HttpResponseBase:
    """Stop or resume a dataset, or the whole pipeline (scope ``*``), with a reason."""
    scope, reason = request.POST.get("scope", ""), request.POST.get("reason", "").strip()
    name = "The whole pipeline" if scope == "*" else scope
    if scope != "*" and scope not in selectors.dataset_names():
        messages.error(request, f"No contract names a dataset “{scope}”; nothing was changed.")
    elif len(reason) < REASON_MIN_LENGTH:
        messages.error(request, f"Say in at least {REASON_MIN_LENGTH} characters why; nothing was changed.")
    elif request.POST.get("turn") == "resume":
        operations.resume(scope=scope, actor=actor_of(request), reason=reason)
        messages.success(request, f"{name} runs again; what waited is taken in by the next run.")
    else:
        operations.stop(scope=scope, actor=actor_of(request), reason=reason)
        messages.warning(request, f"{name} is stopped. Drops are still taken in; nothing is lost.")
    return redirect("limits")
