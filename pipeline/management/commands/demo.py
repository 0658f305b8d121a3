"""`manage.py demo`: the demo company from its first drop to its KPIs, and then on, live."""

from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Sum
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from catalog.services import contracts_sync
from controlplane.accounts.services import DEMO_PEOPLE, demo_users_ensure
from pipeline.console import console, quiet, wait_until_idle
from pipeline.demo.live import LiveWorld
from pipeline.demo.world import World
from pipeline.domain.code import ROOT
from pipeline.models import DatasetState, Drop, DropState, QuarantinedRow, SilverReject, Step
from pipeline.selectors_kpi import kpi_readings
from pipeline.services.landing_folder import landing_pending

LIVE_EVERY_S = 2
LIVE_EVENTS_PER_MIN = 600
# The order in which a company's systems are connected: what others refer to comes first.
FIRST = ("suppliers", "carriers", "promotions", "channels", "fx_rates", "products", "customers")


class Command(BaseCommand):
    help = "Generate the demo company, run the whole pipeline on it, print its KPIs; then keep it alive with live drops."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="stop after the KPI table")
        parser.add_argument("--seed", type=int, default=7)
        parser.add_argument("--days", type=int, default=30)
        parser.add_argument("--orders-per-day", type=int, default=200)

    def handle(self, *_: Any, **options: Any) -> None:
        quiet()
        started = time.monotonic()
        self.home = Path(settings.HOME) / "demo"
        self.home.mkdir(parents=True, exist_ok=True)
        self.prepare()
        world = self.world(options)
        self.land(world)
        wait_until_idle()
        self.print_kpis()
        self.print_summary(time.monotonic() - started)
        if not options["once"]:
            self.live(world)
        elif held := list(DatasetState.objects.filter(failures__gt=0).values_list("dataset", flat=True)):
            raise CommandError(f"these datasets failed: {', '.join(held)}; the run page and HOME/log/worker.log say why")

    def prepare(self) -> None:
        """Sign-ins and contracts; both may be there already."""
        self.sign_ins = demo_users_ensure()
        report = contracts_sync(folder=ROOT / "pipeline" / "contracts", actor="system:demo")
        for result in report.refused:
            console.print(f"[red]{result.filename}[/]: {'; '.join(result.messages)}")
        if report.refused:
            raise CommandError("the contracts above were refused")

    def world(self, options: dict[str, Any]) -> World:
        """The company's world: made once, its shape kept so that a later start resumes the same one."""
        plan_file = self.home / "world.json"
        if plan_file.exists():
            plan = json.loads(plan_file.read_text())
        else:
            end = datetime.now(UTC).replace(microsecond=0)
            plan = {
                "seed": options["seed"],
                "days": options["days"],
                "orders": options["orders_per_day"],
                "end": end.isoformat(),
            }
        end = datetime.fromisoformat(plan["end"])
        world = World(plan["seed"], plan["days"], plan["orders"], "steady", end, True, order_slot_hours=12)
        if not plan_file.exists():
            console.print(f"Generating {plan['days']} days of an e-commerce company, about {plan['orders']} orders a day …")
            shutil.rmtree(self.home / "drops", ignore_errors=True)
            world.write(self.home / "drops")
            plan_file.write_text(json.dumps(plan))
        return world

    def land(self, world: World) -> None:
        """Put every drop into the landing folder; what has landed before is recognised and left."""
        done_file = self.home / "landed"
        if done_file.exists():
            return
        files = [path for path in sorted((self.home / "drops").glob("*/*")) if path.is_file()]
        files.sort(key=lambda path: (FIRST.index(path.parent.name) if path.parent.name in FIRST else len(FIRST), path.name))
        before = Drop.objects.count()
        for path in files:
            put(path.read_bytes(), dataset=path.parent.name, filename=path.name)
        columns = (TextColumn("checking drops at the edge"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task("", total=len(files))
            while landing_pending():
                checked = Drop.objects.exclude(state=DropState.LANDED).count() - before
                progress.update(bar, completed=max(0, min(checked, len(files))))
                time.sleep(0.2)
            progress.update(bar, completed=len(files))
        done_file.touch()

    def print_kpis(self) -> None:
        table = Table("KPI", "Day", "Value", "Unit", "Change", "Freshness", title="Key figures")
        for reading in kpi_readings():
            value = "not defined" if reading.value is None else f"{reading.value:,f}".rstrip("0").rstrip(".")
            change = "" if reading.change is None else f"{reading.change:+.1%}"
            state = {"on_time": "On time", "late": "Late", "unknown": "Unknown"}[reading.freshness.state]
            table.add_row(reading.kpi.title, str(reading.business_date or "–"), value, reading.kpi.unit, change, state)
        console.print(table)

    def print_summary(self, seconds: float) -> None:
        drops = Drop.objects.count()
        landed = Drop.objects.filter(state=DropState.ACCEPTED).aggregate(rows=Sum("rows"))["rows"] or 0
        rejected = SilverReject.objects.exclude(state="resolved").count()
        quarantined = QuarantinedRow.objects.exclude(state="resolved").count()
        failed = Step.objects.filter(state="failed").count()
        console.print(
            f"{drops:,} drops, {landed:,} rows landed, {landed - rejected:,} accepted, {rejected:,} rejected,"
            f" {quarantined:,} quarantined, {seconds:.1f} seconds" + (f", [red]{failed} steps failed[/]" if failed else "")
        )

    def live(self, world: World) -> None:
        """A trickle of drops until Ctrl-C, so that figures move while somebody looks."""
        console.print(f"\nTouchstone is at [bold]{settings.BASE_URL}[/]. Sign in as one of:")
        roles = dict(DEMO_PEOPLE)
        for name, password in self.sign_ins:
            console.print(f"  {name:8} {password}   {roles[name].label}", highlight=False)
        console.print("Live drops arrive every few seconds. Ctrl-C stops everything.")
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        feed = LiveWorld(world, events_per_minute=LIVE_EVENTS_PER_MIN, tick_s=LIVE_EVERY_S, state=self.home / "live.json")
        while not stop.wait(LIVE_EVERY_S):
            for dataset, filename, content in feed.drops(datetime.now(UTC)):
                put(content, dataset=dataset, filename=filename)
            feed.save()


def put(content: bytes, *, dataset: str, filename: str) -> None:
    """Hand a file to the landing folder the way a careful sender does: written aside, then renamed into place."""
    folder = Path(settings.LANDING_DIR) / dataset
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{filename}.part"
    part.write_bytes(content)
    part.replace(folder / filename)
