"""The folder that holds all state, and how files in it are written."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Home:
    """Paths under ``TOUCHSTONE_HOME``. A relative home is relative to the checkout, as in the settings."""

    path: Path

    @classmethod
    def of(cls, value: str | os.PathLike[str] | None = None, environ: Mapping[str, str] | None = None) -> Home:
        chosen = value or (os.environ if environ is None else environ).get("TOUCHSTONE_HOME") or "var"
        # Resolved once, here: a service is recognised by the path it was started with.
        return cls((ROOT / Path(chosen)).resolve())

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def services_file(self) -> Path:
        return self.run / "services.json"

    @property
    def postgres(self) -> Path:
        """Data directory of PostgreSQL, or a symbolic link to it."""
        return self.path / "postgres"

    @property
    def redis(self) -> Path:
        return self.path / "redis"

    def make(self) -> None:
        """Create the folders that are missing; folders that exist keep their permissions."""
        self.path.mkdir(parents=True, exist_ok=True)
        for folder in (self.run, self.log):
            folder.mkdir(exist_ok=True)
        (self.path / "secrets").mkdir(exist_ok=True, mode=0o700)

    def secret(self, name: str) -> str:
        """A secret of this installation, made once and kept with mode 600."""
        path = self.path / "secrets" / name
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            value = secrets.token_hex(24)
            write_private(path, value)
            return value


def write_private(path: Path, text: str) -> None:
    """Replace a file at once, readable by its owner only; a reader never sees half of it."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty when the file is missing or broken."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
