"""Who may have a figure proven: whoever answers for it, and whoever examines it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_http_methods
from rest_framework.permissions import BasePermission

from controlplane.accounts.permissions import user_has_role
from controlplane.accounts.roles import Role

PROVERS: tuple[str, ...] = (Role.AUDITOR.value, Role.OWNER.value, Role.DPO.value)
_REFUSED = f"This needs one of the roles: {', '.join(PROVERS)}."

View = Callable[..., HttpResponseBase]


def proving(*methods: str) -> Callable[[View], View]:
    """A page's action that proves something. Open to auditors although it is a POST: they change nothing, for it writes no data
    but the record that it happened; so it is a way of reading, and the rule that auditors change nothing holds."""

    def decorate(view: View) -> View:
        checked = require_http_methods(list(methods))(view)

        @wraps(view)
        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                from django.contrib.auth.views import redirect_to_login

                return redirect_to_login(request.get_full_path())
            if not user_has_role(request.user, *PROVERS):
                raise PermissionDenied(_REFUSED)
            response = checked(request, *args, **kwargs)
            response.headers.setdefault("Cache-Control", "private, no-store")
            return response

        answer.roles = PROVERS  # type: ignore[attr-defined]  # read by the test that every page states its roles
        return answer

    return decorate


class MayProve(BasePermission):
    """The same for endpoints."""

    message = _REFUSED

    def has_permission(self, request: Any, view: Any) -> bool:
        return user_has_role(request.user, *PROVERS)
