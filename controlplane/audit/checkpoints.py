"""Signed checkpoints: number and hash of the newest sealed entry, written where the database cannot change them.

Whoever rewrites the whole chain, or cuts its end, must also forge a signature in files that an operator copies away.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog
from django.conf import settings

from controlplane.audit.errors import BadCheckpoint
from controlplane.audit.models import AuditEntry
from controlplane.keys import services as keys
from controlplane.keys.errors import BadSignature

log = structlog.get_logger(__name__)

__all__ = ["Checkpoint", "folder", "newest", "read", "write"]


@dataclass(frozen=True)
class Checkpoint:
    """The chain had this hash at this number at that time (ISO 8601, UTC)."""

    seq: int
    hash: str
    sealed_at: str
    written_at: str


def folder() -> Path:
    return Path(settings.HOME) / "audit" / "checkpoints"


def newest() -> Path | None:
    return max(folder().glob("checkpoint-*.json"), default=None, key=lambda path: path.name)


def write() -> Path | None:
    """Write a checkpoint for the newest sealed entry; None when there is none, or it has one already."""
    head = AuditEntry.objects.filter(seq__isnull=False).order_by("-seq").first()
    if head is None or head.seq is None or head.sealed_at is None:
        return None
    path = folder() / f"checkpoint-{head.seq:012d}.json"
    if path.exists():
        return None
    checkpoint = Checkpoint(
        seq=head.seq,
        hash=head.hash,
        sealed_at=head.sealed_at.astimezone(UTC).isoformat(),
        written_at=datetime.now(UTC).isoformat(),
    )
    signature = keys.sign(keys.canonical_json(asdict(checkpoint)))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(keys.canonical_json({"checkpoint": asdict(checkpoint), "signature": signature.as_dict()}) + b"\n")
    temporary.chmod(0o444)
    temporary.replace(path)
    # The log leaves the machine on another way than the files.
    log.info("audit checkpoint", seq=head.seq, hash=head.hash, key_id=signature.key_id, signature=signature.signature)
    return path


def read(path: Path) -> Checkpoint:
    """A checkpoint whose signature holds; raises BadCheckpoint."""
    try:
        body = json.loads(path.read_text())
        checkpoint = Checkpoint(**body["checkpoint"])
        keys.verify(keys.canonical_json(body["checkpoint"]), keys.Signature.from_dict(body["signature"]))
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise BadCheckpoint(f"{path.name} cannot be read: {fault}") from fault
    except BadSignature as fault:
        raise BadCheckpoint(f"{path.name}: {fault}") from fault
    return checkpoint
