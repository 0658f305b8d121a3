"""What was taken out of raw files on purpose, and on whose word: asked by those who find a file changed or gone.

The privacy app registers the sources: erasures (a superseding file, in which erased records are tombstones) and retention (the
file is gone). A file that changed or went without such a record was tampered with or lost.

>>> @removal_source("privacy.erasures")
... def erased(logical_ids): return [Removal(kind="erasure", number=7, logical_id="orders-…", …)]
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

__all__ = ["Removal", "removal_source", "removals_of"]


@dataclass(frozen=True)
class Removal:
    """One raw file that an erasure superseded or retention removed.

    ``sha256``: of the bytes that stand there now, empty when none do. ``records``: how many were taken out. ``reference``:
    where its record stands, such as ``erasure:7`` or the address of a signed manifest. Holds no personal data.
    """

    kind: Literal["erasure", "retention"]
    number: int
    logical_id: str
    sha256: str
    records: int
    carried_out_at: datetime
    reference: str

    def as_dict(self) -> dict[str, object]:
        return {
            "kind": self.kind,
            "number": self.number,
            "logical_id": self.logical_id,
            "sha256": self.sha256,
            "records": self.records,
            "carried_out_at": self.carried_out_at.isoformat(),
            "reference": self.reference,
        }


Source = Callable[[Collection[str]], Iterable[Removal]]
_sources: dict[str, Source] = {}


def removal_source(name: str) -> Callable[[Source], Source]:
    """Register a function that answers for logical ids of raw files; under the same name it replaces the one before."""

    def register(source: Source) -> Source:
        _sources[name] = source
        return source

    return register


def removals_of(logical_ids: Collection[str]) -> dict[str, list[Removal]]:
    """Removals by logical id, oldest first, of every source."""
    found: dict[str, list[Removal]] = {}
    for _, source in sorted(_sources.items()):
        for one in source(logical_ids):
            found.setdefault(one.logical_id, []).append(one)
    return {name: sorted(items, key=lambda one: one.carried_out_at) for name, items in found.items()}
