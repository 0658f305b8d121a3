"""The relay: delivers the outbox, runs the tickers, and says that it lives. Any number may run."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from types import FrameType

import structlog
from django.db import Error, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.functions import Now

from controlplane.outbox import selectors
from controlplane.outbox.delivery import deliver_due
from controlplane.outbox.models import Relay
from controlplane.outbox.registry import tickers
from controlplane.outbox.services import CHANNEL
from controlplane.outbox.ticking import TickerThread
from controlplane.telemetry.metrics import retire_dead

log = structlog.get_logger(__name__)

SWEEP_S = 2.0
RECONNECT_FIRST_S, RECONNECT_LIMIT_S = 0.2, 5.0


class RelayProcess:
    """``run`` works until ``stop`` (safe to call from a signal handler or another thread)."""

    def __init__(self, *, sweep_s: float = SWEEP_S) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident():x}"
        self.sweep_s = sweep_s
        self._stopping = threading.Event()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)

    def stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        self._stopping.set()
        os.write(self._wake_write, b"x")  # ends a wait in select

    def run(self) -> None:
        retire_dead()
        threads = [TickerThread(ticker, self._stopping) for ticker in tickers().values()]
        for thread in threads:
            thread.start()
        log.info("relay started", relay=self.name, tickers=sorted(thread.ticker.name for thread in threads))
        try:
            self._work_through_outages()
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join(timeout=10)
            self._forget()
            os.close(self._wake_read)
            os.close(self._wake_write)
            log.info("relay stopped", relay=self.name)

    def _work_through_outages(self) -> None:
        wait_s = RECONNECT_FIRST_S
        while not self._stopping.is_set():
            try:
                worked_since = time.monotonic()
                self._work()
            except (Error, OSError) as fault:
                if time.monotonic() - worked_since > RECONNECT_LIMIT_S:
                    wait_s = RECONNECT_FIRST_S
                log.warning("relay lost the database", error=str(fault).strip(), retry_in_s=wait_s)
                connection.close()
                self._stopping.wait(wait_s)
                wait_s = min(wait_s * 2, RECONNECT_LIMIT_S)

    def _work(self) -> None:
        """Deliver until stopped; raises when the database goes away."""
        # A connection of its own: notifications must not be swallowed by the queries of a delivery.
        listener = connection.copy()
        try:
            listener.ensure_connection()
            listener.cursor().execute(f"LISTEN {CHANNEL}")
            # What was published before LISTEN is found by the first pass, what comes after it by a notification.
            while not self._stopping.is_set():
                self._beat()
                while deliver_due() and not self._stopping.is_set():
                    pass
                self._wait(listener)
        finally:
            listener.close()

    def _wait(self, listener: BaseDatabaseWrapper) -> None:
        """Until a notification, the next due message, the sweep, or ``stop``."""
        raw = listener.connection
        due_s = selectors.next_due_s()
        timeout_s = self.sweep_s if due_s is None else min(max(due_s, 0.0), self.sweep_s)
        select.select([raw.fileno(), self._wake_read], [], [], timeout_s)
        for _ in raw.notifies(timeout=0):  # drained, so that many commits cause one pass; raises when the server is gone
            pass

    def _beat(self) -> None:
        if not Relay.objects.filter(name=self.name).update(beat_at=Now()):
            Relay.objects.get_or_create(name=self.name)

    def _forget(self) -> None:
        try:
            Relay.objects.filter(name=self.name).delete()
        except Error:
            log.warning("relay could not remove its heartbeat", relay=self.name)
        finally:
            connection.close()
