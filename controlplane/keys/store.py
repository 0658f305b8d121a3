"""Where keys live: files of mode 600 under ``HOME/keys``, or the environment of a deployment with a secret store.

``TOUCHSTONE_SIGNING_KEY`` and ``TOUCHSTONE_TOKEN_KEY`` (base64 of 32 bytes each) take precedence over the files. A file is
``<purpose>-<number>.key`` (base64); the highest number is in use, the lower ones stay to verify what they signed.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import stat
from pathlib import Path
from typing import Literal

from django.conf import settings

from controlplane.keys.errors import KeyFault

Purpose = Literal["signing", "token"]
KEY_BYTES = 32
_NAME = re.compile(r"(signing|token)-(\d{4})\.key")


def folder() -> Path:
    return Path(settings.HOME) / "keys"


def variable(purpose: Purpose) -> str:
    return f"TOUCHSTONE_{purpose.upper()}_KEY"


def load(purpose: Purpose) -> list[bytes]:
    """All keys of a purpose, the one in use last; the first is made when there is none. Raises KeyFault."""
    given = os.environ.get(variable(purpose))
    if given:
        # Files of earlier days still verify what they signed.
        return [*map(_read, _files(purpose)), _decode(given, variable(purpose))]
    found = _files(purpose)
    if not found:
        create(purpose, number=1)
        found = _files(purpose)
    return [_read(path) for path in found]


def create(purpose: Purpose, *, number: int) -> bool:
    """Make key file ``number``; False when another process was first, whose key then counts."""
    home = folder()
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = home / f".{purpose}.{secrets.token_hex(6)}"
    # Mode from the first instant, and linked into place whole: nobody reads a key early or half.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode() + "\n")
            file.flush()
            os.fsync(file.fileno())
        (home / f"{purpose}-{number:04d}.key").hardlink_to(temporary)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    return True


def rotate(purpose: Purpose) -> int:
    """Put a new key in use and return its number. Raises KeyFault when the key comes from the environment."""
    if os.environ.get(variable(purpose)):
        raise KeyFault(f"the {purpose} key comes from {variable(purpose)}: rotate it there")
    while True:
        files = _files(purpose)
        number = 1 + (int(files[-1].stem.rsplit("-", 1)[1]) if files else 0)
        if create(purpose, number=number):
            return number


def _files(purpose: Purpose) -> list[Path]:
    found = [path for path in folder().glob(f"{purpose}-*.key") if _NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: path.name)


def _read(path: Path) -> bytes:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise KeyFault(f"{path.name} may be read by others (mode {mode:o}); run: chmod 600 on it, and rotate it")
    return _decode(path.read_text(), path.name)


def _decode(text: str, name: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError as fault:
        raise KeyFault(f"{name} is not base64") from fault
    if len(key) != KEY_BYTES:
        raise KeyFault(f"{name} holds {len(key)} bytes instead of {KEY_BYTES}")
    return key
