"""The two addresses that producers send to, answered before Django's request cycle.

A producer's request has a key in its header: no session, no cookie, no form, no page. Sessions, CSRF, messages and the walk
through all addresses would cost it more than storing the event. What it keeps: the correlation id, metrics, spans, a log line
when it was refused, and everything in ``api.ingest``, which Django's views of the same addresses use as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import structlog
from django.db import close_old_connections

from controlplane.telemetry import tracing
from controlplane.telemetry.context import bind
from controlplane.telemetry.middleware import DURATION, HEADER, REQUESTS, correlation_from
from lineage.api.ingest import Answer, Kind, Sent, answer

log = structlog.get_logger(__name__)

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

ROUTES: dict[str, tuple[Kind, str]] = {
    "/api/v1/lineage": ("event", "api/v1/lineage"),
    "/api/v1/lineage/batch": ("batch", "api/v1/lineage/batch"),
}
_REASONS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


def ingest_first(django: Application) -> Application:
    """A WSGI application that takes in events itself and leaves every other request to Django."""

    def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        found = ROUTES.get(environ["PATH_INFO"]) if environ["REQUEST_METHOD"] == "POST" else None
        if found is None:
            return django(environ, start_response)
        kind, route = found
        return _take_in(kind, route, environ, start_response)

    return application


def _take_in(kind: Kind, route: str, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    started = time.perf_counter()
    close_old_connections()  # as Django does between requests: one that broke must not fail the next producer too
    parent = {"traceparent": environ.get("HTTP_TRACEPARENT", "")}
    chosen = correlation_from(environ.get("HTTP_X_CORRELATION_ID", ""), parent["traceparent"])
    with bind(correlation_id=chosen) as correlation, tracing.span("HTTP POST", kind="server", parent=parent):
        try:
            found = answer(kind, _sent(environ))
        except Exception:
            log.exception("request_failed", route=route)
            found = Answer(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": "internal error; the event was not stored", "path": "$"})
            close_old_connections()
        _note(route, found.status, time.perf_counter() - started)
    body = found.body
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("X-Content-Type-Options", "nosniff"),
        (HEADER, correlation),
        *found.headers.items(),
    ]
    start_response(_REASONS[found.status], headers)
    return [body]


def _sent(environ: Environ) -> Sent:
    stream = environ["wsgi.input"]
    length = environ.get("CONTENT_LENGTH")
    left = int(length) if length and length.isdigit() else None

    def read(size: int) -> bytes:
        parts = []
        wanted = size if left is None else min(size, left)
        while wanted > 0 and (part := stream.read(wanted)):
            parts.append(part)
            wanted -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    return Sent(environ.get("HTTP_AUTHORIZATION", ""), environ.get("HTTP_CONTENT_ENCODING", ""), read)


def _note(route: str, status: int, took_s: float) -> None:
    REQUESTS.inc(route=route, method="POST", status=f"{status // 100}xx")
    DURATION.observe(took_s, route=route, method="POST")
    # A line for each of a thousand events a second would bury the rest; metrics count them.
    write = log.debug if status < HTTPStatus.BAD_REQUEST else log.info
    write("request", route=route, method="POST", status=status, duration_ms=round(took_s * 1000, 1))
