"""``manage.py lineage status | project | rebuild``."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from lineage import selectors, services


class Command(BaseCommand):
    help = "The event store and the graph folded out of it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        actions.add_parser("status", help="counts of the store and the graph, events that wait, lag")
        actions.add_parser("project", help="fold the waiting events now, without a worker")
        actions.add_parser(
            "rebuild", help="fold all stored events again; readers see the old graph until the new one is complete"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, options["action"])()

    def status(self) -> None:
        services.partitions_ensure()
        for name, count in selectors.status().items():
            self.stdout.write(f"{name:16} {count:12,}")
        pending, lag_s = services.pending_measure()
        self.stdout.write(f"{pending} events wait, the oldest for {lag_s:.1f} s")

    def project(self) -> None:
        total = poison = 0
        while True:
            done = services.pending_project()
            if not done.events and not done.poison:
                break
            total, poison = total + done.events, poison + done.poison
        self.stdout.write(f"{total} events folded, {poison} set aside")

    def rebuild(self) -> None:
        done = services.graph_rebuild()
        self.stdout.write(f"{done.events} events folded again, {done.poison} set aside")
