"""``python -m pipeline.demo OUT``: write a world of drops with its ground truth and print what it holds."""

from __future__ import annotations

import argparse
import time
from datetime import UTC, date, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipeline.demo.truth import Truth
from pipeline.demo.world import World


def _end(text: str) -> date | datetime:
    if text == "now":
        return datetime.now(UTC).replace(microsecond=0)
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="python -m pipeline.demo", description=__doc__)
    found.add_argument("out", type=Path, metavar="OUT", help="folder to write to (one folder per dataset, and truth.json)")
    found.add_argument("--seed", type=int, default=7)
    found.add_argument("--days", type=int, default=30, help="business days (default 30)")
    found.add_argument("--orders-per-day", type=int, default=200, help="about so many orders a day (default 200)")
    found.add_argument("--profile", choices=("steady", "peak"), default="steady")
    found.add_argument(
        "--end", type=_end, default="now", help="last day (2026-11-20), an instant with a zone, or now (default)"
    )
    found.add_argument("--slot-hours", type=int, default=6, help="hours between two drops of the order system (default 6)")
    found.add_argument("--no-faults", action="store_true", help="plant no faults")
    found.add_argument("--no-truth", action="store_true", help="do not compute truth.json")
    return found


def _summary(console: Console, truth: Truth) -> None:
    columns = ("drops", "refused", "twice", "landed", "accepted", "rejected", "superseded", "silver")
    table = Table("dataset", *columns, title="What the company sent, and what must become of it")
    for name in columns:
        table.columns[1 + columns.index(name)].justify = "right"
    for name, one in truth.datasets.items():
        figures = (
            one.drops_accepted,
            one.drops_refused,
            one.drops_duplicate,
            one.rows_landed,
            one.rows_accepted,
            one.rows_rejected,
            one.rows_superseded,
            one.rows_silver,
        )
        table.add_row(name, *(f"{figure:,}" for figure in figures))
    console.print(table)
    kpis = Table("KPI", "last day", "value", "numerator", "denominator", title=f"KPIs as of {truth.as_of}")
    for name, days in truth.kpis.items():
        defined = [(day, kpi) for day, kpi in days.items() if kpi.value is not None]
        if defined:
            day, kpi = defined[-1]
            kpis.add_row(name, day, str(kpi.value), str(kpi.numerator), str(kpi.denominator))
    console.print(kpis)
    console.print("Planted: " + ", ".join(f"{name} {count}" for name, count in truth.planted.items()))


def main(argv: list[str] | None = None) -> int:
    given = parser().parse_args(argv)
    console = Console()
    started = time.monotonic()
    world = World(
        given.seed,
        given.days,
        given.orders_per_day,
        given.profile,
        given.end,
        not given.no_faults,
        order_slot_hours=given.slot_hours,
    )
    truth = world.write(given.out, truth=not given.no_truth)
    if truth is not None:
        _summary(console, truth)
    rows = sum(world.rows.values())
    console.print(f"{len(world.drops):,} drops, {rows:,} rows in {given.out}, {time.monotonic() - started:.1f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
