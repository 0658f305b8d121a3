"""What the relay calls: outbox topics and tickers of the lineage app. Imported by ``AppConfig.ready``."""

from __future__ import annotations

from typing import Any

import structlog
from django.conf import settings
from django.core.cache import cache

from controlplane.outbox.models import OutboxMessage
from controlplane.outbox.registry import handler, ticker
from lineage import selectors, services
from lineage.services.transport import TOPIC
from lineage.tasks import WAKE_HOLD_S, WAKE_KEY, forward, project, retain

log = structlog.get_logger(__name__)

WAKE_EVERY_S = 0.25
# A message that no worker took in this time is dropped: while none runs they would pile up.
WAKE_EXPIRES_S = 60
# How long a sender may be at it before another is sent; a target's own claim keeps the two apart.
FORWARD_HOLD_S = 30


@handler(TOPIC)
def ingest(payload: dict[str, Any], message: OutboxMessage) -> None:
    """Store an event of our own; sent twice, it is recognised."""
    result = services.events_ingest(bodies=[payload["event"]], producer=payload["producer"])
    for failure in result.failed:
        # Refused for good and kept in the quarantine: sending it again would change nothing.
        log.error("lineage.own_event_refused", path=failure.path, reason=failure.reason, message=str(message.uuid))


@ticker("lineage.project", every_s=WAKE_EVERY_S)
def wake_projector() -> None:
    """Send a projector when events wait and none is at work; its mark expires should it have died."""
    if selectors.events_pending() and cache.add(WAKE_KEY, 1, timeout=WAKE_HOLD_S):
        project.apply_async(expires=WAKE_EXPIRES_S)


@ticker("lineage.forward", every_s=1)
def wake_forwarders() -> None:
    """Send a sender for each other server that something waits for."""
    if not services.targets():
        return
    for name in services.forward_due():
        if cache.add(f"lineage:forward:{name}", 1, timeout=FORWARD_HOLD_S):
            forward.apply_async(kwargs={"target": name}, expires=WAKE_EXPIRES_S)


@ticker("lineage.measure", every_s=5)
def measure() -> None:
    services.pending_measure()


@ticker("lineage.retention", every_s=6 * 3600)
def retention() -> None:
    if settings.ENV.lineage_retention_days:
        retain.apply_async(expires=WAKE_EXPIRES_S)


@ticker("lineage.partitions", every_s=3600)
def partitions() -> None:
    services.partitions_ensure()
