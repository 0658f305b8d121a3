"""``manage.py lineage status | project | rebuild | retention | quarantine``."""

from __future__ import annotations

import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from lineage import selectors, services
from lineage.models import Quarantine

ACTOR = "system:command"


class Command(BaseCommand):
    help = "The event store and the graph folded out of it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        actions.add_parser("status", help="counts of the store and the graph, events that wait, lag")
        actions.add_parser("project", help="fold the waiting events now, without a worker")
        actions.add_parser(
            "rebuild", help="fold all stored events again; readers see the old graph until the new one is complete"
        )
        old = actions.add_parser("retention", help="drop old events after a snapshot of what they said")
        old.add_argument("--days", type=int, help="age in days; default TOUCHSTONE_LINEAGE_RETENTION_DAYS")
        old.add_argument("--dry-run", action="store_true")
        refused = actions.add_parser("quarantine", help="refused events: list, replay or dismiss those that a filter names")
        refused.add_argument("what", choices=["list", "replay", "dismiss"])
        refused.add_argument("uuids", nargs="*", type=uuid.UUID, metavar="UUID", help="instead of a filter")
        refused.add_argument("--stage", default="", choices=["ingest", "projection"])
        refused.add_argument("--producer", default="")
        refused.add_argument("--namespace", default="")
        refused.add_argument("--text", default="", help="in the path or the reason")
        refused.add_argument("--limit", type=int, default=services.REPLAY_MAX)
        refused.add_argument("--reason", default="", help="why they are dismissed, for the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, options["action"])(options)

    def status(self, options: dict[str, Any]) -> None:
        services.partitions_ensure()
        for name, count in selectors.status().items():
            self.stdout.write(f"{name:16} {count:12,}")
        pending, lag_s = services.pending_measure()
        self.stdout.write(f"{pending} events wait, the oldest for {lag_s:.1f} s")

    def project(self, options: dict[str, Any]) -> None:
        total = poison = 0
        while True:
            done = services.pending_project()
            if not done.events and not done.poison:
                break
            total, poison = total + done.events, poison + done.poison
        self.stdout.write(f"{total} events folded, {poison} set aside")

    def rebuild(self, options: dict[str, Any]) -> None:
        def progress(done: int, total: int) -> None:
            if options["verbosity"] and done % 10_000 < 1000:
                self.stdout.write(f"{done:,} of {total:,} events folded")

        done = services.graph_rebuild(progress=progress)
        self.stdout.write(f"{done.events} events folded again, {done.poison} set aside")

    def retention(self, options: dict[str, Any]) -> None:
        done = services.events_expire(actor=ACTOR, days=options["days"], dry_run=options["dry_run"])
        if done.cut is None:
            self.stdout.write("no partition is old enough, or no age is set")
            return
        told = f"{len(done.partitions)} partitions, {done.events:,} events recorded before {done.cut:%Y-%m-%d}"
        if done.held_back:
            self.stdout.write(f"nothing dropped of {told}: {done.held_back}")
        else:
            self.stdout.write(f"{'would drop' if options['dry_run'] else 'dropped'} {told}")

    def quarantine(self, options: dict[str, Any]) -> None:
        filters = {name: options[name] for name in ("stage", "producer", "namespace", "text", "limit")}
        uuids = options["uuids"] or services.quarantine_matching(**filters)
        if options["what"] == "list":
            for item in Quarantine.objects.filter(uuid__in=uuids).order_by("received_at", "pk"):
                place = f"{item.stage:10} {item.producer} {item.namespace}"
                self.stdout.write(f"{item.uuid} {item.received_at:%Y-%m-%d %H:%M} {place} {item.path}: {item.reason}")
            self.stdout.write(f"{len(uuids)} open")
        elif options["what"] == "dismiss":
            closed = services.quarantine_dismiss(uuids=uuids, actor=ACTOR, reason=options["reason"])
            self.stdout.write(f"{len(closed)} dismissed")
        else:
            done = services.quarantine_replay(uuids=uuids, actor=ACTOR)
            counts = f"{len(done.accepted)} accepted, {len(done.duplicates)} known before, {len(done.refused)} refused again"
            self.stdout.write(counts)
