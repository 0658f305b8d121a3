"""The evidence bundle: a zip whose manifest names and hashes every entry, signed. Plain Python, written and read alike.

The same content gives the same bytes: entries in the order of their names, one fixed time, stored with one compression.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controlplane.keys.domain.canonical import canonical_json

FORMAT = "touchstone-evidence/1"
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig.json"
RECIPE, FILES, QUALITY, TRAIL, REPRODUCTION = "recipe.json", "files.json", "quality.json", "trail.json", "reproduction.json"
CHECKPOINT, LINKS, KEYS, README = "audit/checkpoint.json", "audit/links.jsonl", "keys.json", "README.txt"
SQL_FOLDER, CONTRACT_FOLDER = "sql", "contracts"

MAX_ENTRIES = 20_000
MAX_BYTES = 512 * 2**20  # of all entries unpacked: a verifier must not be brought down by what it verifies
_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say


class BadBundle(Exception):
    """The file is no evidence bundle, or is damaged beyond reading."""


@dataclass(frozen=True)
class Contents:
    """A bundle as it was read: the bytes of every entry by name."""

    entries: Mapping[str, bytes]

    def json(self, name: str) -> Any:
        """An entry as JSON; BadBundle when it is missing or is none."""
        try:
            return json.loads(self.entries[name])
        except KeyError:
            raise BadBundle(f"{name} is missing") from None
        except ValueError:
            raise BadBundle(f"{name} is not JSON") from None


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def manifest_of(entries: Mapping[str, bytes], figure: Mapping[str, Any]) -> bytes:
    """The manifest over entries, as canonical JSON: what is signed."""
    listed = [{"path": path, "sha256": sha256_of(data), "size_bytes": len(data)} for path, data in sorted(entries.items())]
    return canonical_json({"format": FORMAT, "figure": dict(figure), "entries": listed})


def pack(entries: Mapping[str, bytes]) -> bytes:
    """Entries as a zip, the same bytes every time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, data in sorted(entries.items()):
            info = zipfile.ZipInfo(path, _TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system, info.external_attr = 3, 0o644 << 16  # whatever system packs it
            archive.writestr(info, data, compresslevel=6)
    return buffer.getvalue()


def unpack(data: bytes) -> Contents:
    """The entries of a zip. Raises BadBundle for what is no zip, names an entry twice, or would unpack to more than a limit."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            listed = archive.infolist()
            if len(listed) > MAX_ENTRIES or sum(one.file_size for one in listed) > MAX_BYTES:
                raise BadBundle("it unpacks to more than an evidence bundle may hold")
            names = [one.filename for one in listed]
            if len(set(names)) < len(names):
                raise BadBundle("it names an entry twice")
            return Contents({one.filename: archive.read(one) for one in listed})
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, NotImplementedError, ValueError) as fault:
        raise BadBundle(f"it is not a whole zip file ({fault})") from fault


README_TEXT = """\
Evidence for one published figure, as Touchstone kept it.

manifest.json        the figure, and every other file in here with its SHA-256; canonical JSON (RFC 8785)
manifest.sig.json    signature over manifest.json (Ed25519)
recipe.json          the tables the figure was computed from, step by step: contract, SQL, partitions, raw files, content hash
files.json           the raw files: address, SHA-256, size, records
contracts/, sql/     the contracts (ODCS) and the SQL texts that ran, as they were then
quality.json         verdicts on each table when it was made
trail.json           the same way as the provenance page shows it
reproduction.json    the newest reproduction of the figure, when there is one
audit/               a signed checkpoint of the audit log, and the chained entries up to it that concern this figure
keys.json            public keys; trust them only when they are the ones that the installation publishes elsewhere

Verify it without any database, in a checkout of Touchstone:

    python manage.py evidence verify FILE --trust-anchor touchstone-keys.json

where touchstone-keys.json comes from https://<installation>/.well-known/touchstone-keys.json, fetched by yourself.
"""
