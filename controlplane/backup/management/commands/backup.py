"""``manage.py backup FOLDER [--verify]``."""

from __future__ import annotations

import getpass
import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from controlplane.backup import services
from controlplane.backup.errors import BackupError


class Command(BaseCommand):
    help = (
        "Back up database, lake and keys together, while the pipeline goes on. Keys are sealed with the passphrase in"
        " TOUCHSTONE_BACKUP_PASSPHRASE."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="FOLDER", help="a new folder, or with --verify an existing backup")
        parser.add_argument("--verify", action="store_true", help="check a backup, needing neither database nor keys")
        parser.add_argument(
            "--anchor", type=Path, help="with --verify: the installation's trust anchor (/.well-known/touchstone-keys.json)"
        )
        parser.add_argument("--without-keys", action="store_true", help="leave the keys out: they are kept elsewhere")

    def handle(self, *_: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        try:
            if options["verify"]:
                anchor = json.loads(options["anchor"].read_text()) if options["anchor"] else None
                found = services.backup_verify(folder=folder, anchor=anchor)
                self.stdout.write(f"holds: {len(found.files)} files, {len(found.tables)} tables, taken {found.taken_at}")
                return
            made = services.backup_create(
                folder=folder, with_keys=not options["without_keys"], actor=f"system:{getpass.getuser()}", say=self.stdout.write
            )
        except (BackupError, OSError, ValueError) as error:
            raise CommandError(str(error)) from None
        keys = "keys sealed" if made.keys == "sealed" else "keys left out"
        self.stdout.write(f"backed up {len(made.files)} files, {len(made.tables)} tables, {keys}: {folder}")
