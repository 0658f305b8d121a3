"""What every reading endpoint shares: roles, parameters, errors."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.accounts.permissions import HasRole
from controlplane.ui.pages import STAFF_ROLES
from lineage.domain.spec import Fault, parse_time
from lineage.errors import NodeIdInvalid, NodeUnknown

LIMIT = 100
LIMIT_MAX = 1000


class ReadView(APIView):
    """Open to every role of a person, and to keys that hold such a role; a producer's key writes and reads no graph."""

    permission_classes = [HasRole(*STAFF_ROLES)]
    http_method_names = ["get", "head", "options"]

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, NodeUnknown):
            exc = NotFound(str(exc))
        elif isinstance(exc, NodeIdInvalid):
            exc = ValidationError({"nodeId": [str(exc)]})
        return super().handle_exception(exc)


def number(request: Request, name: str, default: int, *, least: int = 0, most: int = LIMIT_MAX) -> int:
    """A whole number of the query; larger ones are lowered to ``most``."""
    text = request.query_params.get(name)
    if text is None or text == "":
        return default
    try:
        value = int(text)
    except ValueError:
        raise _fault(name, "must be a whole number") from None
    if value < least:
        raise _fault(name, f"must be at least {least}")
    return min(value, most)


def flag(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() in {"1", "true", "yes"}


def time_or_none(request: Request, name: str) -> datetime | None:
    """A moment of the query, ISO 8601 with zone."""
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        # A plus sign that was not escaped arrives as a space.
        return parse_time(text.replace(" ", "+"), name)
    except Fault as fault:
        raise _fault(name, fault.reason) from None


def choice(request: Request, name: str, allowed: tuple[str, ...], default: str) -> str:
    value = request.query_params.get(name, default)
    if value not in allowed:
        raise _fault(name, f"must be one of {', '.join(allowed)}")
    return value


def node_id(request: Request, name: str = "nodeId") -> str:
    value = request.query_params.get(name, "")
    if not value:
        raise _fault(name, "is missing")
    return value


def _fault(name: str, reason: str) -> APIException:
    return ValidationError({name: [reason]})


def paging(request: Request) -> tuple[int, int]:
    return number(request, "limit", LIMIT, least=1), number(request, "offset", 0, most=10**9)


def page(rows: Any, request: Request) -> tuple[list[Any], int]:
    """A slice of a queryset, and how many rows it has."""
    limit, offset = paging(request)
    return list(rows[offset : offset + limit]), rows.count()
