"""Bringing a backup back: everything is made ready beside what is there, then put in its place.

A killed restore is repeated: what is ready already is kept, and ``HOME/restore.json`` says how far it was. Until the switch
nothing that was in place has changed.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connections, transaction

from controlplane.audit import services as audit
from controlplane.backup import database, registry, services
from controlplane.backup.domain import manifest as form
from controlplane.backup.domain import sealed
from controlplane.backup.domain.manifest import Manifest
from controlplane.backup.errors import BackupError
from controlplane.backup.registry import Restored
from controlplane.backup.services import CHECK_WORD, KEY_VARIABLES, PASSPHRASE, Say, passphrase
from controlplane.embedded.home import write_private
from controlplane.keys import services as keys
from controlplane.lake import services as lake


@dataclass
class Report:
    """What a restore did, for a person to read."""

    taken_at: str
    tables: int
    files: int
    resumed: bool
    notes: list[str] = field(default_factory=list)


def restore(*, folder: Path, actor: str, force: bool = False, say: Say = lambda _: None) -> Report:
    """Restore a backup into this installation. BackupError when it does not hold, or when there is something to lose."""
    say("checking the backup")
    manifest = services.backup_verify(folder=folder)
    progress = _Progress.read(form.digest(folder / form.MANIFEST)[0])
    resumed = bool(progress.stage)
    if not resumed:
        _refuse_what_would_be_lost(force)
    if "://" in lake.config().root:
        raise BackupError(
            "the lake lies in an object store: copy the backup's folder lake/ into an empty bucket with the store's own tools,"
            " and restore with TOUCHSTONE_LAKE_URL pointing at a folder"
        )
    key_files = _keys_of(folder, manifest)
    report = Report(manifest.taken_at, len(manifest.tables), len(manifest.files), resumed)
    if progress.stage in ("", "preparing"):
        progress.to("preparing")
        for part, place in _places().items():
            copied = services.copy_tree_out(manifest, folder, part, _beside(place))
            say(f"{part}: {copied} files copied")
        database.restore_beside(folder / form.DATABASE, server_major=int(manifest.database["server_major"]))
        say("database: loaded beside the present one")
        progress.to("switching")
    if progress.stage == "switching":
        _switch(key_files)
        say("database, lake and keys are in their places")
        progress.to("following")
    report.notes += _follow(manifest, actor)
    progress.done()
    return report


class _Progress:
    """How far a restore of a certain backup is; survives a kill."""

    def __init__(self, backup: str, stage: str) -> None:
        self.backup, self.stage = backup, stage

    @staticmethod
    def _file() -> Path:
        return Path(settings.HOME) / "restore.json"

    @classmethod
    def read(cls, backup: str) -> _Progress:
        try:
            body = json.loads(cls._file().read_text())
        except (OSError, ValueError):
            return cls(backup, "")
        if body.get("backup") != backup:
            if body.get("stage") != "preparing":
                raise BackupError("another restore had begun to switch and was not finished; finish that one first")
            for place in _places().values():
                shutil.rmtree(_beside(place), ignore_errors=True)
            return cls(backup, "")
        return cls(backup, str(body.get("stage", "")))

    def to(self, stage: str) -> None:
        self.stage = stage
        write_private(self._file(), json.dumps({"backup": self.backup, "stage": stage}))

    def done(self) -> None:
        self._file().unlink(missing_ok=True)


def _places() -> dict[str, Path]:
    return {form.LAKE: Path(lake.config().root), form.LANDING: Path(settings.LANDING_DIR)}


def _beside(place: Path) -> Path:
    return place.with_name(f"{place.name}.restoring")


def _refuse_what_would_be_lost(force: bool) -> None:
    users = database.in_use()
    if users:
        raise BackupError(
            f"{users} connections use the database: stop web, workers, beat and relay first (make stop), then start the"
            " database alone: .venv/bin/python -m controlplane.embedded run -- .venv/bin/python manage.py restore FOLDER"
        )
    if force:
        return
    filled = [str(place) for place in _places().values() if place.is_dir() and any(one.is_file() for one in place.rglob("*"))]
    if database.holds_rows():
        filled.append("the database")
    if filled:
        raise BackupError(
            f"this installation is not empty ({', '.join(filled)}). Restore into a new TOUCHSTONE_HOME, or give --force to"
            " replace all that it holds"
        )


def _keys_of(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    """The backup's key files; {} when the keys that the data were made with are here. BackupError otherwise."""
    if manifest.keys == "sealed":
        if not passphrase():
            raise BackupError(f"the keys of this backup are sealed: set {PASSPHRASE} to its passphrase")
        try:
            found = sealed.unseal((folder / form.KEYS).read_bytes(), passphrase())
        except ValueError as error:
            raise BackupError(str(error)) from None
        if any("/" in name or not name.endswith(".key") for name in found):
            raise BackupError(f"{form.KEYS} names files that are no keys")
    else:
        found = {}
    missing = [name for name in manifest.keys_from_environment if not os.environ.get(name)]
    if missing:
        raise BackupError(f"keys of this installation came from the environment: set {', '.join(missing)} as it was")
    if not found and not _keys_fit(manifest):
        raise BackupError(
            "this backup was taken without keys, and those here are others: tokens of people would not match. Put the key files"
            f" of the old installation into {Path(settings.HOME) / 'keys'} (mode 600), or set {' and '.join(KEY_VARIABLES)}"
        )
    return found


def _keys_fit(manifest: Manifest) -> bool:
    return keys.token(*CHECK_WORD) == manifest.token_check


def _switch(key_files: dict[str, bytes]) -> None:
    """Each of the three at once, and each only when it has not been done: a repeated switch finds nothing beside."""
    beside = f"{connections['default'].settings_dict['NAME']}_restoring"
    if database.exists(beside):
        database.swap(beside)
    for place in _places().values():
        former = place.with_name(f"{place.name}.former")
        if _beside(place).is_dir():
            shutil.rmtree(former, ignore_errors=True)
            if place.exists():
                place.rename(former)
            _beside(place).rename(place)
        shutil.rmtree(former, ignore_errors=True)
    if key_files:
        home = Path(settings.HOME) / "keys"
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in home.glob("*.key"):
            if path.name not in key_files:
                path.unlink()
        for name, data in key_files.items():
            write_private(home / name, data.decode())
        keys.reload()


def _follow(manifest: Manifest, actor: str) -> list[str]:
    """Bring the schema up to the code, run what apps registered, and leave a record."""
    if not _keys_fit(manifest):
        raise BackupError("the keys in place are not those that the data were made with")
    call_command("migrate", verbosity=0, interactive=False)
    roots = {manifest.lake_root: lake.config().root, manifest.landing_root: str(settings.LANDING_DIR)}
    moved = tuple((old, new) for old, new in roots.items() if old != new)
    restored = Restored(datetime.fromisoformat(manifest.taken_at), moved)
    notes = []
    for name, hook in registry.hooks():
        if said := hook(restored):
            notes.append(f"{name}: {said}")
    with transaction.atomic():
        payload: dict[str, Any] = {"taken_at": manifest.taken_at, "tables": manifest.tables, "notes": notes}
        audit.record(action="backup.restore", actor=actor, target="installation", payload=payload)
    return notes
