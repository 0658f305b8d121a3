"""How long after a drop has landed its figures are to be had, at 50,000 events a minute.

The latency of a drop runs from its rename into the landing folder to the first answer of ``GET /api/v1/kpis`` in which
every KPI that the drop's run refreshed carries that run or a later one. The answers come from a reader with an API key that
asks four times a second, over HTTP; which run took a drop, and which KPIs it refreshed, is read from the database when all
is over. So a drop counts when its last KPI shows it, not its first. Drops are made before the clock starts, so that the feed
costs nothing while the pipeline is measured.

What must hold besides: Bronze accepted as many rows as were sent, and Silver holds and rejects per dataset what the ground
truth (plain Python over the same files) counts.
"""

from __future__ import annotations

import bisect
import json
import tempfile
import threading
import time
import urllib.request
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks import world as bench
from benchmarks.figures import Figure, median, percentile
from benchmarks.installation import Installation
from benchmarks.memory import Watcher
from benchmarks.progress import say
from benchmarks.settings import fraction, whole

DOCUMENT_MEDIAN_S = 138.0  # 2.3 minutes at 50,000 events a minute, requirements.md
POLL_S = 0.25
TICK_S = 5
GIB = 2**30


@dataclass
class Sent:
    """A drop on its way. ``at``: POSIX time of the rename."""

    dataset: str
    path: Path
    due: float
    at: float = 0.0


class Reader(threading.Thread):
    """Asks for the KPIs again and again and notes when each of them first showed which run."""

    def __init__(self, url: str, key: str) -> None:
        super().__init__(daemon=True)
        self.request = urllib.request.Request(f"{url}/api/v1/kpis", headers={"Authorization": f"Bearer {key}"})
        self.seen: dict[str, dict[str, float]] = defaultdict(dict)  # dataset → run → POSIX time
        self.faults: Counter[str] = Counter()
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.wait(POLL_S):
            try:
                with urllib.request.urlopen(self.request, timeout=10) as answer:
                    found = json.loads(answer.read())
            except (OSError, ValueError) as error:
                self.faults[type(error).__name__] += 1
                continue
            now = time.time()
            for one in found["kpis"]:
                if one["run"]:
                    self.seen[one["dataset"]].setdefault(one["run"], now)

    def stop(self) -> None:
        self._stopping.set()
        self.join(timeout=15)


def run() -> list[Figure]:
    minutes, rate = fraction("MINUTES", 10), whole("EVENTS_PER_MINUTE", 50_000)
    days, orders = whole("DAYS", 14), whole("ORDERS_PER_DAY", 600)
    with Installation() as installation, tempfile.TemporaryDirectory(prefix="touchstone-bench-drops-") as folder:
        installation.connect()
        return _measure(installation, Path(folder), minutes=minutes, rate=rate, days=days, orders=orders)


def _measure(installation: Installation, folder: Path, *, minutes: float, rate: int, days: int, orders: int) -> list[Figure]:
    from pipeline.demo.world import World

    bench.contracts_ready()
    landing = installation.home / "landing"
    world = World(7, days, orders, "steady", bench.now(), True, order_slot_hours=12)
    world.write(folder / "base", truth=False)
    base = bench.in_order((folder / "base").glob("*/*"))
    say(f"loading {days} days of history: {len(base)} drops")
    bench.land(base, landing)
    bench.wait_until_idle(drops=len(base))
    sent, rows = _prepare(world, folder / "live", minutes=minutes, rate=rate)
    say(f"sending {rows:,} events in {len(sent)} drops over {minutes:g} minutes")
    watcher, reader = Watcher(installation), Reader(installation.url, installation.key())
    watcher.start()
    reader.start()
    try:
        _send(sent, landing)
        say("all sent; waiting for the last figures")
        bench.wait_until_idle(drops=len(base) + len(sent), timeout_s=900)
        time.sleep(2 * POLL_S + 1)
    finally:
        reader.stop()
        watcher.stop()
    latencies = _latencies(sent, reader)
    faults = _wrong(base, sent, rows)
    _tell(watcher, reader, latencies)
    found = [value for values in latencies.values() for value in values]
    p95 = percentile(found, 0.95)
    shares = ", ".join(f"{name} {size / 2**20:,.0f} MiB" for name, size in sorted(watcher.peak_by_program.items()))
    return [
        Figure("drop landed to KPI visible, median", median(found), "s", 10, reference=DOCUMENT_MEDIAN_S,
               note=f"reference: the source document's median at this rate; {len(found)} drops, {rows:,} events"),
        Figure("drop landed to KPI visible, p95", p95, "s", 15, note=f"slowest {number_of(found)}"),
        Figure("drops whose figures never showed", len(sent) - len(found), "drops", 0, exact=True),
        Figure("datasets with rows lost or wrong", len(faults), "datasets", 0, exact=True, note="; ".join(faults)[:500]),
        Figure("peak memory of all processes", watcher.peak_bytes / GIB, "GiB", 3, note=shares),
    ]  # fmt: skip


def number_of(values: list[float]) -> str:
    return f"{max(values):.1f} s" if values else "none"


