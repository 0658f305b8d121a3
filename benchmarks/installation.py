"""An installation of its own for a benchmark: a temporary home, embedded services, the real processes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from controlplane.embedded.home import ROOT
from controlplane.embedded.processes import free_port

START_PATIENCE_S = 180.0
STOP_PATIENCE_S = 120.0
# What the caller's own installation uses must not leak into this one.
OUTSIDE = ("DATABASE_URL", "REDIS_URL", "TOUCHSTONE_HOME", "PROMETHEUS_MULTIPROC_DIR", "PORT", "MAKEFLAGS", "ONLY")


class Installation:
    """As a context: started on entry, stopped and deleted on exit, whatever happened in between.

    ``programs`` False starts PostgreSQL and Redis only; what the benchmark then calls runs in its own process.
    """

    def __init__(self, *, programs: bool = True, environment: dict[str, str] | None = None) -> None:
        self.programs = programs
        self.home = Path(tempfile.mkdtemp(prefix="touchstone-bench-"))
        self.port = free_port()
        self.extra = environment or {}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        outside = {name: value for name, value in os.environ.items() if name not in OUTSIDE}
        return outside | {"TOUCHSTONE_HOME": str(self.home), "PORT": str(self.port), "PYTHONUNBUFFERED": "1"} | self.extra

    def __enter__(self) -> Installation:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.close()

    def _start(self) -> None:
        python = sys.executable
        command = [python, "-m", "controlplane.embedded", "up"]
        if not self.programs:
            waiting = [python, "-c", "import time; time.sleep(10**8)"]
            command = [python, "-m", "controlplane.embedded", "run", "--", *waiting]
        with (self.home / "up.log").open("wb") as log:
            # A session of its own: Ctrl-C reaches this process only, which then stops everything in order.
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        deadline = time.monotonic() + START_PATIENCE_S
        while not self._ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the installation did not start:\n{(self.home / 'up.log').read_text()[-3000:]}")
            time.sleep(0.2)
        if not self.programs:
            self.manage("migrate", "--no-input", "--verbosity", "0")

    def _ready(self) -> bool:
        if not self.programs:
            found = self.services()
            return bool(found.get("database_url") and found.get("redis_url"))
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def services(self) -> dict[str, Any]:
        """What ``run/services.json`` says; empty before the services are up."""
        try:
            found: dict[str, Any] = json.loads((self.home / "run" / "services.json").read_text())
        except (OSError, ValueError):
            return {}
        return found

    def manage(self, *arguments: str) -> str:
        """Run ``manage.py`` in this home; what it printed. Raises RuntimeError with its complaint."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"manage.py {' '.join(arguments)}: {done.stderr[-3000:]}")
        return done.stdout.strip()

    def connect(self) -> None:
        """Make this process a part of the installation, for reading its database and lake. Once per process."""
        for name in OUTSIDE:
            os.environ.pop(name, None)
        os.environ |= {
            "TOUCHSTONE_HOME": str(self.home),
            "PORT": str(self.port),
            "DJANGO_SETTINGS_MODULE": "controlplane.settings",
        }
        os.environ |= self.extra
        import logging

        import django

        django.setup()
        logging.getLogger().setLevel(logging.ERROR)

    def key(self) -> str:
        """A new API key that may read figures."""
        return self.manage("apikey", "create", f"bench-{time.time_ns()}", "--role", "auditor", "--namespace", "*")

    def restart(self, *, programs: bool) -> None:
        """Stop everything in order and start it again on the same home, with or without the programs."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(STOP_PATIENCE_S)
        self.programs = programs
        self._start()

    def close(self) -> None:
        """Stop every process and delete the home."""
        with ignored_interrupts():
            if self.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    self.process.send_signal(signal.SIGTERM)
                try:
                    self.process.wait(STOP_PATIENCE_S)
                except subprocess.TimeoutExpired:
                    self.process.kill()
            command = [sys.executable, "-m", "controlplane.embedded", "destroy", "--home", str(self.home), "--yes"]
            subprocess.run(command, cwd=ROOT, check=False, capture_output=True)
            shutil.rmtree(self.home, ignore_errors=True)


@contextlib.contextmanager
def ignored_interrupts() -> Iterator[None]:
    """Cleaning up is not cut short by a second Ctrl-C."""
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)
