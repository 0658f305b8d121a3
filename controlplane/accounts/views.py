"""Guarding addresses for machines that stand below this app."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse

from controlplane.accounts.permissions import user_has_role
from controlplane.accounts.roles import Role
from controlplane.accounts.selectors import apikey_by_secret


def internal_or_role(*roles: str) -> Callable[[Callable[[HttpRequest], HttpResponse]], Callable[[HttpRequest], HttpResponse]]:
    """Open to requests from this machine, to any live API key (``Authorization: Bearer``) and to people with the roles.

    A request that a proxy passed on comes from elsewhere, whatever address the proxy has.
    """
    wanted = tuple(Role(role).value for role in roles)

    def decorate(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
        @wraps(view)
        def checked(request: HttpRequest) -> HttpResponse:
            if _is_local(request) or _has_key(request) or user_has_role(request.user, *wanted):
                return view(request)
            return HttpResponse("This needs an API key.\n", status=401, headers={"WWW-Authenticate": "Bearer"})

        return checked

    return decorate


def _is_local(request: HttpRequest) -> bool:
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def _has_key(request: HttpRequest) -> bool:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and apikey_by_secret(secret.strip()) is not None