def _prepare(world: Any, folder: Path, *, minutes: float, rate: int) -> tuple[list[Sent], int]:
    """Make every drop of the coming minutes, each to be sent when its tick ends."""
    from pipeline.demo.live import LiveWorld

    live = LiveWorld(world, events_per_minute=rate, tick_s=TICK_S)
    ticks = max(1, round(minutes * 60 / TICK_S))
    allowance_s = 3 + ticks // 4  # making them takes a while itself
    first = datetime.fromtimestamp((time.time() + allowance_s) // TICK_S * TICK_S, UTC)
    sent = []
    for tick in range(1, ticks + 1):
        due = first + timedelta(seconds=TICK_S * tick)
        for dataset, filename, content in live.drops(due):
            path = folder / dataset / filename
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            sent.append(Sent(dataset, path, due.timestamp()))
    return sent, live.rows_sent


def _send(sent: list[Sent], landing: Path) -> None:
    late = 0.0
    for one in sent:
        wait_s = one.due - time.time()
        if wait_s > 0:
            time.sleep(wait_s)
        late = max(late, -wait_s)
        bench.land([one.path], landing)
        one.at = time.time()
    if late > TICK_S:
        say(f"the feed itself was up to {late:.1f} s behind its clock")


def _latencies(sent: list[Sent], reader: Reader) -> dict[str, list[float]]:
    """Dataset → seconds of each drop whose figures showed."""
    from pipeline.models import Drop, Run, Step

    runs = {str(uuid): started.timestamp() for uuid, started in Run.objects.values_list("uuid", "started_at")}
    shown: dict[str, tuple[list[float], list[float]]] = {}
    for dataset, seen in reader.seen.items():
        # The earliest sight of a run or any later one.
        pairs = sorted((runs[run], at) for run, at in seen.items())
        for place in range(len(pairs) - 2, -1, -1):
            pairs[place] = (pairs[place][0], min(pairs[place][1], pairs[place + 1][1]))
        shown[dataset] = ([begun for begun, _ in pairs], [at for _, at in pairs])
    refreshed: dict[int, set[str]] = defaultdict(set)
    for run, dataset in Step.objects.filter(state="succeeded", dataset__in=list(shown)).values_list("run_id", "dataset"):
        refreshed[run].add(dataset)
    took: dict[int | None, tuple[int, float]] = {}
    steps = Step.objects.filter(state="succeeded", bronze_files__isnull=False).order_by("-id")
    for file, step_run, begun in steps.values_list("bronze_files", "run_id", "run__started_at"):
        took[file] = (step_run, begun.timestamp())  # the first step that took the file stays
    file_of: dict[str, int | None] = dict(Drop.objects.values_list("filename", "bronze_file"))
    below = _kpis_below()
    found: dict[str, list[float]] = defaultdict(list)
    for one in sent:
        bronze = file_of.get(one.path.name)
        if bronze not in took:
            continue
        taken_by, started = took[bronze]
        wanted = refreshed[taken_by] & below[one.dataset]
        moments = [_first(shown[dataset], started) for dataset in wanted]
        if moments and None not in moments:
            found[one.dataset].append(max(moment for moment in moments if moment) - one.at)
        elif not wanted:
            found[one.dataset].append(_run_end(taken_by) - one.at)  # no KPI follows from it (an unchanged rate): its run's end
    return found


def _first(shown: tuple[list[float], list[float]], started: float) -> float | None:
    place = bisect.bisect_left(shown[0], started - 1e-6)
    return shown[1][place] if place < len(shown[1]) else None


def _run_end(run: int) -> float:
    from pipeline.models import Run

    ended = Run.objects.get(pk=run).finished_at
    return ended.timestamp() if ended else float("nan")


def _kpis_below() -> dict[str, set[str]]:
    """Dataset → the KPIs that follow from it."""
    from catalog.selectors import contracts_current
    from pipeline.domain.dag import Dag

    contracts = contracts_current()
    dag = Dag(contracts)
    return {name: {one for one in dag.closure([name]) if contracts[one].kpi} for name in contracts}


def _wrong(base: list[Path], sent: list[Sent], rows: int) -> list[str]:
    """Datasets whose counts differ from the ground truth."""
    from catalog.selectors import contracts_current
    from controlplane.lake import services as lake
    from pipeline.demo.files import Drop as Made
    from pipeline.demo.truth import compute
    from pipeline.models import SilverReject
    from pipeline.services.gold import schema_of
    from pipeline.services.steps import table_of

    say("counting everything again in plain Python")
    names = [one.path.name for one in sent]
    landed = bench.rows_landed(filename__in=names)
    faults = [] if landed == rows else [f"live: {landed:,} rows landed of {rows:,} sent"]
    moment = datetime.now(UTC)
    made = [Made(path.parent.name, path, moment) for path in (*base, *(one.path for one in sent))]
    truth = compute(made, as_of=moment)
    for dataset, one in truth.datasets.items():
        contract = contracts_current()[dataset]
        with lake.engine("duckdb").session() as session:
            session.register_table("t", table_of(contract), schema=schema_of(contract))
            silver = session.fetch("SELECT COUNT(*) AS n FROM t")["n"][0].as_py()
        rejected = SilverReject.objects.filter(dataset=dataset).exclude(state="resolved").count()
        for what, found, wanted in (("Silver rows", silver, one.rows_silver), ("rejects", rejected, one.rows_rejected)):
            if found != wanted:
                faults.append(f"{dataset}: {found:,} {what}, truth says {wanted:,}")
    return faults


def _tell(watcher: Watcher, reader: Reader, latencies: dict[str, list[float]]) -> None:
    from pipeline.models import Run

    for dataset, values in sorted(latencies.items()):
        say(f"{dataset:<14} {len(values):4} drops, median {median(values):5.1f} s, p95 {percentile(values, 0.95):5.1f} s")
    durations = [(run.finished_at - run.started_at).total_seconds() for run in Run.objects.all() if run.finished_at]
    say(f"{len(durations)} runs, median {median(durations):.1f} s; failed polls: {dict(reader.faults) or 'none'}")
    spent = sorted(watcher.cpu_by_program().items(), key=lambda item: -item[1])
    say("processor seconds: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in spent))
