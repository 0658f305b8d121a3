"""The hash chain: what is hashed, how a link is made and how a chain is checked. Needs no database.

``hash = SHA-256(canonical JSON of the link)``; a link holds its number, the hash before it, and the commitment to its
payload: ``commitment = SHA-256(salt ‖ canonical JSON of the payload)``. The salt makes a short payload impossible to
guess from its commitment, so erasing payload and salt erases the content, and the chain stays whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from controlplane.keys.services import canonical_json

GENESIS = "0" * 64


@dataclass(frozen=True)
class Link:
    """What one entry hashes, besides the hash before it."""

    entry_id: int
    recorded_at: datetime
    action: str
    actor: str
    target: str
    correlation_id: str
    commitment: str


@dataclass(frozen=True)
class SealedLink:
    """A link in its place: number from 1 without gaps, the hash before it and its own."""

    link: Link
    seq: int
    previous_hash: str
    hash: str


@dataclass(frozen=True)
class Payload:
    """What stands beside a link; ``None`` twice when it was erased."""

    salt: bytes | None
    document: str | None


@dataclass
class ChainReport:
    """Outcome of a check: how far the chain holds, and the first place where it does not."""

    checked: int = 0
    head_seq: int = 0
    head_hash: str = GENESIS
    erased: list[int] = field(default_factory=list)
    broken_seq: int | None = None
    broken_entry: int | None = None
    reason: str = ""

    @property
    def intact(self) -> bool:
        return not self.reason


def commitment_of(*, salt: bytes, document: str) -> str:
    return hashlib.sha256(salt + document.encode()).hexdigest()


def link_hash(link: Link, *, seq: int, previous_hash: str) -> str:
    """SHA-256 in hex over the canonical JSON of the link in its place."""
    body = asdict(link) | {
        "recorded_at": link.recorded_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "seq": seq,
        "previous_hash": previous_hash,
    }
    return hashlib.sha256(canonical_json(body)).hexdigest()


def seal(links: Iterable[Link], *, seq: int, head: str) -> list[SealedLink]:
    """Chain the links, in order, behind number ``seq`` with hash ``head``."""
    sealed: list[SealedLink] = []
    for link in links:
        seq += 1
        digest = link_hash(link, seq=seq, previous_hash=head)
        sealed.append(SealedLink(link=link, seq=seq, previous_hash=head, hash=digest))
        head = digest
    return sealed


def check(chain: Iterable[tuple[SealedLink, Payload]]) -> ChainReport:
    """Walk a chain from its first entry, in order, and stop at the first broken one."""
    report = ChainReport()
    for entry, payload in chain:
        reason = _fault(entry, payload, report)
        if reason:
            report.broken_seq, report.broken_entry, report.reason = entry.seq, entry.link.entry_id, reason
            return report
        if payload.document is None:
            report.erased.append(entry.link.entry_id)
        report.checked += 1
        report.head_seq, report.head_hash = entry.seq, entry.hash
    return report


def _fault(entry: SealedLink, payload: Payload, report: ChainReport) -> str:  # noqa: PLR0911  (one fault, one line)
    if entry.seq != report.head_seq + 1:
        return f"entry {report.head_seq + 1} is missing"
    if entry.previous_hash != report.head_hash:
        return "it does not refer to the entry before it"
    if entry.hash != link_hash(entry.link, seq=entry.seq, previous_hash=entry.previous_hash):
        return "its content does not match its hash"
    if (payload.salt is None) != (payload.document is None):
        return "its payload is half erased"
    if payload.salt is None or payload.document is None:
        return ""
    if commitment_of(salt=payload.salt, document=payload.document) != entry.link.commitment:
        return "its payload does not match the commitment"
    return ""
