"""Correlation ids, access log, metrics and spans of requests."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse

from controlplane.telemetry import tracing
from controlplane.telemetry.context import bind, correlation_id_new, correlation_id_valid
from controlplane.telemetry.metrics import counter, histogram

log = structlog.get_logger(__name__)

HEADER = "X-Correlation-ID"
REQUESTS = counter("http_requests_total", "Requests by route, method and status class", "route", "method", "status")
DURATION = histogram("http_request_duration_seconds", "Time to answer", "route", "method")

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
# Asked every few seconds by machines; one line each would bury the rest.
_QUIET = frozenset({"healthz", "readyz", "metrics"})
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


def correlation_of(request: HttpRequest) -> str:
    """The id the caller sent (``X-Correlation-ID``, else the trace id of ``traceparent``), else a new one.

    What does not look like an id is not taken over: it would stand in every log line.
    """
    return correlation_from(request.headers.get(HEADER, ""), request.headers.get("traceparent", ""))


def correlation_from(sent: str, traceparent: str) -> str:
    """The same from the values of the two headers."""
    if correlation_id_valid(sent):
        return sent
    trace = _TRACEPARENT.fullmatch(traceparent)
    return trace[1] if trace and set(trace[1]) != {"0"} else correlation_id_new()


def route_of(request: HttpRequest) -> str:
    """The pattern that matched, not the path: a path may name a person, and each path would be a series of its own."""
    return request.resolver_match.route if request.resolver_match else "unmatched"


class CorrelationMiddleware:
    """First of the middleware: whatever happens below is logged, counted and timed under one correlation id."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        parent = {"traceparent": request.headers.get("traceparent", "")}
        with (
            bind(correlation_id=correlation_of(request)) as correlation,
            tracing.span(f"HTTP {request.method}", kind="server", parent=parent),
        ):
            response = self.get_response(request)
            response[HEADER] = correlation
            self._note(request, response, time.perf_counter() - started)
        return response

    @staticmethod
    def _note(request: HttpRequest, response: HttpResponse, took_s: float) -> None:
        route = route_of(request)
        method = request.method if request.method in _METHODS else "other"
        REQUESTS.inc(route=route, method=str(method), status=f"{response.status_code // 100}xx")
        DURATION.observe(took_s, route=route, method=str(method))
        write = log.debug if route in _QUIET else log.info
        write("request", route=route, method=method, status=response.status_code, duration_ms=round(took_s * 1000, 1))
