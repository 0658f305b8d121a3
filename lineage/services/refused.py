"""What a person or producer does with a refused event."""

from __future__ import annotations

from django.db import transaction

from controlplane.accounts.models import ApiKey, User
from controlplane.audit import services as audit
from lineage.models import Quarantine
from lineage.services.ingest import BODY_KEPT_BYTES, Ingested, events_ingest

__all__ = ["quarantine_dismiss", "quarantine_replay"]

Actor = User | ApiKey | str


@transaction.atomic
def quarantine_replay(*, item: Quarantine, actor: Actor) -> Ingested:
    """Send a refused body through ingest again, after a fix of the rule that refused it. Refused again, it stays open.

    Bodies over 1 MiB were kept in part only and are refused again as broken JSON. Held to the namespaces of its key when an
    API key replays.
    """
    producer = actor if isinstance(actor, ApiKey) else item.producer
    result = events_ingest(bodies=[item.body], producer=producer)
    if not result.failed:
        Quarantine.objects.filter(pk=item.pk).update(state=Quarantine.State.REPLAYED)
        audit.record(
            action="lineage.quarantine_replay",
            actor=actor,
            target=f"lineage.quarantine:{item.uuid}",
            payload={"complete": item.body_bytes <= BODY_KEPT_BYTES},
        )
    return result


@transaction.atomic
def quarantine_dismiss(*, item: Quarantine, actor: Actor, reason: str = "") -> bool:
    """Close a refused event without replaying it; False when it was closed before."""
    changed = Quarantine.objects.filter(pk=item.pk, state=Quarantine.State.OPEN).update(state=Quarantine.State.DISMISSED)
    if changed:
        audit.record(action="lineage.quarantine_dismiss", actor=actor, target=f"lineage.quarantine:{item.uuid}", reason=reason)
    return bool(changed)
