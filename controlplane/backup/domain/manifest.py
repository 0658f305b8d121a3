"""The manifest of a backup: every file with its SHA-256, signed. Enough to check a backup far from where it was made."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from controlplane.keys.domain.canonical import canonical_json
from controlplane.keys.domain.signing import Signature, holds

FORMAT = 1
MANIFEST, SIGNATURE, DATABASE, KEYS, LAKE, LANDING = (
    "manifest.json",
    "manifest.signature.json",
    "database.dump",
    "keys.sealed.json",
    "lake",
    "landing",
)
_OWN = {MANIFEST, SIGNATURE}


@dataclass(frozen=True)
class File:
    """A file of the backup; ``path`` relative to it, with slashes."""

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Manifest:
    """What a backup holds. ``tables``: lake table → Delta version. ``keys``: sealed, left_out or environment.

    ``token_check`` is the token of a fixed word: it tells whether other keys are those that the data were made with.
    """

    taken_at: str
    database: dict[str, Any]
    lake_root: str
    landing_root: str
    tables: dict[str, int]
    keys: str
    keys_from_environment: list[str]
    token_check: str
    files: list[File] = field(default_factory=list)
    format: int = FORMAT

    def as_bytes(self) -> bytes:
        return canonical_json(asdict(self))

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """ValueError when it is no manifest of a format that this version reads, or names a file outside of the backup."""
        try:
            body = json.loads(data)
            files = [File(**one) for one in body.pop("files")]
            made = cls(**body, files=files)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{MANIFEST} is no manifest of a backup: {error}") from None
        if made.format != FORMAT:
            raise ValueError(f"{MANIFEST} has format {made.format}; this version reads format {FORMAT}")
        for one in made.files:
            parts = PurePosixPath(one.path).parts
            if not parts or one.path.startswith("/") or ".." in parts or "\\" in one.path:
                raise ValueError(f"{MANIFEST} names {one.path!r}, which does not stay inside the backup")
        return made


def digest(path: Path) -> tuple[str, int]:
    """SHA-256 and bytes of a file."""
    with path.open("rb") as source:
        made = hashlib.file_digest(source, "sha256")
        return made.hexdigest(), source.tell()


def check(folder: Path, *, anchor: dict[str, Any] | None = None) -> tuple[Manifest | None, list[str]]:
    """Read a backup whole and compare it with its manifest. Returns (manifest, faults); no faults, no doubt.

    ``anchor``: the published trust anchor of the installation. Without it the signature is held against the public key that the
    backup brings along, which shows damage but not who made it.
    """
    try:
        data = (folder / MANIFEST).read_bytes()
        manifest = Manifest.from_bytes(data)
    except OSError:
        return None, [f"{MANIFEST} is missing: this is no backup, or one that was not finished"]
    except ValueError as error:
        return None, [str(error)]
    faults = _signature_faults(folder, data, anchor)
    named = set()
    for one in manifest.files:
        named.add(one.path)
        path = folder / one.path
        if not path.is_file() or path.is_symlink():
            faults.append(f"{one.path} is missing")
        elif path.stat().st_size != one.size_bytes:
            faults.append(f"{one.path} has {path.stat().st_size} bytes instead of {one.size_bytes}")
        elif digest(path)[0] != one.sha256:
            faults.append(f"{one.path} has other contents than when it was saved")
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_dir() and name not in named and name not in _OWN:
            faults.append(f"{name} is not in the manifest")
    return manifest, faults


def _signature_faults(folder: Path, data: bytes, anchor: dict[str, Any] | None) -> list[str]:
    try:
        body = json.loads((folder / SIGNATURE).read_bytes())
        signature = Signature.from_dict(body["signature"])
        keys = (anchor or body["anchor"])["keys"]
        publics = [base64.b64decode(one["public_key"]) for one in keys]
    except OSError:
        return [f"{SIGNATURE} is missing"]
    except (ValueError, KeyError, TypeError, binascii.Error):
        return [f"{SIGNATURE} (or the trust anchor) cannot be read"]
    if not any(holds(public, data, signature) for public in publics):
        whose = "of that trust anchor" if anchor else "that the backup names"
        return [f"{MANIFEST} was not signed by a key {whose}"]
    return []
