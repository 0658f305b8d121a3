"""One thread per ticker of the relay."""

from __future__ import annotations

import threading
import time

import structlog
from django.db import Error, connection

from controlplane.outbox.domain.schedule import next_tick
from controlplane.outbox.registry import Ticker
from controlplane.telemetry.context import bind
from controlplane.telemetry.metrics import counter, histogram

log = structlog.get_logger(__name__)

# First half of the advisory lock's number, so that tickers cannot meet other users of advisory locks.
LOCK_CLASS = 0x70C4
TICKS = counter("relay_ticks_total", "Ticks by outcome", "ticker", "outcome")
DURATION = histogram("relay_tick_seconds", "Time one tick took", "ticker")


class TickerThread(threading.Thread):
    """Calls a ticker each period while this relay holds its lock.

    The lock is PostgreSQL's, held by the connection of this thread between ticks as well, so that one relay keeps the ticker
    until it stops or loses the database, and another takes over within a period. Needs a session of its own: not behind a
    pooler in transaction mode.
    """

    def __init__(self, ticker: Ticker, stopping: threading.Event) -> None:
        super().__init__(name=f"ticker-{ticker.name}", daemon=True)
        self.ticker = ticker
        self._stopping = stopping
        self._locked_on: object = None

    def run(self) -> None:
        started = time.monotonic()
        try:
            while not self._stopping.is_set():
                self.tick()
                due = next_tick(started=started, every_s=self.ticker.every_s, now=time.monotonic())
                self._stopping.wait(max(due - time.monotonic(), 0.0))
        finally:
            connection.close()  # gives the lock back

    def tick(self) -> bool:
        """One tick; False when another relay has this ticker or it failed."""
        try:
            if not self._holds_lock():
                return False
            with bind(ticker=self.ticker.name), DURATION.time(ticker=self.ticker.name):
                self.ticker.run()
        except Exception as fault:
            TICKS.inc(ticker=self.ticker.name, outcome="failed")
            log.exception("tick failed", ticker=self.ticker.name)
            if isinstance(fault, Error) and not connection.is_usable():
                connection.close()  # the next tick connects anew
            return False
        TICKS.inc(ticker=self.ticker.name, outcome="succeeded")
        return True

    def _holds_lock(self) -> bool:
        connection.ensure_connection()
        if self._locked_on is connection.connection:
            return True  # session locks are re-entrant: asking again would only count up
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK_CLASS, self.ticker.lock_id])
            (held,) = cursor.fetchone()
        self._locked_on = connection.connection if held else None
        return bool(held)
