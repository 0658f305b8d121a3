"""Who may do what; the default is deny.

>>> class Runs(APIView):
...     permission_classes = [HasRole("oncall", "owner")]
>>> @require_role("dpo")
... def requests(request): ...

The rule itself is ``domain.access.passes``: administrators may use everything, auditors may read everything.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.permissions import BasePermission

from controlplane.accounts.domain.access import passes
from controlplane.accounts.principals import KeyPrincipal
from controlplane.accounts.roles import Role
from controlplane.accounts.selectors import apikey_allows, roles_of

if TYPE_CHECKING:
    # REST framework's views read the settings, which name this module.
    from django.contrib.auth.base_user import AbstractBaseUser
    from rest_framework.request import Request
    from rest_framework.views import APIView

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]

__all__ = ["DenyAll", "HasRole", "RequireRoleMixin", "apikey_allows", "require_role", "user_has_role"]


def user_has_role(user: AbstractBaseUser | AnonymousUser | KeyPrincipal | None, *roles: str) -> bool:
    """Whether somebody holds one of the roles; administrators count as holding all. Reading is not assumed: see ``may``."""
    held = roles_of(user)
    return Role.ADMIN in held or not held.isdisjoint(roles)


def may(request: HttpRequest | Request, *roles: str) -> bool:
    """Whether whoever sent the request may use a thing open to these roles, with the request's method."""
    return passes(roles_of(request.user), _known(roles), method=request.method or "GET")


def _known(roles: tuple[str, ...]) -> tuple[str, ...]:
    """A misspelt role would silently lock everybody out, so it is refused when the view is defined."""
    return tuple(Role(role).value for role in roles)


class DenyAll(BasePermission):
    """What an endpoint gets that states no roles."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return False


def HasRole(*roles: str) -> type[BasePermission]:
    """Permission class for endpoints open to these roles (none named: auditors read, administrators do all)."""
    wanted = _known(roles)

    class _HasRole(BasePermission):
        message = f"This needs one of the roles: {', '.join(wanted) or Role.ADMIN.value}."

        def has_permission(self, request: Request, view: APIView) -> bool:
            return may(request, *wanted)

    return _HasRole


def require_role(*roles: str) -> Callable[[View[P]], View[P]]:
    """View open to these roles: others get 403, people who are not signed in the sign-in page."""
    wanted = _known(roles)

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def checked(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            return refusal(request, *wanted) or view(request, *args, **kwargs)

        return checked

    return decorate


def refusal(request: HttpRequest, *roles: str) -> HttpResponse | None:
    """The answer to a request that may not pass (sign-in page, or ``PermissionDenied`` raised); None when it may."""
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    if not may(request, *roles):
        raise PermissionDenied(f"This needs one of the roles: {', '.join(roles) or Role.ADMIN.value}.")
    return None


class RequireRoleMixin:
    """For class-based views: ``roles = ("owner", "steward")``. A view that forgets it is closed."""

    roles: tuple[str, ...] = ()

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not self.roles and not user_has_role(request.user, Role.ADMIN):
            raise PermissionDenied("This page states no roles, so it is closed.")
        answer = refusal(request, *_known(self.roles))
        return answer or super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
