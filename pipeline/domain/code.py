"""Which code made a figure."""

from __future__ import annotations

import hashlib
import subprocess
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_MAKES_FIGURES = ("pipeline/sql", "pipeline/services", "pipeline/domain", "controlplane/lake")


@lru_cache(maxsize=1)
def code_version() -> str:
    """Hash (16 hex digits) of the files that decide what a table holds."""
    digest = hashlib.sha256()
    for folder in _MAKES_FIGURES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in {".py", ".sql", ".j2"}:
                digest.update(path.relative_to(ROOT).as_posix().encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=1)
def commit() -> str:
    """The commit of the checkout, or empty outside one."""
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, timeout=5, check=True, text=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
