"""What a small refresh costs when the tables hold 400 days, against the same when they hold 10, at the same daily volume.

Each length has an installation of its own (PostgreSQL, Redis, lake), filled by the pipeline itself. Then small drops come in,
one minute of the live feed a round; and rounds in which a product's change of five days ago arrives late. A round is timed
from the arrival of its drops to the end of the last run: checked, planned, every step that follows, published. It is drained
in this process, without workers and without the least interval between refreshes, so that queueing does not hide the
difference; datasets that by default are refreshed every few minutes only (customer profile and what hangs on it) are
refreshed in every round as well.
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks import world as bench
from benchmarks.child import elsewhere
from benchmarks.figures import Figure, median
from benchmarks.installation import Installation
from benchmarks.progress import say
from benchmarks.settings import whole

LATE_S = 5 * 86_400
Files = list[tuple[str, str, bytes]]


def run() -> list[Figure]:
    short, long = whole("SHORT_DAYS", 10), whole("LONG_DAYS", 400)
    orders, rounds = whole("ORDERS_PER_DAY", 60), whole("ROUNDS", 7)
    few = elsewhere("history:scenario", days=short, orders=orders, rounds=rounds)
    many = elsewhere("history:scenario", days=long, orders=orders, rounds=rounds)
    figures = []
    for kind, title in (("small", "a small drop"), ("late", "a late dimension change")):
        figures.append(
            Figure(
                f"{title} on {long} days ({many['rows']:,} rows), median",
                median(many[kind]),
                "s",
                1.5,
                target_on_ratio=True,
                reference=median(few[kind]),
                runs=many[kind],
                note=f"reference: the same on {short} days ({few['rows']:,} rows); grew most: {_grown(few, many, kind)}",
            )
        )
    return figures


def _grown(few: dict[str, Any], many: dict[str, Any], kind: str) -> str:
    """The steps whose median duration grew most, in seconds."""
    more = {
        dataset: median(seconds) - median(few["steps"][kind].get(dataset, [0.0]))
        for dataset, seconds in many["steps"][kind].items()
    }
    worst = sorted(more.items(), key=lambda item: -item[1])[:4]
    return ", ".join(f"{dataset} {seconds:+.2f} s" for dataset, seconds in worst)


def scenario(*, days: int, orders: int, rounds: int) -> dict[str, Any]:
    """Fill an installation with ``days`` of history and time the rounds on it."""
    with Installation(programs=False) as installation, tempfile.TemporaryDirectory(prefix="touchstone-bench-drops-") as folder:
        installation.connect()
        from pipeline.demo.live import LiveWorld
        from pipeline.demo.world import World

        bench.contracts_ready()
        world = World(7, days, orders, "steady", bench.now(), True, order_slot_hours=24)
        world.write(Path(folder), truth=False)
        _receive([(path.parent.name, path.name, path.read_bytes()) for path in bench.in_order(Path(folder).glob("*/*"))])
        say(f"{days} days: {len(world.drops)} drops taken in")
        _drain(world.as_of)
        landed = bench.rows_landed()
        say(f"{days} days: {landed:,} rows are there")
        live = LiveWorld(world, events_per_minute=600, tick_s=60, faults=False, catch_up_s=10**9)
        found: dict[str, Any] = {"rows": landed, "small": [], "late": [], "steps": {}}
        moment = datetime.fromtimestamp(world.end_s // 60 * 60 + 60, UTC)
        live.drops(moment)  # begins the feed
        for kind in ("small", "late"):
            steps: dict[str, list[float]] = defaultdict(list)
            for number in range(rounds + 1):
                moment += timedelta(seconds=60)
                files = live.drops(moment) if kind == "small" else [_late_product(world, number, moment)]
                started = time.perf_counter()
                _receive(files)
                durations = _drain(moment)
                if number:  # the first round of a kind warms what is cached
                    found[kind].append(time.perf_counter() - started)
                    for dataset, seconds in durations.items():
                        steps[dataset].append(seconds)
            found["steps"][kind] = steps
            say(f"{days} days, {kind}: median {median(found[kind]):.2f} s")
    return found


def _late_product(world: Any, number: int, moment: datetime) -> tuple[str, str, bytes]:
    """A drop with one product whose cost changed five days before anybody said so."""
    from pipeline.demo.files import parquet_bytes

    product = world.products[number]
    product.cost += 13
    product.updated_at = int(moment.timestamp()) - LATE_S
    row = (*product.row(), 9_000_000_000 + number)
    return "products", f"products_late_{number}.parquet", parquet_bytes("products", [[value] for value in row])


def _receive(files: Files) -> None:
    from pipeline.services.landing import drop_receive

    for dataset, filename, content in files:
        drop_receive(dataset=dataset, filename=filename, content=content, source="benchmark")


def _drain(moment: datetime) -> dict[str, float]:
    """Run until nothing is left to do, as workers would; seconds by dataset. Raises RuntimeError when a step fails."""
    from pipeline.models import Step, StepState
    from pipeline.services.planning import run_plan
    from pipeline.services.steps import step_run

    spent: dict[str, float] = defaultdict(float)
    while (run := run_plan(as_of=moment, at_once=True)) is not None:
        while step := Step.objects.filter(run=run, state=StepState.READY).order_by("id").first():
            started = time.perf_counter()
            state = step_run(step_id=step.pk)
            if state != StepState.SUCCEEDED:
                raise RuntimeError(f"{step.dataset}: {Step.objects.get(pk=step.pk).error or state}")
            spent[step.dataset] += time.perf_counter() - started
    return spent
