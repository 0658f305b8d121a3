"""What the pages say about the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from controlplane.audit.models import AuditEntry


@dataclass(frozen=True)
class ChainState:
    """``sealed`` is the number of the last sealed entry; ``unsealed`` wait for the sealer, at most a second when it runs."""

    sealed: int
    unsealed: int
    sealed_at: datetime | None


def chain_state() -> ChainState:
    """Two index reads, however long the log is."""
    last = AuditEntry.objects.filter(seq__isnull=False).order_by("-seq").values_list("seq", "sealed_at").first()
    unsealed = AuditEntry.objects.filter(seq__isnull=True).count()
    return ChainState(last[0] or 0 if last else 0, unsealed, last[1] if last else None)


def recent(action: str, limit: int) -> list[AuditEntry]:
    """Newest entries of an action."""
    return list(AuditEntry.objects.filter(action=action).order_by("-id")[:limit])
