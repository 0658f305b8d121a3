"""What the outbox itself does from time to time, and how it shows that it works."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from controlplane.outbox import selectors, services
from controlplane.outbox.models import Relay
from controlplane.outbox.registry import ticker
from controlplane.telemetry import health
from controlplane.telemetry.metrics import gauge

PENDING = gauge("outbox_pending", "Messages that wait for delivery")
DEAD = gauge("outbox_dead", "Messages given up, waiting for a person")
OLDEST = gauge("outbox_oldest_seconds", "How long the oldest message is overdue")
BEAT_LIMIT_S = 15.0


@ticker("outbox-measure", every_s=10)
def measure() -> None:
    found = selectors.backlog()
    PENDING.set(found.pending)
    DEAD.set(found.dead)
    OLDEST.set(found.oldest_s)


@ticker("outbox-purge", every_s=600)
def purge() -> None:
    services.purge()
    # Relays that were killed could not say good-bye.
    Relay.objects.filter(beat_at__lt=timezone.now() - timedelta(hours=1)).delete()


def check_relay() -> str:
    """For /readyz: without a relay, saved work is never started."""
    age_s = selectors.relay_beat_age_s()
    if age_s is None:
        raise health.NotReady("no relay is at work; start: manage.py relay")
    if age_s > BEAT_LIMIT_S:
        raise health.NotReady(f"the relay was last heard of {age_s:.0f} s ago")
    return f"heard of {age_s:.1f} s ago"
