"""Prometheus metrics of all processes behind one endpoint.

Every process (web, worker, relay) keeps its values in files under ``HOME/run/metrics`` and ``/metrics`` adds them up, so a
forked Celery child needs no port of its own. Declare metrics at module level:

>>> DROPS = counter("pipeline_drops_total", "Drops by outcome", "state")
>>> DROPS.inc(state="accepted")

The files are made on first use, so that short-lived commands leave none behind.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from django.conf import settings

if TYPE_CHECKING:
    import prometheus_client

__all__ = [
    "Counter",
    "Gauge",
    "Histogram",
    "counter",
    "exposition",
    "folder",
    "gauge",
    "histogram",
    "prepare",
    "retire_dead",
    "wipe",
]

PREFIX = "touchstone_"
LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
# Metrics that outlive the process that counted: gauges say what is, so those of a dead process are dropped.
_KEPT = ("counter", "histogram", "summary")
_ARCHIVE_PID = 0
_lock = threading.Lock()


def folder() -> Path:
    """Where this installation keeps the values of its processes."""
    return Path(settings.HOME) / "run" / "metrics"


def prepare() -> None:
    """Choose the client library's multi-process mode. It looks once, when it is imported, so this runs before any app does."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        folder().mkdir(parents=True, exist_ok=True)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder())


class _Metric:
    def __init__(self, name: str, documentation: str, labels: tuple[str, ...]) -> None:
        self.name = PREFIX + name
        self.documentation = documentation
        self.labels = labels


class Counter(_Metric):
    """Counts up."""

    @cached_property
    def _made(self) -> prometheus_client.Counter:
        import prometheus_client

        return prometheus_client.Counter(self.name, self.documentation, self.labels)

    def inc(self, amount: float = 1, **labels: str) -> None:
        with _lock:
            made = self._made
        (made.labels(**labels) if self.labels else made).inc(amount)


class Gauge(_Metric):
    """Says how much there is now. ``mode`` is how the values of several processes combine."""

    mode: Literal["mostrecent", "livesum", "max"] = "mostrecent"

    @cached_property
    def _made(self) -> prometheus_client.Gauge:
        import prometheus_client

        return prometheus_client.Gauge(self.name, self.documentation, self.labels, multiprocess_mode=self.mode)

    def set(self, value: float, **labels: str) -> None:
        with _lock:
            made = self._made
        (made.labels(**labels) if self.labels else made).set(value)


class Histogram(_Metric):
    """Distribution of a quantity, seconds unless its buckets say otherwise."""

    buckets: tuple[float, ...] = LATENCY_BUCKETS_S

    @cached_property
    def _made(self) -> prometheus_client.Histogram:
        import prometheus_client

        return prometheus_client.Histogram(self.name, self.documentation, self.labels, buckets=self.buckets)

    def observe(self, value: float, **labels: str) -> None:
        with _lock:
            made = self._made
        (made.labels(**labels) if self.labels else made).observe(value)

    @contextmanager
    def time(self, **labels: str) -> Iterator[None]:
        """Observe how long the block took, also when it raises."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.observe(time.perf_counter() - started, **labels)


def counter(name: str, documentation: str, *labels: str) -> Counter:
    """Declare a counter; ``name`` ends in ``_total``, the prefix ``touchstone_`` is added."""
    return Counter(name, documentation, labels)


def gauge(name: str, documentation: str, *labels: str, mode: Literal["mostrecent", "livesum", "max"] = "mostrecent") -> Gauge:
    made = Gauge(name, documentation, labels)
    made.mode = mode
    return made


def histogram(name: str, documentation: str, *labels: str, buckets: tuple[float, ...] = LATENCY_BUCKETS_S) -> Histogram:
    made = Histogram(name, documentation, labels)
    made.buckets = buckets
    return made


def exposition() -> tuple[bytes, str]:
    """The values of all processes in Prometheus' text format, and its content type."""
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=os.environ["PROMETHEUS_MULTIPROC_DIR"])  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST


def wipe() -> None:
    """Forget everything. Only for a supervisor, before it starts the first process."""
    for path in folder().glob("*.db"):
        path.unlink(missing_ok=True)


def retire_dead() -> int:
    """Fold the counts of processes that are gone into one archive, so that files stay few and counters never fall back.

    Called by each service process when it starts. Gauges of the dead are dropped. Returns how many files went.
    """
    home = folder()
    home.mkdir(parents=True, exist_ok=True)
    with (home / ".lock").open("w") as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # another process is at it
            return 0
        dead = [path for path in home.glob("*_*.db") if _is_dead(path)]
        for path in dead:
            kind = path.name.split("_")[0]
            if kind in _KEPT:
                _fold(path, home / f"{kind}_{_ARCHIVE_PID}.db")
            path.unlink(missing_ok=True)
    return len(dead)


def _is_dead(path: Path) -> bool:
    text = path.stem.rsplit("_", 1)[-1]
    if not text.isdigit() or int(text) == _ARCHIVE_PID:
        return False
    with suppress(PermissionError):  # it lives, under another account
        try:
            os.kill(int(text), 0)
        except ProcessLookupError:
            return True
    return False


def _fold(source: Path, archive: Path) -> None:
    from prometheus_client.mmap_dict import MmapedDict

    if source.stat().st_size == 0:  # its process died between making and filling it
        return
    total = MmapedDict(str(archive))  # type: ignore[no-untyped-call]
    try:
        for key, value, _time, _position in MmapedDict.read_all_values_from_file(str(source)):  # type: ignore[no-untyped-call]
            before, _ = total.read_value(key)  # type: ignore[no-untyped-call]
            total.write_value(key, before + value, 0.0)  # type: ignore[no-untyped-call]
    finally:
        total.close()  # type: ignore[no-untyped-call]
