"""Where apps say what a backup must hold still and what must happen after a restore.

>>> @after_restore("privacy.suppression")
... def suppress(restored: Restored) -> str:
...     return "3 people suppressed again"

Functions run in the order of their names, after database, lake and keys are in place and before anybody is let in. They must be
repeatable: a restore that was killed runs them again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

__all__ = ["Restored", "after_restore", "hooks", "lease_names", "leased"]


@dataclass(frozen=True)
class Restored:
    """A restore as its hooks see it: when the backup was taken, and which roots (of lake and landing) moved where."""

    taken_at: datetime
    moved: tuple[tuple[str, str], ...]


Hook = Callable[[Restored], str]
_hooks: dict[str, Hook] = {}
_leased: dict[str, Callable[[], Iterable[str]]] = {}


def after_restore(name: str) -> Callable[[Hook], Hook]:
    """Register a function that runs after a restore and returns one line for the report ("" for nothing to say)."""

    def register(hook: Hook) -> Hook:
        _hooks[name] = hook
        return hook

    return register


def leased(name: str, resources: Callable[[], Iterable[str]]) -> None:
    """Register the lake leases whose holders may be between a commit and its record in the database."""
    _leased[name] = resources


def hooks() -> list[tuple[str, Hook]]:
    return sorted(_hooks.items())


def lease_names() -> list[str]:
    """All of them in one order, so that two backups cannot wait for each other."""
    return sorted({name for resources in _leased.values() for name in resources()})
