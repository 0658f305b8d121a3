"""Faults of a contract, each with its place in the file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault. ``line`` and ``column`` start at 1; ``path`` is the place in the document, for example ``schema[0].name``."""

    line: int
    column: int
    path: str
    reason: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class ContractInvalid(ValueError):
    """A contract that cannot be imported; ``faults`` holds every fault found, in file order."""

    def __init__(self, faults: Iterable[Fault], *, filename: str) -> None:
        self.filename = filename
        self.faults = sorted(set(faults))
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """``file:line:column: reason (path)``, one per fault, as compilers print them."""
        return [f"{self.filename}:{f.line}:{f.column}: {f.reason}" + (f" ({f.path})" if f.path else "") for f in self.faults]
