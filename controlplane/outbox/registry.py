"""Who handles which topic, and what the relay does from time to time. Filled in ``AppConfig.ready`` of each app."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from controlplane.outbox.errors import NoHandler
from controlplane.outbox.models import OutboxMessage

__all__ = ["Handler", "Ticker", "handler", "handler_of", "ticker", "tickers"]

Handler = Callable[[dict[str, Any], OutboxMessage], None]


@dataclass(frozen=True)
class Ticker:
    """A function called every ``every_s`` seconds by one relay at a time."""

    name: str
    every_s: float
    run: Callable[[], object]

    @property
    def lock_id(self) -> int:
        """Number of its advisory lock: one per name (crc32, shifted into PostgreSQL's signed range)."""
        return zlib.crc32(self.name.encode()) - 2**31


_handlers: dict[str, Handler] = {}
_tickers: dict[str, Ticker] = {}


def handler(topic: str) -> Callable[[Handler], Handler]:
    """Register ``fn(payload, message)`` for a topic.

    It is called at least once per message, outside any transaction, under the correlation id of the publisher. What it raises
    is retried with back-off. It holds up the messages behind it, so long work belongs in a Celery task.
    """

    def register(function: Handler) -> Handler:
        present = _handlers.setdefault(topic, function)
        if present is not function:
            raise ValueError(f"topic {topic!r} has a handler: {present.__module__}.{present.__qualname__}")
        return function

    return register


def handler_of(topic: str) -> Handler:
    try:
        return _handlers[topic]
    except KeyError:
        raise NoHandler(f"no handler is registered for topic {topic!r}") from None


def ticker(name: str, every_s: float) -> Callable[[Callable[[], object]], Callable[[], object]]:
    """Register a function that the relay calls every ``every_s`` seconds: drift-free, never overlapping with itself, and by one
    relay only however many run. What it raises is logged and counted; the next tick comes all the same."""
    if every_s <= 0:
        raise ValueError(f"ticker {name!r}: the period must be positive")

    def register(function: Callable[[], object]) -> Callable[[], object]:
        present = _tickers.setdefault(name, Ticker(name, every_s, function))
        if present.run is not function:
            raise ValueError(f"ticker {name!r} is registered twice")
        return function

    return register


def tickers() -> Mapping[str, Ticker]:
    return dict(_tickers)
