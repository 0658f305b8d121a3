"""Taking a backup and bringing one back.

A backup holds the pipeline still only while it writes down what belongs together: with the lease of every table in hand no step
is between its commit and its record in the database, so a snapshot of the database and the tables' versions agree. Copying then
goes on beside the running pipeline, under reader leases that keep the noted files from being removed.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from controlplane.audit import services as audit
from controlplane.backup import database, files, registry
from controlplane.backup.domain import manifest as form
from controlplane.backup.domain import sealed
from controlplane.backup.domain.manifest import File, Manifest
from controlplane.backup.errors import BackupError
from controlplane.keys import services as keys
from controlplane.lake import services as lake
from controlplane.lake.errors import LeaseHeld

__all__ = ["backup_create", "backup_verify", "passphrase"]

PASSPHRASE = "TOUCHSTONE_BACKUP_PASSPHRASE"  # noqa: S105  (the name of a variable)
KEY_VARIABLES = ("TOUCHSTONE_SIGNING_KEY", "TOUCHSTONE_TOKEN_KEY")
CHECK_WORD = ("touchstone backup", "backup")
WAIT_FOR_WRITERS_S = 300.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Snapshot:
    tables: dict[str, int]
    table_files: dict[str, list[str]]
    objects: list[str]
    landed: list[Path]
    seconds_held: float


def passphrase() -> str:
    return os.environ.get(PASSPHRASE, "")


def backup_verify(*, folder: Path, anchor: dict[str, Any] | None = None) -> Manifest:
    """Check a backup without database, lake or keys. BackupError with every fault."""
    found, faults = form.check(folder, anchor=anchor)
    if faults or found is None:
        shown = "\n".join(f"  {fault}" for fault in faults[:20])
        more = f"\n  and {len(faults) - 20} more" if len(faults) > 20 else ""
        raise BackupError(f"the backup in {folder} does not hold:\n{shown}{more}")
    return found


def backup_create(*, folder: Path, with_keys: bool, actor: str, say: Say = lambda _: None) -> Manifest:
    """Back up database, lake and keys into ``folder``, which must be new or empty. Nothing is in the clear that was not before,
    and keys never are. Raises BackupError; a failed attempt leaves nothing that passes for a backup.
    """
    if with_keys and len(passphrase()) < sealed.LEAST_PASSPHRASE:
        raise BackupError(
            f"set {PASSPHRASE} to the passphrase that seals the keys (at least {sealed.LEAST_PASSPHRASE} characters),"
            " or leave them out on purpose with --without-keys"
        )
    if folder.exists() and any(folder.iterdir()):
        raise BackupError(f"{folder} is not empty; name a new folder")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        return _create(folder, with_keys, actor, say)
    except BaseException:
        for left in folder.iterdir():  # the folder was empty: all in it is ours
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        raise


def _create(folder: Path, with_keys: bool, actor: str, say: Say) -> Manifest:
    holder = f"backup/{uuid.uuid4()}"
    major = database.server_major()
    database.program("pg_dump", major)  # before anything is held
    taken_at = datetime.now(UTC)
    with ExitStack() as reading:
        held = ExitStack()
        with held:
            started = time.monotonic()
            _hold_writers(held, holder)
            snapshot_id, _ = reading.enter_context(database.snapshot())
            found = _note_lake(reading, holder, started)
        say(f"{len(found.tables)} tables and the database noted together; writers waited {found.seconds_held:.1f} s")
        database.dump(folder / form.DATABASE, snapshot_id=snapshot_id, server_major=major)
        saved = [_file_of(folder, form.DATABASE)]
        say(f"database: {saved[0].size_bytes / 2**20:.1f} MB")
        saved += _copy_lake(folder, found)
        say(f"lake and landing: {len(saved) - 1} files, {sum(one.size_bytes for one in saved[1:]) / 2**20:.1f} MB")
    if with_keys:
        files.write_new(folder / form.KEYS, sealed.seal(_key_files(), passphrase()))
        saved.append(_file_of(folder, form.KEYS))
    made = Manifest(
        taken_at=taken_at.isoformat(),
        database={"server_major": major},
        lake_root=lake.config().root,
        landing_root=str(settings.LANDING_DIR),
        tables=found.tables,
        keys="sealed" if with_keys else "left_out",
        keys_from_environment=[name for name in KEY_VARIABLES if os.environ.get(name)],
        token_check=keys.token(*CHECK_WORD),
        files=sorted(saved, key=lambda one: one.path),
    )
    body = made.as_bytes()
    signature = {"signature": keys.sign(body).as_dict(), "anchor": keys.trust_anchor()}
    files.write_new(folder / form.SIGNATURE, keys.canonical_json(signature))
    files.write_new(folder / form.MANIFEST, body)  # last: without it the folder is no backup
    with transaction.atomic():
        payload = {"files": len(saved), "tables": len(found.tables), "keys": made.keys, "signed_by": signature["signature"]}
        audit.record(action="backup.create", actor=actor, target="installation", payload=payload)
    return made


def _hold_writers(held: ExitStack, holder: str) -> None:
    """Take the lease of every table, one after the other, waiting for whoever writes at the moment."""
    deadline = time.monotonic() + WAIT_FOR_WRITERS_S
    for resource in sorted({*registry.lease_names(), *files.tables()}):
        while True:
            try:
                held.enter_context(lake.lease(resource, holder=holder))
                break
            except LeaseHeld as error:
                if time.monotonic() > deadline:
                    raise BackupError(
                        f"{error}; it did not end within {WAIT_FOR_WRITERS_S:.0f} s, so nothing was saved"
                    ) from None
                time.sleep(0.05)


def _note_lake(reading: ExitStack, holder: str, started: float) -> _Snapshot:
    tables = {name: lake.table_version(name) for name in files.tables()}
    reading.enter_context(lake.reading(list(tables), holder=holder))
    named = {name: files.table_files(name, version) for name, version in tables.items()}
    landed = [path for path in Path(settings.LANDING_DIR).rglob("*") if path.is_file()]
    return _Snapshot(tables, named, list(files.objects()), landed, time.monotonic() - started)


def _copy_lake(folder: Path, found: _Snapshot) -> list[File]:
    store = lake.store()
    saved = []
    for keys_of in (*found.table_files.values(), found.objects):
        for key in keys_of:
            path = f"{form.LAKE}/{key}"
            with store.open(key) as source:
                saved.append(files.copy_in(source, folder, path))
    for place in found.landed:
        path = f"{form.LANDING}/{place.relative_to(settings.LANDING_DIR).as_posix()}"
        try:
            with place.open("rb") as source:
                saved.append(files.copy_in(source, folder, path))
        except FileNotFoundError:
            continue  # checked meanwhile: its bytes are in Bronze, and its row is repeated after a restore
    return saved


def _file_of(folder: Path, path: str) -> File:
    digest, size = form.digest(folder / path)
    return File(path, digest, size)


def _key_files() -> dict[str, bytes]:
    keys.token(*CHECK_WORD)  # makes what is not there yet
    keys.trust_anchor()
    return dict(_read_keys())


def _read_keys() -> Iterator[tuple[str, bytes]]:
    for path in sorted((Path(settings.HOME) / "keys").glob("*.key")):
        yield path.name, path.read_bytes()


def copy_tree_out(manifest: Manifest, folder: Path, part: str, target: Path) -> int:
    """Copy a part of a backup to ``target``; files that are there whole already are left. Returns how many were copied."""
    copied = 0
    wanted = {one.path.removeprefix(f"{part}/"): one for one in manifest.files if one.path.startswith(f"{part}/")}
    for name, one in wanted.items():
        place = target / name
        if place.is_file() and form.digest(place) == (one.sha256, one.size_bytes):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_name(f".{place.name}.part")
        shutil.copyfile(folder / one.path, partial)
        partial.replace(place)
        copied += 1
    return copied
