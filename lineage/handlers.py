"""What the relay calls: outbox topics and tickers of the lineage app. Imported by ``AppConfig.ready``."""

from __future__ import annotations

import os
from typing import Any

import httpx
import structlog
from django.conf import settings
from django.core.cache import cache

from controlplane.outbox.models import OutboxMessage
from controlplane.outbox.registry import handler, ticker
from controlplane.telemetry.metrics import counter
from lineage import selectors, services
from lineage.services.transport import FORWARD_TOPIC, TOPIC
from lineage.tasks import WAKE_HOLD_S, WAKE_KEY, project

log = structlog.get_logger(__name__)
FORWARDED = counter("lineage_events_forwarded_total", "Events sent on to OPENLINEAGE_URL, by outcome", "outcome")

WAKE_EVERY_S = 0.25
# A message that no worker took in this time is dropped: while none runs they would pile up.
WAKE_EXPIRES_S = 60
FORWARD_TIMEOUT_S = 5.0


@handler(TOPIC)
def ingest(payload: dict[str, Any], message: OutboxMessage) -> None:
    """Store an event of our own; sent twice, it is recognised."""
    result = services.events_ingest(bodies=[payload["event"]], producer=payload["producer"])
    for failure in result.failed:
        # Refused for good and kept in the quarantine: sending it again would change nothing.
        log.error("lineage.own_event_refused", path=failure.path, reason=failure.reason, message=str(message.uuid))


@handler(FORWARD_TOPIC)
def forward(payload: dict[str, Any], message: OutboxMessage) -> None:
    """Send an event of our own to another OpenLineage server; raises, and is so tried again, while that one cannot take it."""
    url = settings.ENV.openlineage_url
    if not url:
        return
    key = os.environ.get("OPENLINEAGE_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    endpoint = f"{url.rstrip('/')}/api/v1/lineage"
    answer = httpx.post(endpoint, json=payload["event"], headers=headers, timeout=FORWARD_TIMEOUT_S)
    if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or answer.status_code in {408, 425, 429}:
        FORWARDED.inc(outcome="retry")
        answer.raise_for_status()
    refused = answer.is_client_error
    FORWARDED.inc(outcome="refused" if refused else "sent")
    if refused:
        log.error("lineage.forward_refused", status=answer.status_code, message=str(message.uuid))


@ticker("lineage.project", every_s=WAKE_EVERY_S)
def wake_projector() -> None:
    """Send a projector when events wait and none is at work; its mark expires should it have died."""
    if selectors.events_pending() and cache.add(WAKE_KEY, 1, timeout=WAKE_HOLD_S):
        project.apply_async(expires=WAKE_EXPIRES_S)


@ticker("lineage.measure", every_s=5)
def measure() -> None:
    services.pending_measure()


@ticker("lineage.partitions", every_s=3600)
def partitions() -> None:
    services.partitions_ensure()
