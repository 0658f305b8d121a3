"""Which files of the lake belong to a backup, and how they are written."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from controlplane.backup.domain.manifest import File
from controlplane.backup.errors import BackupError
from controlplane.lake import services as lake

_LOG_ENTRY = re.compile(r"(\d{20})(\.json|\.checkpoint(\.\d+\.\d+)?\.parquet)")
# Delta tables lie below these; everything else in the lake is objects.
LAYERS = ("silver", "gold")


def tables() -> list[str]:
    """Every Delta table of the lake, whoever made it."""
    found = set()
    for layer in LAYERS:
        for key in lake.store().list(f"{layer}/"):
            before, marker, _ = key.partition("/_delta_log/")
            if marker:
                found.add(before)
    return sorted(found)


def table_files(table: str, version: int) -> list[str]:
    """Keys of exactly the files that a version of a table is made of: its data, and the log up to it."""
    keys = [f"{table}/{path}" for path in lake.table_files(table, version=version)]
    for key in lake.store().list(f"{table}/_delta_log/"):
        entry = _LOG_ENTRY.fullmatch(key.rpartition("/")[2])
        if entry and int(entry[1]) <= version:
            keys.append(key)
    return keys


def objects() -> Iterator[str]:
    """Keys of the raw drops, their records as text, and what was refused."""
    for key in lake.store().list(""):
        if key.partition("/")[0] not in LAYERS:
            yield key


def copy_in(source: IO[bytes], folder: Path, path: str) -> File:
    """Copy a stream to ``folder/path`` and hash it on the way; durable when it returns."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest, size = hashlib.sha256(), 0
    with target.open("xb") as out:
        while block := source.read(2**20):
            digest.update(block)
            size += len(block)
            out.write(block)
        out.flush()
        os.fsync(out.fileno())
    return File(path, digest.hexdigest(), size)


def write_new(path: Path, data: bytes) -> None:
    """Write a file that only its owner reads. BackupError when there is one already."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise BackupError(f"{path} is there already") from None
    with os.fdopen(descriptor, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
