"""Reads of the audit log: verification, export, counts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db.models import Count, Min, Q, QuerySet

from controlplane.audit import checkpoints as _checkpoints
from controlplane.audit.checkpoints import Checkpoint
from controlplane.audit.domain.chain import ChainReport, Payload, SealedLink, check
from controlplane.audit.models import AuditEntry, AuditPayload
from controlplane.audit.sealing import link_of

__all__ = [
    "Checkpoint",
    "Verification",
    "checkpoint_newest",
    "entries_of",
    "export_lines",
    "first_seq",
    "links",
    "payloads_mentioning",
    "tail",
    "verify",
]

CHUNK = 5000


@dataclass(frozen=True)
class Tail:
    """Entries that are not sealed yet: no proof covers them."""

    entries: int
    oldest_s: float


@dataclass
class Verification:
    """Outcome of ``verify``; ``faults`` is empty when everything holds."""

    chain: ChainReport
    tail: Tail
    checkpoints: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def intact(self) -> bool:
        return not self.faults


def entries_of(*, target: str) -> QuerySet[AuditEntry]:
    """The history of one object, newest first, with payloads."""
    return AuditEntry.objects.filter(target=target).select_related("payload").order_by("-id")


def payloads_mentioning(*, values: Iterable[str]) -> int:
    """How many payloads that are not erased hold one of the values, in any case of letters. Scans the table."""
    wanted = Q()
    for value in values:
        # The document is JSON, so quotes and backslashes stand escaped in it.
        wanted |= Q(document__icontains=json.dumps(value, ensure_ascii=False)[1:-1])
    return AuditPayload.objects.filter(wanted).count() if wanted else 0


def tail() -> Tail:
    found = AuditEntry.objects.filter(seq__isnull=True).aggregate(n=Count("id"), oldest=Min("recorded_at"))
    age = (datetime.now(UTC) - found["oldest"]) / timedelta(seconds=1) if found["oldest"] else 0.0
    return Tail(entries=found["n"], oldest_s=max(age, 0.0))


def verify(*, checkpoints: Iterable[Checkpoint] = ()) -> Verification:
    """Walk the whole chain, compare it with checkpoints, and account for erased payloads. Reads in chunks."""
    wanted = {checkpoint.seq: checkpoint for checkpoint in checkpoints}
    seen: dict[int, str] = {}
    result = Verification(chain=check(_watched(wanted, seen)), tail=tail())
    chain = result.chain
    if chain.reason:
        result.faults.append(f"entry {chain.broken_seq} (id {chain.broken_entry}) is broken: {chain.reason}")
    for seq, checkpoint in sorted(wanted.items()):
        if seq in seen and seen[seq] == checkpoint.hash:
            result.checkpoints.append(seq)
        elif seq in seen:
            result.faults.append(f"entry {seq} differs from its checkpoint of {checkpoint.written_at}")
        elif chain.intact:
            result.faults.append(f"the chain ends at {chain.head_seq}, but the checkpoint of {checkpoint.written_at} saw {seq}")
    result.faults.extend(_unaccounted(chain.erased))
    return result


def _watched(wanted: dict[int, Checkpoint], seen: dict[int, str]) -> Iterator[tuple[SealedLink, Payload]]:
    for item in sealed_entries():
        if item[0].seq in wanted:
            seen[item[0].seq] = item[0].hash
        yield item


def sealed_entries() -> Iterator[tuple[SealedLink, Payload]]:
    """The chain in order, with payloads (a payload row that is gone reads as half erased)."""
    rows = AuditEntry.objects.filter(seq__isnull=False).select_related("payload").order_by("seq")
    for entry in rows.iterator(chunk_size=CHUNK):
        yield _sealed(entry), _payload_of(entry)


def _sealed(entry: AuditEntry) -> SealedLink:
    return SealedLink(link=link_of(entry), seq=int(entry.seq or 0), previous_hash=entry.previous_hash, hash=entry.hash)


def _payload_of(entry: AuditEntry) -> Payload:
    row = getattr(entry, "payload", None)
    if row is None:
        return Payload(salt=b"", document=None)
    return Payload(salt=bytes(row.salt) if row.salt is not None else None, document=row.document)


def _unaccounted(erased: list[int]) -> list[str]:
    """Erased payloads that no ``audit.payload_erase`` entry accounts for."""
    targets = [f"audit:{entry_id}" for entry_id in erased]
    recorded = AuditEntry.objects.filter(action="audit.payload_erase", target__in=targets)
    known = set(recorded.values_list("target", flat=True))
    gone = [number for number in erased if f"audit:{number}" not in known]
    return [f"the payload of entry id {number} is gone without a record of its erasure" for number in gone]


def checkpoint_newest() -> bytes | None:
    """The newest signed checkpoint as it lies on the disk: JSON ``{checkpoint, signature}``; None when there is none."""
    path = _checkpoints.newest()
    return path.read_bytes() if path else None


def first_seq(*, targets: Iterable[str], until: int) -> int | None:
    """Number of the first sealed entry about one of these, up to a number."""
    found = AuditEntry.objects.filter(target__in=list(targets), seq__lte=until)
    first: int | None = found.aggregate(first=Min("seq"))["first"]
    return first


def links(*, first: int, last: int) -> Iterator[dict[str, object]]:
    """A stretch of the sealed chain, as ``export_lines`` but without payloads and their salts."""
    rows = AuditEntry.objects.filter(seq__gte=first, seq__lte=last).order_by("seq")
    for entry in rows.iterator(chunk_size=CHUNK):
        yield _line(_sealed(entry))


def export_lines() -> Iterator[dict[str, object]]:
    """The sealed chain, one JSON object per entry, in order: enough to verify it elsewhere."""
    for sealed, payload in sealed_entries():
        yield _line(sealed) | {
            "salt": payload.salt.hex() if payload.salt is not None else None,
            "document": payload.document,
        }


def _line(sealed: SealedLink) -> dict[str, object]:
    link = sealed.link
    return {
        "seq": sealed.seq,
        "entry_id": link.entry_id,
        "recorded_at": link.recorded_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "action": link.action,
        "actor": link.actor,
        "target": link.target,
        "correlation_id": link.correlation_id,
        "commitment": link.commitment,
        "previous_hash": sealed.previous_hash,
        "hash": sealed.hash,
    }
