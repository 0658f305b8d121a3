"""How fast events are taken in, and whether the graph keeps up: over HTTP, with a real key, on the processes of ``make up``.

The fold works on the same events at the same time. References are measured in the same run, when nothing else is under way: the
same bodies as single-row inserts on one bare psycopg connection, each committed, and through COPY, into a table with one key.
"""

from __future__ import annotations

import time
from itertools import count
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.child import elsewhere
from benchmarks.figures import Figure, median, percentile
from benchmarks.installation import Installation
from benchmarks.lineage_events import FIXTURES, events
from benchmarks.memory import Watcher
from benchmarks.progress import say
from benchmarks.settings import fraction, whole
from benchmarks.together import together

IDLE_PATIENCE_S = 300.0
MIB = 2**20
_seeds = count(1)


def run() -> list[Figure]:
    with Installation() as installation, psycopg.connect(installation.services()["database_url"], autocommit=True) as database:
        bench = _Bench(installation, database)
        bench.send(whole("WARM_EVENTS", 6000), batch=100, connections=2)
        bench.wait_until_folded()
        watcher = Watcher(installation)
        watcher.start()
        figures = [*bench.rates(), *bench.load()]
        watcher.stop()
        held = max(watcher.largest.values())
        largest = ", ".join(
            f"{one} {size / MIB:.0f}" for one, size in sorted(watcher.largest.items(), key=lambda item: -item[1])
        )
        figures.append(Figure("largest process", held / MIB, "MiB", 500, note=f"PSS of the largest process, MiB: {largest}"))
        return figures


