"""A light producer in a process of its own: keep-alive connections, requests made before the clock starts, nothing else.

Plain sockets and one loop, because client and server share the machine: a request costs this client some 30 µs, where the usual
client libraries cost more than the server.
"""

from __future__ import annotations

import http.client
import json
import selectors
import socket
import time
import uuid
from collections import Counter, deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from benchmarks.lineage_events import events

ANSWER_MAX = 65_536
PATIENCE_S = 60.0
POLL_S = 0.02


def send(
    *, url: str, key: str, count: int, seed: int, batch: int = 0, connections: int = 8, rate: float = 0.0
) -> dict[str, Any]:
    """Send ``count`` events, one a request or ``batch`` a request; ``rate``: events per second, 0 as fast as they are answered.

    Returns latencies in seconds, of a paced request from the moment it was due, so that a stall is charged to those behind it
    as well; answers by status; seconds from the first request to the last answer.
    """
    texts = [text.encode() for text in events(count, seed=seed)]
    path = "/api/v1/lineage"
    if batch:
        path += "/batch"
        texts = [b"[" + b",".join(texts[at : at + batch]) + b"]" for at in range(0, count, batch)]
    every_s = (batch or 1) / rate if rate else 0.0
    return Sender(url, path, key, connections).run(texts, every_s)


class Sender:
    """A closed loop over ``connections``, or with ``every_s`` one request each so many seconds on whichever is free."""

    def __init__(self, url: str, path: str, key: str, connections: int) -> None:
        parts = urlsplit(url)
        self.address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self.head = (
            f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {key}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()
        self.connections = connections
        self.statuses: Counter[str] = Counter()
        self.latencies: list[float] = []

    def run(self, bodies: Sequence[bytes], every_s: float) -> dict[str, Any]:
        selector = selectors.DefaultSelector()
        idle: deque[socket.socket] = deque()
        for _ in range(self.connections):
            connection = socket.create_connection(self.address, PATIENCE_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection, selectors.EVENT_READ)
            idle.append(connection)
        began: dict[socket.socket, float] = {}
        number = 0
        start = time.perf_counter()
        while number < len(bodies) or began:
            now = time.perf_counter()
            while idle and number < len(bodies) and now >= start + number * every_s:
                connection = idle.popleft()
                body = bodies[number]
                connection.sendall(self.head + str(len(body)).encode() + b"\r\n\r\n" + body)
                began[connection] = start + number * every_s if every_s else now
                number += 1
                now = time.perf_counter()
            wait_s = PATIENCE_S
            if idle and number < len(bodies):
                wait_s = max(0.0, start + number * every_s - now)
            ready = selector.select(wait_s)
            if not ready and wait_s == PATIENCE_S:
                raise RuntimeError(f"no answer within {PATIENCE_S:.0f} s")
            for found, _ in ready:
                connection = found.fileobj  # type: ignore[assignment]
                self.statuses[_status(connection)] += 1
                self.latencies.append(time.perf_counter() - began.pop(connection))
                idle.append(connection)
        seconds = time.perf_counter() - start
        for connection in idle:
            connection.close()
        return {"latencies": self.latencies, "statuses": dict(self.statuses), "seconds": seconds}


def _status(connection: socket.socket) -> str:
    """Read one answer to its end; its status."""
    answer = connection.recv(ANSWER_MAX)
    while b"\r\n\r\n" not in answer:
        answer += _more(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    missing = length - len(body)
    while missing > 0:
        missing -= len(_more(connection))
    return head[9:12].decode()


def _more(connection: socket.socket) -> bytes:
    got = connection.recv(ANSWER_MAX)
    if not got:
        raise RuntimeError("the server closed a connection in the middle of an answer")
    return got


def probe(*, url: str, key: str, reader: str, seconds: float) -> dict[str, Any]:
    """Twice a second an event that names a dataset nobody knows; seconds from its answer until the graph's API shows it."""
    client = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE_S)
    waits: list[float] = []
    answers: list[float] = []
    known = json.loads(next(events(1, seed=1)))
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        name = f"marker-{uuid.uuid4().hex}"
        changed = known | _marker(name)
        sent = time.perf_counter()
        client.request("POST", "/api/v1/lineage", json.dumps(changed), {"Authorization": f"Bearer {key}"})
        answer = client.getresponse()
        answer.read()
        answers.append(time.perf_counter() - sent)
        if answer.status != http.HTTPStatus.CREATED:
            raise RuntimeError(f"the marker was answered with {answer.status}")
        stored = time.perf_counter()
        address = f"/api/v1/lineage?nodeId={quote(f'dataset:marker:{name}', safe='')}&depth=1"
        while True:
            client.request("GET", address, headers={"Authorization": f"Bearer {reader}"})
            answer = client.getresponse()
            answer.read()
            if answer.status == http.HTTPStatus.OK:
                break
            if answer.status != http.HTTPStatus.NOT_FOUND or time.perf_counter() - stored > PATIENCE_S:
                raise RuntimeError(f"the marker did not come: {answer.status}")
            time.sleep(POLL_S)
        waits.append(time.perf_counter() - stored)
        time.sleep(max(0.0, began + 0.5 - time.perf_counter()))
    return {"waits": waits, "answers": answers}


def _marker(name: str) -> dict[str, Any]:
    return {
        "eventTime": datetime.now(UTC).isoformat(),
        "eventType": "COMPLETE",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": str(uuid.uuid4()), "facets": {}},
        "job": {"namespace": "marker", "name": "marker", "facets": {}},
        "inputs": [],
        "outputs": [{"namespace": "marker", "name": name, "facets": {}}],
    }
