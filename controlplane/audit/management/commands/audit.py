"""``manage.py audit verify|export|checkpoint``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from controlplane.audit import checkpoints, selectors
from controlplane.audit.domain.chain import check
from controlplane.audit.domain.exported import read_lines
from controlplane.audit.errors import BadCheckpoint


class Command(BaseCommand):
    help = "Verify and export the audit log. `verify` exits with 1 when anything does not hold."

    def add_arguments(self, parser: CommandParser) -> None:
        sub = parser.add_subparsers(dest="do", required=True)
        verify = sub.add_parser("verify", help="walk the chain and name the first broken entry")
        verify.add_argument(
            "--checkpoint",
            type=Path,
            action="append",
            default=[],
            help="a checkpoint file; else the newest of HOME",
        )
        verify.add_argument("--export", type=Path, help="verify an exported file instead of the database")
        export = sub.add_parser("export", help="write the sealed chain as JSON lines")
        export.add_argument("--output", type=Path, help="a file; standard output when left out")
        sub.add_parser("checkpoint", help="write a signed checkpoint now")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['do']}")(**options)

    def _verify(self, *, checkpoint: list[Path], export: Path | None, **_: Any) -> None:
        if export is not None:
            self._verify_export(export)
            return
        newest = checkpoints.newest()
        try:
            known = [checkpoints.read(path) for path in checkpoint or ([newest] if newest else [])]
        except BadCheckpoint as fault:
            raise CommandError(str(fault)) from fault
        found = selectors.verify(checkpoints=known)
        self.stdout.write(
            f"{found.chain.checked} entries verified, head {found.chain.head_seq} {found.chain.head_hash}\n"
            f"{len(found.checkpoints)} of {len(known)} checkpoints agree, {len(found.chain.erased)} payloads erased\n"
            f"{found.tail.entries} entries not sealed yet (oldest {found.tail.oldest_s:.1f} s)"
        )
        if not found.intact:
            raise CommandError("the audit log does not hold:\n" + "\n".join(f"- {fault}" for fault in found.faults))
        self.stdout.write("The audit log holds.")

    def _verify_export(self, export: Path) -> None:
        with export.open() as lines:
            report = check(read_lines(lines))
        if not report.intact:
            raise CommandError(f"entry {report.broken_seq} (id {report.broken_entry}) is broken: {report.reason}")
        self.stdout.write(f"The export holds: {report.checked} entries, head {report.head_seq} {report.head_hash}")

    def _export(self, *, output: Path | None, **_: Any) -> None:
        stream = output.open("w") if output else sys.stdout
        try:
            for line in selectors.export_lines():
                stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        finally:
            if output:
                stream.close()

    def _checkpoint(self, **_: Any) -> None:
        path = checkpoints.write() or checkpoints.newest()
        self.stdout.write(str(path) if path else "nothing is sealed yet")
