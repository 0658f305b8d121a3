"""`manage.py pipeline …`: what an operator asks of the pipeline."""

from __future__ import annotations

import getpass
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet
from django.utils.dateparse import parse_datetime

from controlplane.lake.errors import LeaseHeld
from pipeline import console
from pipeline.errors import PipelineError
from pipeline.models import BronzeFile, Drop, DropState, HeldState, QuarantinedRow, SilverReject
from pipeline.selectors import EVERYTHING, contract_of, dag
from pipeline.services import operations, planning

EPILOG = "Changes take effect through the workers: start them with `make up`. Everything that changes something is audited."


class Command(BaseCommand):
    help = "Status, runs, replays, backfills, purges and explanations of the pipeline."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.epilog = EPILOG
        parser.formatter_class = RawDescriptionHelpFormatter
        commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

        def add(name: str, run: Callable[[dict[str, Any]], None], text: str, *, changes: bool = False) -> ArgumentParser:
            sub: ArgumentParser = commands.add_parser(name, help=text, description=text)
            sub.set_defaults(run=run)
            if changes:
                sub.add_argument("--dry-run", action="store_true", help="say what would happen, change nothing")
                sub.add_argument("--reason", default="", help="stands in the audit log")
            return sub

        add("status", self.status, "What is running, waiting, late or held back.")
        sub = add("run", self.run_now, "Start a run over the waiting work at once.", changes=True)
        sub.add_argument("--as-of", help="moment the figures refer to (ISO 8601 with offset); default now")
        sub.add_argument("--wait", action="store_true", help="show progress until nothing is left to do")
        sub.add_argument("--retry", action="store_true", help="also let failed datasets try again now")
        sub = add("replay", self.replay, "Judge and merge Bronze files again.", changes=True)
        sub.add_argument("dataset")
        sub.add_argument("--file", action="append", default=[], metavar="ID", help="logical id of a Bronze file (repeatable)")
        sub.add_argument("--partition", action="append", default=[], metavar="DAY", help="files that filled this partition")
        sub.add_argument("--since", type=date.fromisoformat, metavar="DAY", help="files received on or after this day")
        sub.add_argument("--wait", action="store_true")
        sub = add("backfill", self.backfill, "Compute Gold partitions anew.", changes=True)
        sub.add_argument("dataset")
        sub.add_argument("--from", dest="first", type=date.fromisoformat, metavar="DAY")
        sub.add_argument("--to", dest="last", type=date.fromisoformat, metavar="DAY")
        sub.add_argument(
            "--downstream", action="store_true", help="everything that depends on it follows by itself; stated for clarity"
        )
        sub.add_argument("--wait", action="store_true")
        sub = add("reprocess", self.reprocess, "Judge rejected or quarantined rows again.", changes=True)
        sub.add_argument("dataset")
        sub.add_argument("--rule", help="only rejects that break this rule, e.g. enum:currency")
        sub.add_argument("--quarantine", action="store_true", help="quarantined rows instead of rejects")
        sub.add_argument("--wait", action="store_true")
        text = "Forget refused or unfinished landings (never accepted Bronze files), or remove partial Silver output."
        sub = add("purge", self.purge, text, changes=True)
        sub.add_argument("--silver", metavar="DATASET", help="remove rows of this Silver table; a replay brings them back")
        sub.add_argument("--partition", action="append", default=[], metavar="DAY", help="with --silver: only this partition")
        sub.add_argument("--replay", action="store_true", help="with --silver: replay the Bronze files behind it at once")
        sub.add_argument("--wait", action="store_true", help="with --replay: show progress until nothing is left to do")
        sub.add_argument(
            "--drop", action="append", default=[], metavar="UUID", help="this drop (repeatable); default: all refused"
        )
        sub.add_argument("--dataset")
        for name, text in (
            ("stop", "Stop a dataset, or everything."),
            ("resume", "Let a stopped dataset, or everything, go on."),
        ):
            sub = add(name, self.stop if name == "stop" else self.resume, text, changes=True)
            sub.add_argument("dataset", nargs="?", default=EVERYTHING)
        sub = add("explain", self.explain, "What makes a dataset: contract, inputs, SQL as it runs, who waits for it.")
        sub.add_argument("dataset")
        sub.add_argument("--engine", choices=("duckdb", "spark"), help="print the SQL in this engine's dialect")
        sub = add("parity", self.parity, "Run the same input on two engines and compare row counts and hash totals per table.")
        sub.add_argument("drops", nargs="?", help="folder of drops (dataset/file); default: this installation's Bronze files")
        sub.add_argument("--engines", nargs=2, default=["duckdb", "spark"], metavar="ENGINE")
        sub.add_argument("--keep", metavar="FOLDER", help="keep both lakes under this folder")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            options["run"](options)
        except PipelineError as error:
            raise CommandError(str(error)) from None

    @property
    def actor(self) -> str:
        return f"console:{getpass.getuser()}"

    def status(self, _: dict[str, Any]) -> None:
        console.print_status()

    def run_now(self, options: dict[str, Any]) -> None:
        as_of = parse_datetime(options["as_of"]) if options["as_of"] else None
        if options["as_of"] and (as_of is None or as_of.tzinfo is None):
            raise CommandError("--as-of wants ISO 8601 with an offset, such as 2026-11-20T12:00:00+01:00")
        if options["dry_run"]:
            console.print_waiting()
            return
        if options["retry"]:
            operations.retry(dataset=None, actor=self.actor)
        run = planning.run_plan(as_of=as_of, at_once=True, trigger="asked for on the console")
        self.stdout.write(f"run {run.uuid} started" if run else "no run was started: nothing waits yet, or one is under way")
        if options["wait"]:
            console.wait_until_idle(as_of=as_of)

    def replay(self, options: dict[str, Any]) -> None:
        contract_of(options["dataset"])
        files = BronzeFile.objects.filter(dataset=options["dataset"])
        if options["file"]:
            files = files.filter(logical_id__in=options["file"])
        if options["partition"]:
            files = files.filter(partitions__partition__in=options["partition"]).distinct()
        if options["since"]:
            files = files.filter(received_at__date__gte=options["since"])
        found = list(files.order_by("received_at"))
        self._tell(f"{len(found)} Bronze files, {sum(file.rows for file in found):,} rows", options)
        if not options["dry_run"] and found:
            operations.bronze_replay(files=found, actor=self.actor, reason=options["reason"])
            self._wait(options)

    def backfill(self, options: dict[str, Any]) -> None:
        first, last = options["first"], options["last"]
        values = None
        if first or last:
            if not (first and last and first <= last):
                raise CommandError("give both --from and --to, the earlier one first")
            values = [(first + timedelta(days=offset)).isoformat() for offset in range((last - first).days + 1)]
        readers = [name for name in dag().closure([options["dataset"]]) if name != options["dataset"]]
        extent = f"{len(values)} partitions" if values else "every partition"
        self._tell(f"{options['dataset']}: {extent}; then {', '.join(readers) or 'nothing downstream'}", options)
        if not options["dry_run"]:
            operations.dataset_backfill(dataset=options["dataset"], values=values, actor=self.actor, reason=options["reason"])
            self._wait(options)

    def reprocess(self, options: dict[str, Any]) -> None:
        model = QuarantinedRow if options["quarantine"] else SilverReject
        rows: QuerySet[SilverReject] | QuerySet[QuarantinedRow]
        rows = model.objects.filter(dataset=options["dataset"]).exclude(state=HeldState.RESOLVED)
        if options["rule"] and not options["quarantine"]:
            rows = SilverReject.objects.filter(pk__in=rows.values_list("pk", flat=True), rules__contains=[options["rule"]])
        self._tell(f"{rows.count()} rows", options)
        if not options["dry_run"]:
            operations.rows_reprocess(rows=rows, actor=self.actor, reason=options["reason"])
            self._wait(options)

    def purge(self, options: dict[str, Any]) -> None:
        if options["silver"]:
            self._purge_silver(options)
            return
        if options["partition"] or options["replay"] or options["wait"]:
            raise CommandError("--partition, --replay and --wait go with --silver DATASET")
        drops = Drop.objects.filter(state__in=[DropState.REFUSED])
        if options["drop"]:
            drops = Drop.objects.filter(uuid__in=options["drop"])
        if options["dataset"]:
            drops = drops.filter(dataset=options["dataset"])
        for drop in drops:
            self._tell(f"drop {drop.uuid} {drop} ({drop.state})", options)
            if not options["dry_run"]:
                operations.drop_purge(drop=drop, actor=self.actor, reason=options["reason"])

    def _purge_silver(self, options: dict[str, Any]) -> None:
        dataset, values = options["silver"], options["partition"] or None
        contract_of(dataset)
        files = list(operations.files_behind(dataset=dataset, values=values))
        extent = ", ".join(sorted(values)) if values else "every row"
        self._tell(f"remove {extent} of {dataset}; {len(files)} Bronze files filled it", options)
        if options["dry_run"]:
            return
        if not options["reason"].strip():
            raise CommandError("say why with --reason: it stands in the audit log")
        try:
            removed = operations.partition_purge(dataset=dataset, values=values, actor=self.actor, reason=options["reason"])
        except LeaseHeld as error:
            raise CommandError(f"a refresh has the table ({error}); try again in a moment") from None
        except ValueError:
            raise CommandError("a partition is a day such as 2026-11-20, or a bucket such as 0a") from None
        self.stdout.write(f"{removed} partitions removed" if values else "the table is empty")
        if options["replay"] and files:
            made = operations.bronze_replay(files=files, actor=self.actor, reason=options["reason"])
            self.stdout.write(f"{made} files queued for replay")
            self._wait(options)
        elif files:
            again = " ".join(f"--partition {value}" for value in sorted(values or ()))
            self.stdout.write(f"bring it back with: manage.py pipeline replay {dataset} {again}".rstrip())

    def stop(self, options: dict[str, Any]) -> None:
        self._tell(f"stop {_scope(options)}", options)
        if not options["dry_run"]:
            operations.stop(scope=options["dataset"], reason=options["reason"], actor=self.actor)

    def resume(self, options: dict[str, Any]) -> None:
        self._tell(f"resume {_scope(options)}", options)
        if not options["dry_run"] and not operations.resume(
            scope=options["dataset"], actor=self.actor, reason=options["reason"]
        ):
            self.stdout.write("it was not stopped")

    def explain(self, options: dict[str, Any]) -> None:
        console.print_explanation(options["dataset"], engine=options["engine"])

    def parity(self, options: dict[str, Any]) -> None:
        from pipeline.services.parity import compare

        found = compare(drops=options["drops"], engines=options["engines"], keep=options["keep"])
        console.print_parity(found, options["engines"])
        if not all(table.equal for table in found):
            raise CommandError("the engines disagree")

    def _tell(self, text: str, options: dict[str, Any]) -> None:
        self.stdout.write(("would: " if options.get("dry_run") else "") + text)

    def _wait(self, options: dict[str, Any]) -> None:
        if options["wait"]:
            console.wait_until_idle()


def _scope(options: dict[str, Any]) -> str:
    return "the whole pipeline" if options["dataset"] == EVERYTHING else str(options["dataset"])
