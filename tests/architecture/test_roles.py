"""Every address states who may use it; what is open to everybody is listed here, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.admin.sites import AdminSite
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.settings import api_settings

# Route: why nobody has to sign in for it.
OPEN = {
    "healthz": "a load balancer asks",
    "readyz": "a load balancer asks; tells no personal data",
    ".well-known/touchstone-keys.json": "the public keys that anybody verifies a signature with",
    "login/": "the sign-in page",
    "logout/": "leads whoever is not signed in to the start page, which asks to sign in",
    "jsi18n/": "texts of the admin's scripts",
    "api/facets/1-0-0/<slug:name>.json": "facet schemas, which OpenLineage consumers everywhere resolve",
    "api/": "redirects to the browsable page",
}
# Route: where its guard is, when it is neither `require_role` nor a permission class.
GUARDED_ELSEWHERE = {
    "metrics": "controlplane.urls: internal_or_role",
    "api/v1/lineage": "lineage.api: API keys of producers, checked by the view itself",
    "api/v1/lineage/batch": "lineage.api: API keys of producers, checked by the view itself",
}
SAMPLES = {"int": "1", "slug": "orders", "uuid": "00000000-0000-4000-8000-000000000000", "str": "2026-01-01", "path": "1"}


def routes(resolver: Any = None, before: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    for entry in (resolver or get_resolver()).url_patterns:
        route = before + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from routes(entry, route)
        elif isinstance(entry, URLPattern):
            yield route, entry.callback


def states_roles(view: Callable[..., Any]) -> bool:
    if getattr(view, "roles", None) is not None:
        return True  # require_role
    endpoint = getattr(view, "cls", None) or getattr(view, "view_class", None)
    if endpoint is not None and getattr(endpoint, "permission_classes", None) is not None:
        return bool(endpoint.permission_classes != api_settings.DEFAULT_PERMISSION_CLASSES)
    # Pages of the admin ask their site and their model admin.
    return isinstance(getattr(view, "admin_site", None), AdminSite) or hasattr(view, "model_admin")


def address(route: str) -> str | None:
    """An example of a route; None for a pattern that is none of ours."""
    if route.startswith(("^", "(")) or "(?P" in route:
        return None
    for kind, sample in SAMPLES.items():
        while f"<{kind}:" in route:
            start = route.index(f"<{kind}:")
            route = route[:start] + sample + route[route.index(">", start) + 1 :]
    return "/" + route


def test_every_address_states_its_roles() -> None:
    unstated = {
        route
        for route, view in routes()
        if not states_roles(view) and route not in OPEN.keys() | GUARDED_ELSEWHERE.keys() and address(route) is not None
    }
    # Methods of the site that Django does not mark; the next test shows that they are closed.
    assert unstated - {"records/", "search/", ""} == set()


@pytest.mark.django_db
def test_nobody_gets_anything_without_signing_in() -> None:
    client = Client(REMOTE_ADDR="203.0.113.7")  # elsewhere: metrics are open to this machine
    answered = {}
    for route, _view in routes():
        if route in OPEN or (path := address(route)) is None:
            continue
        answer = client.get(path)
        to_sign_in = answer.status_code in (301, 302) and "/login/" in answer.headers["Location"]
        if not to_sign_in and answer.status_code not in (401, 403, 404, 405):
            answered[path] = answer.status_code
    assert answered == {}


def test_the_list_of_open_addresses_names_none_that_is_gone() -> None:
    known = {route for route, _view in routes()}
    assert (OPEN.keys() | GUARDED_ELSEWHERE.keys()) - known == set()