class _Bench:
    def __init__(self, installation: Installation, database: psycopg.Connection[Any]) -> None:
        self.url, self.database = installation.url, database
        self.key = installation.manage("apikey", "create", "bench-producer", "--role", "producer", "--namespace", "*")
        self.reader = installation.key()
        database.execute("CREATE TABLE bench_bare (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL)")

    def send(self, number: int, **how: Any) -> dict[str, Any]:
        found: dict[str, Any] = elsewhere(
            "lineage_client:send", url=self.url, key=self.key, count=number, seed=next(_seeds), **how
        )
        return found

    def waiting(self) -> int:
        row = self.database.execute("SELECT count(*) FROM lineage_pending").fetchone()
        return int(row[0]) if row else 0

    def wait_until_folded(self) -> float:
        """Seconds until nothing waits; RuntimeError when that does not come."""
        started = time.monotonic()
        while self.waiting():
            if time.monotonic() - started > IDLE_PATIENCE_S:
                raise RuntimeError(f"{self.waiting()} events still wait after {IDLE_PATIENCE_S:.0f} s")
            time.sleep(0.1)
        return time.monotonic() - started

    # --- how fast

    def rates(self) -> list[Figure]:
        rounds, connections = whole("ROUNDS", 3), whole("CONNECTIONS", 8)
        singles, batched, size = whole("SINGLES", 4000), whole("BATCHED", 20_000), whole("BATCH", 100)
        ours: dict[str, list[float]] = {"single": [], "batch": []}
        bare: dict[str, list[float]] = {"single": [], "batch": []}
        answered: list[float] = []
        for at in range(rounds):
            say(f"round {at + 1} of {rounds}: bare inserts, single events, COPY, batches")
            bare["single"].append(self._inserts(singles // 2))
            found = self.send(singles, connections=connections)
            ours["single"].append(1e6 * found["seconds"] / singles)
            answered += found["latencies"]
            faults = {status: number for status, number in found["statuses"].items() if status != "201"}
            self.wait_until_folded()
            bare["batch"].append(self._copy(batched))
            found = self.send(batched, batch=size, connections=4)
            ours["batch"].append(1e6 * found["seconds"] / batched)
            faults |= {status: number for status, number in found["statuses"].items() if status != "204"}
            if faults:
                raise RuntimeError(f"events were not accepted: {faults}")
            self.wait_until_folded()
        bodies = self._bodies()
        return [
            Figure("single event, durable", median(ours["single"]), "µs", 2, True, median(bare["single"]), runs=ours["single"],
                   note=f"{connections} keep-alive connections, {1e6 / median(ours['single']):,.0f} events/s, p99 of an answer"
                        f" {1000 * percentile(answered, 0.99):.0f} ms; reference: bare inserts on one connection,"
                        f" {1e6 / median(bare['single']):,.0f}/s; {bodies}"),
            Figure("event of a batch, durable", median(ours["batch"]), "µs", 2, True, median(bare["batch"]), runs=ours["batch"],
                   note=f"{size} a request, {1e6 / median(ours['batch']):,.0f} events/s; reference: COPY,"
                        f" {1e6 / median(bare['batch']):,.0f}/s"),
        ]  # fmt: skip

    def _bodies(self) -> str:
        sample = [len(text) for text in events(2000, seed=1)]
        others = " and the compatibility fixtures" if FIXTURES.is_dir() else ""
        return f"bodies of {sum(sample) / len(sample):,.0f} bytes on average, own scenarios{others}"

    def _inserts(self, number: int) -> float:
        """Microseconds a row."""
        bodies = list(events(number, seed=next(_seeds)))
        started = time.perf_counter()
        for body in bodies:
            self.database.execute("INSERT INTO bench_bare (body) VALUES (%s)", [body])
        took = time.perf_counter() - started
        self._empty()
        return 1e6 * took / number

    def _copy(self, number: int) -> float:
        bodies = list(events(number, seed=next(_seeds)))
        started = time.perf_counter()
        with self.database.cursor() as cursor, cursor.copy("COPY bench_bare (body) FROM STDIN") as copy:
            for body in bodies:
                copy.write_row((body,))
        took = time.perf_counter() - started
        self._empty()
        return 1e6 * took / number

    def _empty(self) -> None:
        self.database.execute(sql.SQL("TRUNCATE bench_bare"))

    # --- whether the graph keeps up

    def load(self) -> list[Figure]:
        rate, seconds, size = whole("EVENTS_PER_SECOND", 1500), fraction("SECONDS", 60), whole("BATCH", 100)
        say(f"{rate} events/s in batches of {size} for {seconds:g} s, beside it single events that are looked for in the graph")
        sent, seen = together(
            ("lineage_client:send", {"url": self.url, "key": self.key, "count": int(rate * seconds), "seed": next(_seeds),
                                     "batch": size, "connections": 8, "rate": rate}),
            ("lineage_client:probe", {"url": self.url, "key": self.key, "reader": self.reader, "seconds": seconds}),
        )  # fmt: skip
        left = self.waiting()
        drained_s = self.wait_until_folded()
        faults = sum(number for status, number in sent["statuses"].items() if status != "204")
        batches, singles = 1000 * percentile(sent["latencies"], 0.99), 1000 * percentile(seen["answers"], 0.99)
        return [
            Figure(f"time to send {seconds:g} s of {rate} events/s", sent["seconds"], "s", seconds * 1.01,
                   note=f"{left} events waited when it ended, none {drained_s:.1f} s later"),
            Figure("time until nothing waits", drained_s, "s", 2, note="after the last of those answers"),
            Figure("answer under this load, batch, p99", batches, "ms", 100,
                   note=f"from when it was due; median {1000 * median(sent['latencies']):.0f} ms, slowest"
                        f" {1000 * max(sent['latencies']):.0f} ms"),
            Figure("answer under this load, single event, p99", singles, "ms", 100,
                   note=f"median {1000 * median(seen['answers']):.0f} ms, slowest {1000 * max(seen['answers']):.0f} ms"),
            Figure("answer to visible in the graph's API, slowest", max(seen["waits"]), "s", 2,
                   note=f"{len(seen['waits'])} events, median {median(seen['waits']):.2f} s, p95"
                        f" {percentile(seen['waits'], 0.95):.2f} s"),
            Figure("answers other than 204", faults, "answers", 0, exact=True),
        ]  # fmt: skip
