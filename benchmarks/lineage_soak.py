"""A million events while processes are killed at random: none lost, none doubled, and the graph of an undisturbed run.

Batches with repetitions go over HTTP into a running installation. Meanwhile the worker that folds, a second projector,
the relay, and the web server or its worker process are killed with SIGKILL, one every few seconds; the supervisor starts them
again. Producers do what OpenLineage clients do: they send again what was not answered, and wait when told to. Afterwards the
stored events are compared with those sent, and the graph, row by row of every projected table, with the one that the same
stored events give when nothing is killed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import psutil
import psycopg
from psycopg import sql

from benchmarks.child import elsewhere
from benchmarks.figures import Figure
from benchmarks.installation import Installation
from benchmarks.progress import say
from benchmarks.settings import fraction, whole
from controlplane.embedded.home import ROOT

# What is killed, more often what holds more work. Mean seconds between two kills: KILL_EVERY.
TARGETS = ("lineage", "lineage", "projector", "projector", "web worker", "web worker", "relay", "web")
# A younger process is spared: one that always dies while it starts does nothing that could go wrong.
LEAST_AGE_S = 15.0
FOLD_PATIENCE_S = 1800.0


def run() -> list[Figure]:
    number = whole("EVENTS", 1_000_000)
    with Installation() as installation:
        key = installation.manage("apikey", "create", "soak", "--role", "producer", "--namespace", "*")
        say(f"{number:,} events in batches, processes killed every {fraction('KILL_EVERY', 8):g} s or so")
        started = time.monotonic()
        chaos = Chaos(installation)
        chaos.start()
        try:
            sent = elsewhere("lineage_producers:produce", url=installation.url, key=key, count=number, seed=whole("SEED", 1))
            say(f"all answered after {time.monotonic() - started:.0f} s; still killing while the rest is folded")
            with psycopg.connect(installation.services()["database_url"], autocommit=True) as database:
                chaos.stop_when(lambda: _waiting(database) < number // 100)
                _wait_until_folded(database, chaos)
        finally:
            chaos.stop()
        chaotic_s = time.monotonic() - started
        installation.restart(programs=False)
        with psycopg.connect(installation.services()["database_url"], autocommit=True) as database:
            return _judge(installation, database, sent, chaos, chaotic_s)


def _judge(
    installation: Installation, database: psycopg.Connection[Any], sent: dict[str, Any], chaos: Chaos, chaotic_s: float
) -> list[Figure]:
    stored, digest, ledger, refused = _one(
        database,
        "SELECT count(*), coalesce(sum(('x' || left(md5(body), 15))::bit(60)::bigint), 0)::text,"
        " (SELECT count(*) FROM lineage_eventidentity), (SELECT count(*) FROM lineage_quarantine) FROM lineage_event",
    )
    tables = _tables(installation)
    disturbed = _graph(database, tables)
    say("the same events folded again, with nothing killed")
    started = time.monotonic()
    _fold_anew(installation, database, tables)
    clean_s = time.monotonic() - started
    clean = _graph(database, tables)
    differing = sorted(name for name in clean if clean[name] != disturbed[name])
    rows = sum(count for count, _ in clean.values())
    kills = ", ".join(f"{name} {times}" for name, times in sorted(chaos.kills.items()))
    statuses = ", ".join(f"{name} {times}" for name, times in sorted(sent["statuses"].items()))
    same = int(int(digest) == int(sent["digest"]))
    return [
        Figure("events sent", sent["distinct"], "events", note=f"with {sent['repeated']:,} repetitions; answers: {statuses}"),
        Figure("processes killed", sum(chaos.kills.values()), "kills", note=kills),
        Figure("events lost or doubled in the store", abs(sent["distinct"] - stored), "events", 0, exact=True,
               note=f"{stored:,} stored, {ledger:,} identities"),
        Figure("bodies are those that were sent (1: yes)", same, "", 1, exact=True),
        Figure("identities without an event", abs(ledger - stored), "rows", 0, exact=True),
        Figure("events refused or set aside", refused, "events", 0, exact=True),
        Figure("tables that differ from the undisturbed run", len(differing), "tables", 0, exact=True,
               note=f"{len(clean)} tables, {rows:,} rows" + (f"; differing: {', '.join(differing)}" if differing else "")),
        Figure("first event to last fold, with kills", chaotic_s, "s", note=f"undisturbed, from the store: {clean_s:.0f} s"),
    ]  # fmt: skip


def _one(database: psycopg.Connection[Any], query: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = database.execute(query).fetchone()
    if row is None:
        raise RuntimeError(f"no row from {query}")
    return row


def _waiting(database: psycopg.Connection[Any]) -> int:
    return int(_one(database, "SELECT count(*) FROM lineage_pending")[0])


def _wait_until_folded(database: psycopg.Connection[Any], chaos: Chaos) -> None:
    deadline = time.monotonic() + FOLD_PATIENCE_S
    while waiting := _waiting(database):
        chaos.look()
        if time.monotonic() > deadline:
            raise RuntimeError(f"{waiting} events still wait after {FOLD_PATIENCE_S:.0f} s")
        time.sleep(0.5)


def _tables(installation: Installation) -> list[str]:
    """Names of the projected tables, from another process: Django is not set up in this one."""
    program = "from lineage.models import PROJECTED; print(*[model._meta.db_table for model in PROJECTED])"
    return installation.manage("shell", "--no-imports", "--command", program).split()


def _graph(database: psycopg.Connection[Any], tables: list[str]) -> dict[str, tuple[int, str]]:
    """Rows and content hash of every projected table, in no order. Nothing is left out."""
    found = {}
    for name in tables:
        query = "SELECT count(*), concat(sum(hashtextextended(t::text, 0)), ' ', sum(hashtextextended(t::text, 1))) FROM {} t"
        row = database.execute(sql.SQL(query).format(sql.Identifier(name))).fetchone()
        found[name] = (int(row[0]), str(row[1])) if row else (0, "")
    return found


def _fold_anew(installation: Installation, database: psycopg.Connection[Any], tables: list[str]) -> None:
    """Empty the graph, let every stored event wait again, and fold: two projectors, as there are two cores, undisturbed."""
    with database.transaction():
        database.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(map(sql.Identifier, tables))))
        database.execute("INSERT INTO lineage_pending SELECT id, recorded_at, octet_length(body) FROM lineage_event")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: installation.manage("lineage", "project"), range(2)))
    if left := _waiting(database):
        raise RuntimeError(f"{left} events were not folded")


class Chaos(threading.Thread):
    """Kills one process every few seconds, and keeps a second projector running."""

    def __init__(self, installation: Installation) -> None:
        super().__init__(daemon=True)
        self.installation = installation
        self.kills: Counter[str] = Counter()
        self._rng = random.Random(whole("SEED", 1))
        self._every_s = fraction("KILL_EVERY", 8)
        self._stopping = threading.Event()
        self._enough: Any = None
        self._projector: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        due = time.monotonic() + self._every_s
        while not self._stopping.wait(0.2):
            self._keep_projecting()
            if time.monotonic() >= due:
                self._kill(self._rng.choice(TARGETS))
                due = time.monotonic() + self._rng.uniform(0.5, 1.5) * self._every_s

    def stop_when(self, enough: Any) -> None:
        self._enough = enough

    def look(self) -> None:
        """Stop killing when there is nothing left to disturb."""
        if self._enough is not None and self._enough():
            self._enough = None
            self.stop()

    def stop(self) -> None:
        self._stopping.set()
        if self.is_alive():
            self.join(30)
        if self._projector is not None:
            self._projector.terminate()
            self._projector.wait()
            self._projector = None

    def _keep_projecting(self) -> None:
        if self._projector is None or self._projector.poll() is not None:
            command = [sys.executable, "manage.py", "lineage", "project"]
            self._projector = subprocess.Popen(
                command, cwd=ROOT, env=self.installation.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )

    def _kill(self, name: str) -> None:
        pid = self._pid(name)
        if pid is None:
            return
        with suppress(ProcessLookupError, psutil.Error):
            if time.time() - psutil.Process(pid).create_time() > LEAST_AGE_S:
                os.kill(pid, signal.SIGKILL)
                self.kills[name] += 1

    def _pid(self, name: str) -> int | None:
        if name == "projector":
            return self._projector.pid if self._projector else None
        with suppress(OSError, ValueError, KeyError, psutil.Error):
            children = json.loads((self.installation.home / "run" / "supervisor.json").read_text())["children"]
            pid = int(children[name.split(maxsplit=1)[0]]["pid"])
            if name != "web worker":
                return pid
            below = psutil.Process(pid).children(recursive=True)
            return below[-1].pid if below else None
        return None
