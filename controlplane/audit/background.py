"""What the relay does for the audit log, and what lower parts ask it to record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from controlplane.audit import checkpoints, sealing, services
from controlplane.outbox.models import OutboxMessage
from controlplane.outbox.registry import handler, ticker
from controlplane.telemetry.metrics import counter

SEALED = counter("audit_sealed_total", "Audit entries sealed")


@ticker("audit-seal", every_s=0.5)
def seal() -> None:
    if sealed := sealing.seal_pending():
        SEALED.inc(sealed)


@ticker("audit-checkpoint", every_s=60)
def checkpoint() -> None:
    checkpoints.write()


@dataclass(frozen=True)
class _Named:
    audit_ref: str
    audit_name: str


@handler("audit.record")
def record(payload: dict[str, Any], _message: OutboxMessage) -> None:
    """Parts below the audit log cannot call it, so they publish what it is to record."""
    with transaction.atomic():
        services.record(
            action=payload["action"],
            actor=_Named(payload["actor"], payload.get("actor_name", "")),
            target=payload["target"],
            payload=payload.get("payload"),
            reason=payload.get("reason", ""),
        )
