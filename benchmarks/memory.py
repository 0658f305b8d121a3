"""Memory and processor time of everything that belongs to an installation."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import defaultdict
from pathlib import Path

import psutil

from benchmarks.installation import Installation

MARKS = (
    ("lineage", "--queues lineage"),
    ("worker", "celery -A controlplane worker"),
    ("beat", "celery -A controlplane beat"),
    ("relay", "manage.py relay"),
    ("web", "granian"),
    ("redis", "redis-server"),
    ("postgres", "postgres"),
    ("supervisor", "controlplane.embedded"),
)


class Watcher(threading.Thread):
    """Each second: the sum of the proportional set sizes (PSS) of all processes, PostgreSQL and Redis included.

    PSS counts a shared page once, divided among those that share it, so the sum is what the machine really holds.
    """

    def __init__(self, installation: Installation, every_s: float = 1.0) -> None:
        super().__init__(daemon=True)
        self.installation, self.every_s = installation, every_s
        self.peak_bytes = 0
        self.peak_by_program: dict[str, int] = {}
        self.largest: dict[str, int] = {}  # of each program, the most that one process held
        self.cpu: dict[int, tuple[str, float]] = {}
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.is_set():
            started = time.monotonic()
            self._sample()
            self._stopping.wait(max(0.05, self.every_s - (time.monotonic() - started)))

    def stop(self) -> None:
        self._stopping.set()
        self.join(timeout=10)
        self._sample()

    def cpu_by_program(self) -> dict[str, float]:
        """Processor seconds by program, of processes that ended before the last sample as well."""
        found: dict[str, float] = defaultdict(float)
        for name, seconds in self.cpu.values():
            found[name] += seconds
        return dict(found)

    def _processes(self) -> list[psutil.Process]:
        roots = [self.installation.process.pid] if self.installation.process else []
        # PostgreSQL and Redis have left the session of those who started them.
        roots += [int(pid) for pid in self.installation.services().get("pids", {}).values()]
        found: dict[int, psutil.Process] = {}
        for pid in roots:
            with contextlib.suppress(psutil.Error):
                root = psutil.Process(pid)
                for process in [root, *root.children(recursive=True)]:
                    found[process.pid] = process
        return list(found.values())

    def _sample(self) -> None:
        by_program: dict[str, int] = defaultdict(int)
        for process in self._processes():
            with contextlib.suppress(psutil.Error, OSError, ValueError):
                name = _program(process)
                held = pss_bytes(process.pid)
                by_program[name] += held
                self.largest[name] = max(held, self.largest.get(name, 0))
                times = process.cpu_times()
                self.cpu[process.pid] = (name, times.user + times.system)
        total = sum(by_program.values())
        if total > self.peak_bytes:
            self.peak_bytes, self.peak_by_program = total, dict(by_program)


def pss_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _program(process: psutil.Process) -> str:
    command = " ".join(process.cmdline())
    return next((name for name, mark in MARKS if mark in command), process.name())
