"""One million rows of drops through Touchstone against the same SQL over the same files in bare DuckDB and delta-rs.

Ours is the wall time that a user sees: from the first drop renamed into the landing folder of a running installation (web, a
worker with two processes, beat, relay, PostgreSQL, Redis, default settings) to the end of the last run, every table written
and published, every KPI there. The reference is ``bare.py`` on the same machine in the same run, also with two threads,
decoding included. Both are repeated and compared by their medians. Datasets whose contract has them wait five minutes between
two refreshes (customer profile and what hangs on it; no KPI does) are refreshed by the first runs, but not waited for at
the end.
"""

from __future__ import annotations

import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import world as bench
from benchmarks.child import elsewhere
from benchmarks.figures import Figure, median
from benchmarks.installation import Installation
from benchmarks.memory import Watcher
from benchmarks.progress import say
from benchmarks.settings import whole


def run() -> list[Figure]:
    days, orders, times = whole("DAYS", 30), whole("ORDERS_PER_DAY", 800), whole("RUNS", 3)
    end = bench.now()
    ours: list[float] = []
    bare: list[float] = []
    with tempfile.TemporaryDirectory(prefix="touchstone-bench-drops-") as folder:
        elsewhere("pipeline_overhead:write", folder=folder, days=days, orders=orders, end=end.isoformat())
        for number in range(1, times + 1):
            with tempfile.TemporaryDirectory(prefix="touchstone-bench-bare-") as target:
                plain = elsewhere("bare:run", drops=folder, target=target, as_of=end.isoformat())
            bare.append(plain["seconds"])
            say(f"bare {number}: {plain['seconds']:.1f} s")
            full = elsewhere("pipeline_overhead:through", drops=folder)
            ours.append(full["seconds"])
            say(f"ours {number}: {full['seconds']:.1f} s; processor seconds: {full['cpu']}")
    differing = sorted(name for name, rows in full["rows"].items() if plain["rows"].get(name) != rows)
    return [
        Figure(
            f"{full['landed']:,} rows, landing to KPIs, median",
            median(ours),
            "s",
            2,
            target_on_ratio=True,
            reference=median(bare),
            runs=ours,
            note=f"reference: bare DuckDB + delta-rs ({', '.join(f'{one:.1f}' for one in bare)} s); {full['runs']} runs",
        ),
        Figure(
            "tables with another number of rows than the reference",
            len(differing),
            "tables",
            0,
            exact=True,
            note=", ".join(differing),
        ),
    ]


def write(*, folder: str, days: int, orders: int, end: str) -> None:
    """Make the drops."""
    from pipeline.demo.world import World

    world = World(7, days, orders, "steady", datetime.fromisoformat(end), True, order_slot_hours=12)
    world.write(Path(folder), truth=False)
    say(f"{sum(world.rows.values()):,} rows in {len(world.drops)} drops")


def through(*, drops: str) -> dict[str, Any]:
    """The drops through an installation of their own."""
    with Installation() as installation:
        installation.connect()
        from pipeline.models import Run
        from pipeline.services.gold import schema_of

        bench.contracts_ready()
        files = bench.in_order(Path(drops).glob("*/*"))
        watcher = Watcher(installation, every_s=5)
        watcher.start()
        started = time.monotonic()
        bench.land(files, installation.home / "landing")
        bench.wait_until_idle(drops=len(files))
        seconds = time.monotonic() - started - 0.5  # the rest that tells the end
        watcher.stop()
        landed = bench.rows_landed()
        return {
            "seconds": seconds,
            "landed": landed,
            "runs": Run.objects.count(),
            "rows": _table_rows(schema_of),
            "cpu": ", ".join(f"{name} {spent:.1f}" for name, spent in sorted(watcher.cpu_by_program().items())),
        }


def _table_rows(schema_of: Any) -> dict[str, int]:
    """Rows of every table that has been refreshed over everything, by dataset."""
    from catalog.selectors import contracts_current
    from controlplane.lake import services as lake
    from pipeline.services.steps import table_of

    found = {}
    slow = bench.slow_datasets()
    for name, contract in contracts_current().items():
        if name in slow:
            continue
        with lake.engine("duckdb").session() as session:
            session.register_table("t", table_of(contract), schema=schema_of(contract))
            found[name] = int(session.fetch("SELECT COUNT(*) AS n FROM t")["n"][0].as_py())
    return found
