"""Addresses for machines: alive, ready, metrics. Open by intent where no role is stated; they tell no personal data."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from controlplane.telemetry import health
from controlplane.telemetry.metrics import exposition


@require_safe
@never_cache
def healthz(_request: HttpRequest) -> HttpResponse:
    """The process answers; nothing else is looked at, so that a database restart does not restart the web server too."""
    return JsonResponse({"status": "alive"})


@require_safe
@never_cache
def readyz(_request: HttpRequest) -> HttpResponse:
    """200 when every part is ready, else 503; the body names each part either way."""
    parts = health.readiness()
    ready = all(part.ok for part in parts)
    body = {"status": "ready" if ready else "not ready", "parts": {part.name: asdict(part) for part in parts}}
    return JsonResponse(body, status=HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)


@require_safe
@never_cache
def metrics(_request: HttpRequest) -> HttpResponse:
    """All metrics in Prometheus' text format. ``controlplane.urls`` decides who may read them."""
    body, content_type = exposition()
    return HttpResponse(body, content_type=content_type)
