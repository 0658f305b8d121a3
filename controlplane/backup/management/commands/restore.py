"""``manage.py restore FOLDER``."""

from __future__ import annotations

import getpass
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from controlplane.backup import restoring
from controlplane.backup.errors import BackupError


class Command(BaseCommand):
    help = (
        "Restore a backup into an empty installation: the manifest is checked first, and a killed restore is simply repeated."
    )
    # The database may be empty, or of an earlier version: the restore brings one along.
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="FOLDER", help="what `manage.py backup` wrote")
        parser.add_argument("--force", action="store_true", help="replace all that this installation holds")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            report = restoring.restore(
                folder=options["folder"], actor=f"system:{getpass.getuser()}", force=options["force"], say=self.stdout.write
            )
        except (BackupError, OSError) as error:
            raise CommandError(str(error)) from None
        for note in report.notes:
            self.stdout.write(note)
        begun = ", resumed" if report.resumed else ""
        self.stdout.write(f"restored {report.files} files and {report.tables} tables as of {report.taken_at}{begun}")
