"""What every reading endpoint shares: roles, parameters, pages, errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import APIException, MethodNotAllowed, NotFound, ValidationError
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.accounts.permissions import HasRole
from controlplane.ui.pages import STAFF_ROLES
from lineage import selectors
from lineage.api import shapes
from lineage.domain.spec import Fault, parse_time
from lineage.errors import NodeIdInvalid, NodeUnknown

LIMIT = 100
LIMIT_MAX = 1000
READING = ("get", "head", "options")

Json = dict[str, Any]
PAGING = [
    OpenApiParameter("limit", int, description="rows at most, default 100, never more than 1000"),
    OpenApiParameter("offset", int, description="rows to skip"),
]
AS_OF = OpenApiParameter("asOf", str, description="as it was known then: ISO 8601 with zone; default now")
FILTERS = [
    OpenApiParameter("layer", str, description="layer of the contract, for example silver or gold"),
    OpenApiParameter("owner", str, description="user name of the product's owner, or a name of an ownership facet"),
    OpenApiParameter("tag", str, description="key or key:value of a tags facet; PII and SENSITIVE follow from contracts"),
]
NAMESPACE = OpenApiParameter("namespace", str)


class ReadView(APIView):
    """Open to every role of a person, and to keys that hold such a role; a producer's key writes and reads no graph.

    Clients of Marquez also write metadata. ``instead`` says what to do here in place of it: such a request is refused with 405
    and that reason, whoever sends it.
    """

    permission_classes = [HasRole(*STAFF_ROLES)]
    instead = "Metadata comes from events: send an OpenLineage event to POST /api/v1/lineage."

    def get_permissions(self) -> list[BasePermission]:
        if (self.request.method or "GET").lower() in READING:
            return super().get_permissions()  # type: ignore[return-value]
        return [IsAuthenticated()]

    def http_method_not_allowed(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> Response:
        raise MethodNotAllowed(request.method or "", detail=f"{request.method} is not answered here. {self.instead}")

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, NodeUnknown):
            exc = NotFound(f"{exc}; GET /api/v1/search?q=… finds names")
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
        raise fault(name, "must be a whole number") from None
    if value < least:
        raise fault(name, f"must be at least {least}")
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
    except Fault as error:
        raise fault(name, f"{error.reason}; write it like 2026-03-01T12:00:00Z") from None


def time_needed(request: Request, name: str) -> datetime:
    moment = time_or_none(request, name)
    if moment is None:
        raise fault(name, "is missing; write it like 2026-03-01T12:00:00Z")
    return moment


def as_of(request: Request) -> datetime | None:
    return time_or_none(request, "asOf")


def choice(request: Request, name: str, allowed: tuple[str, ...], default: str) -> str:
    value = request.query_params.get(name, default)
    if value not in allowed:
        raise fault(name, f"must be one of {', '.join(item for item in allowed if item)}")
    return value


def node_id(request: Request, name: str = "nodeId") -> str:
    value = request.query_params.get(name, "")
    if not value:
        raise fault(name, "is missing")
    return value


def zone(request: Request) -> ZoneInfo:
    name = request.query_params.get("timezone") or "UTC"
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise fault("timezone", "is no name of the IANA data base, for example Europe/Paris") from None


def filters(request: Request, namespace: str | None = None) -> selectors.Filter:
    """What the reader narrows the answer to. ``namespace`` of the path comes before that of the query."""
    asked = request.query_params
    return selectors.Filter(
        namespace=asked.get("namespace", "") if namespace is None else namespace,
        layer=asked.get("layer", ""),
        owner=asked.get("owner", ""),
        tag=asked.get("tag", ""),
    )


def fault(name: str, reason: str) -> APIException:
    return ValidationError({name: [reason]})


def paging(request: Request) -> tuple[int, int]:
    return number(request, "limit", LIMIT, least=1), number(request, "offset", 0, most=10**9)


def page(rows: Any, request: Request) -> tuple[list[Any], int]:
    """A slice of a queryset or list, and how many rows there are."""
    limit, offset = paging(request)
    total = len(rows) if isinstance(rows, Sequence) else rows.count()
    return list(rows[offset : offset + limit]), total


def listed(request: Request, key: str, shown: Sequence[Any], total: int, **extra: Any) -> Response:
    """A page: the rows under their name, how many there are in all, and where the next page is."""
    limit, offset = paging(request)
    more = offset + len(shown) < total
    body = {
        "totalCount": total,
        key: list(shown),
        "limit": limit,
        "offset": offset,
        "more": more,
        "next": link(request, offset=offset + limit) if more else None,
        "knownThrough": shapes.moment(selectors.known_through(as_of(request))),
    }
    return Response({**body, **extra})


def answer(body: Json) -> HttpResponse:
    """A large answer, past REST framework's renderer: half of the time of a graph went there."""
    return HttpResponse(msgspec.json.encode(body), content_type="application/json")


def link(request: Request, **changed: Any) -> str:
    """This address with other parameters."""
    asked = {name: value for name, value in request.query_params.items() if name not in changed}
    return f"{request.path}?{urlencode({**asked, **changed})}"


def ended(request: Request, *, cut: bool, more: Sequence[str], limit: int, most: int, about: str = "nodes") -> Json:
    """What every graph answer ends with: whether something was left out, since when, and how to get the rest."""
    rest: Mapping[str, Any] = {}
    if cut:
        how = f"ask again with nodeId of one of the {about} in 'more'"
        higher = f", or with a higher limit (at most {most})" if limit < most else ""
        rest = {"rest": f"{how}, with a greater depth{higher}"}
    return {
        "cut": cut,
        "more": list(more),
        "limit": limit,
        **rest,
        "asOf": shapes.moment(as_of(request)),
        "knownThrough": shapes.moment(selectors.known_through(as_of(request))),
    }
