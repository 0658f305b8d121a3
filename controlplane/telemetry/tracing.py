"""OpenTelemetry traces, sent to ``OTEL_EXPORTER_OTLP_ENDPOINT``. Without that setting nothing of it is imported.

>>> with span("silver.step", dataset="orders"):
...     ...
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from django.conf import settings

from controlplane.telemetry.context import bound, correlation_id

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

__all__ = ["carrier", "enabled", "span"]

Kind = Literal["internal", "server", "consumer", "producer"]

# The thread that sends spans does not survive a fork, so each process makes its own.
_tracers: dict[int, Tracer] = {}


def enabled() -> bool:
    return bool(settings.ENV.otlp_endpoint)


def _tracer() -> Tracer:
    pid = os.getpid()
    if pid not in _tracers:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        resource = Resource.create({"service.name": "touchstone", "deployment.environment.name": settings.ENV.environment})
        provider = TracerProvider(resource=resource)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        _tracers.clear()
        _tracers[pid] = provider.get_tracer("touchstone")
    return _tracers[pid]


def carrier() -> dict[str, str]:
    """Headers (``traceparent``) that make the receiver's spans children of the present one; empty when traces are off."""
    headers: dict[str, str] = {}
    if enabled():
        from opentelemetry.propagate import inject

        inject(headers)
    return headers


@contextmanager
def span(name: str, *, kind: Kind = "internal", parent: Mapping[str, str] | None = None, **attributes: str) -> Iterator[None]:
    """Time a block as a span that carries the correlation id. Does nothing when traces are off.

    ``parent`` is what ``carrier`` gave on the other side.
    """
    if not enabled():
        yield
        return
    from opentelemetry.propagate import extract
    from opentelemetry.trace import SpanKind

    context = extract(dict(parent)) if parent else None
    values = {"touchstone.correlation_id": correlation_id(), **bound(), **attributes}
    with _tracer().start_as_current_span(name, context=context, kind=SpanKind[kind.upper()], attributes=values):
        yield
