"""The sealer: chains what was recorded, in the order in which it became visible."""

from __future__ import annotations

from django.db import connection, transaction

from controlplane.audit.domain.chain import GENESIS, Link, SealedLink
from controlplane.audit.domain.chain import seal as chain
from controlplane.audit.models import AuditEntry

BATCH = 2000
# Two sealers at once would give two entries one number, and the second fail on the constraint: it waits instead.
_LOCK = 0x5EA1

_SEAL = """
UPDATE audit_auditentry AS entry
SET seq = sealed.seq, previous_hash = sealed.previous_hash, hash = sealed.hash, sealed_at = clock_timestamp()
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[]) AS sealed (id, seq, previous_hash, hash)
WHERE entry.id = sealed.id
"""


def seal_pending(*, batch: int = BATCH) -> int:
    """Seal everything that is visible now; returns how many entries. One transaction per batch."""
    total = 0
    while True:
        sealed = _seal_batch(batch)
        total += sealed
        if sealed < batch:
            return total


@transaction.atomic
def _seal_batch(batch: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    links = [link_of(entry) for entry in AuditEntry.objects.filter(seq__isnull=True).order_by("id")[:batch]]
    if not links:
        return 0
    head = AuditEntry.objects.filter(seq__isnull=False).order_by("-seq").values_list("seq", "hash").first()
    seq, digest = head or (0, GENESIS)
    _save(chain(links, seq=int(seq or 0), head=digest))
    return len(links)


def _save(sealed: list[SealedLink]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            _SEAL,
            [
                [item.link.entry_id for item in sealed],
                [item.seq for item in sealed],
                [item.previous_hash for item in sealed],
                [item.hash for item in sealed],
            ],
        )


def link_of(entry: AuditEntry) -> Link:
    return Link(
        entry_id=entry.pk,
        recorded_at=entry.recorded_at,
        action=entry.action,
        actor=entry.actor,
        target=entry.target,
        correlation_id=entry.correlation_id,
        commitment=entry.commitment,
    )
