"""The whole installation on one machine: services, web, worker, beat, relay; started, watched and stopped together."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, TextIO

from controlplane.embedded import processes
from controlplane.embedded.errors import AlreadyRunning, EmbeddedError, PortTaken
from controlplane.embedded.home import ROOT, Home, read_json, write_private
from controlplane.embedded.locks import FileLock
from controlplane.embedded.services import Services

WEB_PATIENCE_S = 90.0
BACKOFF_MAX_S = 30.0
STEADY_S = 60.0  # a process that ran this long starts again without delay
POLL_S = 0.2


@dataclass
class Program:
    """One supervised process. ``signals`` ask it to end, each with the seconds it gets."""

    name: str
    command: list[str]
    signals: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, 10.0),)
    environment: Mapping[str, str] = field(default_factory=dict)
    child: subprocess.Popen[bytes] | None = None
    known: dict[str, Any] = field(default_factory=dict)
    started_at: float = 0.0
    failures: int = 0
    again_at: float = 0.0


def programs(port: int, host: str = "127.0.0.1") -> list[Program]:
    """What runs beside the services, in the order of starting; stopped in the reverse order."""
    python = sys.executable
    celery = [python, "-m", "celery", "-A", "controlplane"]
    return [
        Program(
            "web",
            [
                *(python, "-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port), "--no-ws"),
                *("--workers", "1", "--blocking-threads", "8", "--respawn-failed-workers"),
                "controlplane.wsgi:application",
            ],
        ),
        Program(
            "worker",
            [*celery, "worker", "--queues", "default,pipeline,landing", "--without-gossip", "--without-mingle"],
            # Warm first: a step in flight may finish. Work that is cut off is done again, so no step has to be waited for.
            signals=((signal.SIGTERM, 20.0), (signal.SIGQUIT, 5.0)),
        ),
        Program(
            # Lineage is folded by a process of its own, so that it never waits behind a pipeline step. One thread: writers take
            # turns, and a pool of processes would only hold memory.
            "lineage",
            [
                *(*celery, "worker", "--queues", "lineage", "--hostname", "lineage@%h", "--pool", "threads"),
                *("--concurrency", "1", "--without-gossip", "--without-mingle"),
            ],
            signals=((signal.SIGTERM, 20.0), (signal.SIGQUIT, 5.0)),
        ),
        Program("relay", [python, "manage.py", "relay"]),
        Program("beat", [*celery, "beat"]),
    ]


class Supervisor:
    """Runs an installation until it is told to stop.

    Parameters
    ----------
    port
        Of the web server; PortTaken when it is in use, before anything is started.
    task
        A command that runs in the foreground once the web server answers (the demo), with our terminal as its output.
    once
        Stop everything when the task ends, with its exit code.
    """

    def __init__(
        self,
        home: Home,
        *,
        port: int = 8000,
        host: str = "127.0.0.1",
        task: Sequence[str] | None = None,
        once: bool = False,
        output: TextIO | None = None,
    ) -> None:
        self.home = home
        self.port = port
        self.once = once
        self.services = Services(home)
        self.programs = programs(port, host)
        self.task = Program("task", list(task), signals=((signal.SIGINT, 20.0), (signal.SIGTERM, 5.0))) if task else None
        self._output = output or sys.stdout
        self._lock = FileLock(home.run / "supervisor.lock")
        self._stops = 0
        self._code = 0

    # -- the life of an installation ------------------------------------------------------------------------------------

    def run(self) -> int:
        """Start everything, watch it, stop everything; the exit code."""
        self.home.make()
        self._lock_home()
        old = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            end_leftovers(self.home)
            self._require_free_port()
            self._start()
            self._watch()
        except _Stopped:
            pass
        finally:
            self._stop()
            for number, handler in old.items():
                signal.signal(number, handler)
        return self._code

    def _start(self) -> None:
        self._say(
            "Starting PostgreSQL and Redis …" if self.services.wanted else "Using the services that the environment names."
        )
        self.services.start()
        self._checkpoint()
        self._say("Preparing the database …")
        self._migrate()
        for program in self.programs:
            self._launch(program)
        self._wait_for_web()
        self._say(f"Touchstone is at http://localhost:{self.port}   (state in {self.home.path}, logs in its folder log)")
        if self.task is None:
            for line in self._first_steps():
                self._say(line)
            self._say("Ctrl-C stops everything.")
        else:
            self.task.child = subprocess.Popen(self.task.command, cwd=ROOT, env=self._environment(), start_new_session=True)
            self.task.known = processes.identity(self.task.child.pid) or {}
            self._note_children()

    def _watch(self) -> None:
        checked = trimmed = time.monotonic()
        while True:
            self._checkpoint()
            for program in self.programs:
                self._keep_running(program)
            now = time.monotonic()
            if now - checked > 2:
                checked = now
                if dead := self.services.dead():
                    self._say(f"{' and '.join(dead)} stopped; starting again.")
                    self.services.start()
            if now - trimmed > 30:
                trimmed = now
                for log in self.home.log.glob("*.log"):
                    processes.trim_log(log)
            if self.task is not None and self.task.child is not None and (code := self.task.child.poll()) is not None:
                self.task.child = None
                if self.once or code != 0:
                    self._code = code if code >= 0 else 128 - code
                    return
            time.sleep(POLL_S)

    def _stop(self) -> None:
        running = [p for p in ([self.task] if self.task else []) + self.programs[::-1] if p.known]
        if running:
            self._say("Stopping …")
        for program in running:
            # A second Ctrl-C: whoever insists does not want to wait.
            processes.end(program.known, () if self._stops > 1 else program.signals)
            program.known = {}
            self._note_children()
        self.services.stop()
        (self.home.run / "supervisor.json").unlink(missing_ok=True)
        self._lock.release()
        if running:
            self._say("Stopped.")

    # -- steps ----------------------------------------------------------------------------------------------------------

    def _lock_home(self) -> None:
        if not self._lock.acquire():
            holder = read_json(self._lock.path)
            raise AlreadyRunning(
                f"Touchstone already runs from {self.home.path} (process {holder.get('pid', '?')}, "
                f"http://localhost:{holder.get('port', '?')}). Stop it, or set TOUCHSTONE_HOME and PORT for a second copy."
            )
        self._lock.write(json.dumps((processes.identity(os.getpid()) or {}) | {"port": self.port}))

    def _require_free_port(self) -> None:
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0")):  # noqa: S104  (probed, not served)
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((address, self.port))
                except OSError as error:
                    raise PortTaken(
                        f"Port {self.port} cannot be used ({error.strerror}). Nothing was started. "
                        f"Choose another one, for example PORT={self.port + 1 if self.port < 65535 else 8000}."
                    ) from None

    def _migrate(self) -> None:
        log = self.home.log / "migrate.log"
        log.unlink(missing_ok=True)
        command = [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity", "1"]
        program = Program("migrate", command)
        self._launch(program)
        assert program.child is not None
        try:
            while (code := program.child.poll()) is None:
                self._checkpoint()
                time.sleep(0.05)
        except _Stopped:
            processes.end(program.known, program.signals)
            raise
        if code != 0:
            raise EmbeddedError(f"The database could not be prepared. The end of {log} says:\n{processes.tail(log, 30)}")

    def _launch(self, program: Program) -> None:
        log = self.home.log / f"{program.name}.log"
        program.child = processes.spawn(program.command, log=log, env=self._environment(), cwd=ROOT)
        program.known = processes.identity(program.child.pid) or {}
        program.started_at = time.monotonic()
        self._note_children()

    def _keep_running(self, program: Program) -> None:
        """Start a program again that ended by itself: at once after a long life, else with growing patience."""
        now = time.monotonic()
        if program.child is not None and (code := program.child.poll()) is not None:
            program.child = None
            processes.end(program.known, ())  # its children, if it left any
            program.known = {}
            program.failures = 0 if now - program.started_at > STEADY_S else program.failures + 1
            wait_s = min(BACKOFF_MAX_S, 2.0 ** (program.failures - 1)) if program.failures else 0.0
            program.again_at = now + wait_s
            self._say(
                f"{program.name} ended with code {code}; again in {wait_s:.0f} s (see {self.home.log / program.name}.log)."
            )
        if program.child is None and now >= program.again_at:
            self._launch(program)

    def _wait_for_web(self) -> None:
        web = self.programs[0]
        deadline = time.monotonic() + WEB_PATIENCE_S
        while not answers(self.port):
            self._checkpoint()
            for program in self.programs[1:]:
                self._keep_running(program)
            log = self.home.log / "web.log"
            if web.child is None or web.child.poll() is not None:
                raise EmbeddedError(f"The web server did not start. The end of {log} says:\n{processes.tail(log, 30)}")
            if time.monotonic() > deadline:
                raise EmbeddedError(f"The web server did not answer within {WEB_PATIENCE_S:.0f} s. See {log}.")
            time.sleep(0.1)

    def _first_steps(self) -> list[str]:
        """How to make the first administrator, as long as nobody can sign in."""
        import psycopg

        url = os.environ.get("DATABASE_URL") or read_json(self.home.services_file)["database_url"]
        try:
            with psycopg.connect(url, connect_timeout=5) as connection:
                if connection.execute("SELECT 1 FROM accounts_user WHERE is_active LIMIT 1").fetchone() is not None:
                    return []
        except psycopg.Error:
            return []  # a hint is no reason to fail
        place = "" if self.home == Home.of(environ={}) else f"TOUCHSTONE_HOME='{self.home.path}' "
        return [
            "Nobody can sign in yet. To make the first administrator:",
            f"    {place}.venv/bin/python manage.py admin create NAME",
        ]

    def _environment(self) -> dict[str, str]:
        metrics = self.home.run / "metrics"  # one folder for all processes, known before any of them imports the client library
        metrics.mkdir(exist_ok=True)
        own = {
            "TOUCHSTONE_HOME": str(self.home.path),
            "PORT": str(self.port),
            "PYTHONUNBUFFERED": "1",
            "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        }
        # glibc keeps an arena per thread and core otherwise; the processes here are many and mostly idle.
        return {"MALLOC_ARENA_MAX": "2"} | os.environ | own

    def _note_children(self) -> None:
        """Leave word of what runs, for the case that we are killed."""
        known = {p.name: p.known for p in [*self.programs, *([self.task] if self.task else [])] if p.known}
        write_private(self.home.run / "supervisor.json", json.dumps({"port": self.port, "children": known}))

    # -- being told to stop ---------------------------------------------------------------------------------------------

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stops += 1

    def _checkpoint(self) -> None:
        if self._stops:
            raise _Stopped

    def _say(self, text: str) -> None:
        self._output.write(text + "\n")
        self._output.flush()


class _Stopped(Exception):
    """The person at the keyboard wants to stop."""


def answers(port: int) -> bool:
    """Whether the web server on this port is up."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False
    except OSError:
        return False


def end_leftovers(home: Home) -> list[str]:
    """End what a killed supervisor left running; the names of what was ended. The caller holds the supervisor's lock."""
    noted = home.run / "supervisor.json"
    ended = []
    for name, known in read_json(noted).get("children", {}).items():
        if processes.is_alive(known):
            processes.end(known, [(signal.SIGTERM, 10.0)])
            ended.append(name)
    noted.unlink(missing_ok=True)
    return ended


def stop(home: Home, *, say: Callable[[str], object] = lambda _text: None) -> None:
    """Stop the supervisor of a home and wait for it; then whatever a killed one left."""
    if not home.run.is_dir():
        return
    lock = FileLock(home.run / "supervisor.lock")
    if not lock.acquire():
        holder = read_json(lock.path)
        if processes.is_alive(holder):
            say(f"Stopping the supervisor, process {holder['pid']} …")
            os.kill(int(holder["pid"]), signal.SIGTERM)
        if not lock.acquire(timeout_s=90):
            raise EmbeddedError(f"The supervisor (process {holder.get('pid')}) did not stop within 90 s.")
    try:
        end_leftovers(home)
        Services(home, environ={}).stop(force=True)
    finally:
        lock.release()
