"""Several functions of this package at the same time, each in a process of its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.child import elsewhere


def together(*calls: tuple[str, dict[str, Any]]) -> list[Any]:
    """The answers of ``child.elsewhere(name, **parameters)`` for each call, in their order."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(lambda call: elsewhere(call[0], **call[1]), calls))
