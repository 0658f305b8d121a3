"""How a page is answered: roles stated, the site's frame around it, live parts with an ETag.

>>> @page("oncall", "owner")
... def runs(request): return render_page(request, "pipeline/runs.html", {...}, title="Runs")
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from controlplane.accounts.permissions import require_role
from controlplane.accounts.roles import Role

View = Callable[..., HttpResponseBase]
Crumb = tuple[str, str]

EVERY_ROLE: tuple[str, ...] = tuple(Role.values)
STAFF_ROLES: tuple[str, ...] = tuple(role for role in Role.values if role != Role.PRODUCER)


def page(*roles: str, methods: Sequence[str] = ("GET", "HEAD")) -> Callable[[View], View]:
    """A page or an action open to these roles; answers are never stored by a shared cache."""

    def decorate(view: View) -> View:
        guarded = require_role(*roles)(require_http_methods(list(methods))(view))

        @wraps(view)
        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            response = guarded(request, *args, **kwargs)
            response.headers.setdefault("Cache-Control", "private, no-cache")
            return response

        answer.roles = roles  # type: ignore[attr-defined]  # read by the test that every page states its roles
        return answer

    return decorate


def render_page(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any],
    *,
    title: str,
    crumbs: Sequence[Crumb] = (),
    status: int = 200,
) -> HttpResponse:
    """A page in the site's frame. ``crumbs`` are (title, url) of the pages above it."""
    request.current_app = admin.site.name
    return TemplateResponse(
        request,
        template,
        {**admin.site.each_context(request), **context, "title": title, "crumbs": crumbs, "heard_at": timezone.now()},
        status=status,
    )


def etag_of(data: object) -> str:
    """A tag over what a live part shows. ``data`` holds states and moments, not the words "38 s ago", which change alone."""
    return f'W/"{hashlib.sha256(repr(data).encode()).hexdigest()[:32]}"'


def live_part(request: HttpRequest, template: str, context: Mapping[str, Any], *, data: object) -> HttpResponse:
    """A part of a page that polls: 304 while ``data`` is what the page shows already."""
    tag = etag_of(data)
    if request.headers.get("If-None-Match") == tag:
        unchanged = HttpResponseNotModified()
        unchanged.headers["ETag"] = tag
        return unchanged
    response = render(request, template, {**context, "etag": tag})
    response.headers["ETag"] = tag
    return response
