"""``manage.py evidence reproduce|bundle|verify``."""

from __future__ import annotations

import getpass
import json
import sys
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from controlplane.evidence.domain.bundle import BadBundle
from controlplane.evidence.domain.verify import Report, anchor_read, verify
from pipeline.errors import PipelineError

EPILOG = "All of them exit with 0 when the figure or the bundle holds, with 1 when it does not."
HOLDS = ("reproduced", "reproduced_except_erasure")


class Command(BaseCommand):
    help = "Prove a published figure: compute it again, hand out the evidence, verify evidence that was handed out."
    # `verify` runs in a plain checkout, without services and without a home.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.epilog = EPILOG
        parser.formatter_class = RawDescriptionHelpFormatter
        sub = parser.add_subparsers(dest="do", required=True, metavar="COMMAND")
        one = sub.add_parser("reproduce", help="compute a published figure again, in a scratch folder")
        self._figure(one)
        one.add_argument(
            "--from", dest="source", choices=("bronze", "delta"), default="bronze",
            help="raw files (default), or the lake's table versions as long as they last: faster, proves less",
        )  # fmt: skip
        one = sub.add_parser("bundle", help="write everything about a figure into one signed zip")
        self._figure(one)
        one.add_argument("-o", "--output", type=Path, help="the file; default evidence-KPI-DAY-ROW.zip here")
        one = sub.add_parser("verify", help="check a bundle offline: no database, no network")
        one.add_argument("file", type=Path)
        one.add_argument(
            "--trust-anchor", type=Path, metavar="FILE", help="the public keys to trust: PEM or touchstone-keys.json"
        )
        one.add_argument(
            "--against-installation", action="store_true",
            help="also hold it against this installation: raw files, tables, served rows, figure, audit log",
        )  # fmt: skip

    def _figure(self, parser: ArgumentParser) -> None:
        parser.add_argument("kpi", help="such as net_revenue")
        parser.add_argument("day", type=date.fromisoformat, help="business day, such as 2026-11-24")
        parser.add_argument(
            "--at", help="the figure as it was known at this moment (ISO 8601; business time without an offset)"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['do']}")(options)
        except PipelineError as error:
            raise CommandError(str(error)) from None

    # --- reproduce --------------------------------------------------------------------------------------------------------

    def _value(self, options: dict[str, Any]) -> Any:
        from pipeline import selectors_reproduce

        at = None
        if options["at"]:
            try:
                at = datetime.fromisoformat(options["at"])
            except ValueError:
                raise CommandError("--at wants ISO 8601, such as 2026-11-24T14:02:10+01:00") from None
            at = at if at.tzinfo else at.replace(tzinfo=ZoneInfo(settings.BUSINESS_TIME_ZONE))
        value = selectors_reproduce.figure(key=options["kpi"], day=options["day"], at=at)
        if value is None:
            raise CommandError(f"no figure of {options['kpi']} was published for {options['day']}" + (" by then" if at else ""))
        return value

    def _reproduce(self, options: dict[str, Any]) -> None:
        from controlplane.evidence.services.reproductions import reproduction_request, reproduction_run

        value = self._value(options)
        actor = f"console:{getpass.getuser()}"
        one = reproduction_request(value_id=value.pk, source=options["source"], actor=actor, dispatch=False)
        reproduction_run(reproduction_id=one.pk, watch=self._show)
        one.refresh_from_db()
        while one.is_open:  # a worker has it
            time.sleep(0.5)
            one.refresh_from_db()
        self._clear_line()
        if one.state == one.State.FAILED:
            raise CommandError(f"it could not be carried out: {one.error}")
        self.stdout.write(f"{one.get_outcome_display()}: {one.kpi} of {one.business_date}, {one.get_source_display()}.")
        self.stdout.write(one.result["reason"])
        for table in one.result["datasets"]:
            mark = {True: "same", False: "DIFFERS", None: "not kept"}[table["equal"]]
            self.stdout.write(
                f"  {mark:9} {table['layer']}.{table['dataset']}: {table['rows']} rows, {table['content_hash'][:16]}"
            )
        if one.duration_s is not None:
            self.stdout.write(f"{one.duration_s:.1f} s")
        if one.outcome not in HOLDS:
            sys.exit(1)

    def _show(self, progress: Any) -> None:
        if self.stderr.isatty():
            files = f" {progress.files_checked}/{progress.files_total}" if progress.files_total else ""
            self.stderr.write(f"\r\033[K{progress.done}/{progress.total} {progress.now}{files}", ending="")

    def _clear_line(self) -> None:
        if self.stderr.isatty():
            self.stderr.write("\r\033[K", ending="")

    # --- bundle and verify ------------------------------------------------------------------------------------------------

    def _bundle(self, options: dict[str, Any]) -> None:
        from controlplane.evidence.services import bundles

        value = self._value(options)
        data = bundles.bundle_build(value_id=value.pk)
        path = options["output"] or Path(bundles.bundle_filename(value.pk))
        path.write_bytes(data)
        bundles.bundle_handed_out(value_id=value.pk, data=data, actor=f"console:{getpass.getuser()}")
        self.stdout.write(f"{path}: {len(data):,} bytes")

    def _verify(self, options: dict[str, Any]) -> None:
        try:
            anchor = anchor_read(options["trust_anchor"].read_text()) if options["trust_anchor"] else None
            data = options["file"].read_bytes()
        except (OSError, BadBundle) as fault:
            raise CommandError(str(fault)) from None
        if anchor is None and options["against_installation"]:
            from controlplane.keys.services import trust_anchor

            anchor = anchor_read(json.dumps(trust_anchor()))
        report, contents = verify(data, anchor=anchor)
        if contents is not None and options["against_installation"]:
            from controlplane.evidence.services.installation import compare

            compare(contents, report)
        self._print(report)
        if not report.intact:
            sys.exit(1)

    def _print(self, report: Report) -> None:
        if report.figure:
            one = report.figure
            self.stdout.write(f"{one['title']} of {one['business_date']}: {one['value']} {one['unit']}, as of {one['as_of']}")
        for held in report.held:
            self.stdout.write(f"  holds   {held}")
        for note in report.notes:
            self.stdout.write(f"  note    {note}")
        for fault in report.faults:
            self.stdout.write(f"  FAULT   {fault}")
        self.stdout.write(
            "The evidence holds." if report.intact else f"The evidence does not hold: {len(report.faults)} faults."
        )
