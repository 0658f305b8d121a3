"""Reading an exported chain back: all an offline verifier needs besides ``chain.check``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime

from controlplane.audit.domain.chain import Link, Payload, SealedLink


def read_lines(lines: Iterable[str]) -> Iterator[tuple[SealedLink, Payload]]:
    """The chain of an export, in order. Raises ValueError or KeyError for a line that is not an entry."""
    for line in lines:
        body = json.loads(line)
        link = Link(
            entry_id=body["entry_id"],
            recorded_at=datetime.fromisoformat(body["recorded_at"]),
            action=body["action"],
            actor=body["actor"],
            target=body["target"],
            correlation_id=body["correlation_id"],
            commitment=body["commitment"],
        )
        salt = bytes.fromhex(body["salt"]) if body["salt"] is not None else None
        yield (
            SealedLink(link=link, seq=body["seq"], previous_hash=body["previous_hash"], hash=body["hash"]),
            Payload(salt=salt, document=body["document"]),
        )
