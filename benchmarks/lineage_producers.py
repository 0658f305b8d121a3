"""Producers that do not give up, for the soak: four threads, with batches that repeat what was sent before."""

from __future__ import annotations

import hashlib
import http.client
import random
import threading
import time
from collections import Counter, deque
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from benchmarks.lineage_events import events

PRODUCERS = 4
BATCH = 200
REPEATED = 10  # events of a batch that were sent before
WHOLE_AGAIN = 0.03  # share of batches sent twice though they were answered
TIMEOUT_S = 30.0
GIVE_UP_S = 600.0


def produce(*, url: str, key: str, count: int, seed: int) -> dict[str, Any]:
    """Send ``count`` different events, each until it is accepted.

    Returns what was sent: ``distinct``, ``repeated``, ``digest`` (the sum of the first 60 bits of each body's MD5), and
    ``statuses`` of all answers.
    """
    return _Producers(url, key, count, seed).run()


class _Producers:
    def __init__(self, url: str, key: str, count: int, seed: int) -> None:
        self.netloc, self.key = urlsplit(url).netloc, key
        self.lock = threading.Lock()
        self.source = events(count, seed=seed)
        self.rng = random.Random(seed)
        self.recent: deque[str] = deque(maxlen=20_000)
        self.statuses: Counter[str] = Counter()
        self.distinct = self.repeated = self.digest = 0
        self.faults: list[str] = []

    def run(self) -> dict[str, Any]:
        threads = [threading.Thread(target=self._work) for _ in range(PRODUCERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.faults:
            raise RuntimeError(self.faults[0])
        return {
            "distinct": self.distinct,
            "repeated": self.repeated,
            "digest": str(self.digest),
            "statuses": dict(self.statuses),
        }

    def _work(self) -> None:
        connection: http.client.HTTPConnection | None = None
        try:
            while batches := self._next():
                for body in batches:
                    connection = self._deliver(connection, body)
        except Exception as error:
            self.faults.append(f"{type(error).__name__}: {error}")

    def _next(self) -> list[bytes]:
        """One batch to send, or the same twice; nothing when all is sent or a producer gave up."""
        with self.lock:
            fresh = [text for _, text in zip(range(BATCH - REPEATED), self.source, strict=False)]
            if not fresh or self.faults:
                return []
            for text in fresh:
                self.digest += int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:15], 16)
            again = self.rng.choices(self.recent, k=REPEATED) if self.recent else []
            self.recent.extend(fresh)
            times = 2 if self.rng.random() < WHOLE_AGAIN else 1
            self.distinct += len(fresh)
            self.repeated += times * (len(fresh) + len(again)) - len(fresh)
            sent = [*fresh, *again]
            self.rng.shuffle(sent)
        return [("[" + ",".join(sent) + "]").encode()] * times

    def _deliver(self, connection: http.client.HTTPConnection | None, body: bytes) -> http.client.HTTPConnection:
        """Send until it is accepted, as producers do: again after a broken connection, later when told so."""
        deadline = time.monotonic() + GIVE_UP_S
        while time.monotonic() < deadline:
            try:
                connection = connection or http.client.HTTPConnection(self.netloc, timeout=TIMEOUT_S)
                connection.request("POST", "/api/v1/lineage/batch", body, {"Authorization": f"Bearer {self.key}"})
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self._count(type(error).__name__)
                if connection is not None:
                    connection.close()
                connection = None
                time.sleep(0.2)
                continue
            self._count(str(answer.status))
            if answer.status == HTTPStatus.NO_CONTENT:
                return connection
            if answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                raise RuntimeError(f"a batch was answered with {answer.status}: {text[:500]!r}")
            time.sleep(min(5.0, float(answer.headers.get("Retry-After", 1))))
        raise RuntimeError(f"a batch was not accepted within {GIVE_UP_S:.0f} s")

    def _count(self, what: str) -> None:
        with self.lock:
            self.statuses[what] += 1
