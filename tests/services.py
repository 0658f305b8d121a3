"""Real PostgreSQL and Redis for a test run, started before Django reads its settings (``-p tests.services``).

Every pytest main process has servers and a home of its own, ``var/test/<pid>`` (or ``TOUCHSTONE_TEST_HOME``): they start in
about a second, and runs side by side cannot meet. xdist workers use the servers of their main process, each with its own
database (pytest-django's suffix), Redis database and home. Servers named by DATABASE_URL or REDIS_URL are used as they are.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from controlplane.embedded.home import ROOT, Home
from controlplane.embedded.locks import FileLock
from controlplane.embedded.services import Services

TEST_HOMES = ROOT / "var" / "test"
BASE_VARIABLE = "TOUCHSTONE_TEST_BASE"  # set for the xdist workers by their main process


def _start() -> None:
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    base = os.environ.get(BASE_VARIABLE)
    if worker and base:
        _use(Path(base) / worker, redis_database=1 + int(worker.removeprefix("gw")))
        return
    chosen = os.environ.get("TOUCHSTONE_TEST_HOME")
    home = Home.of(chosen or TEST_HOMES / str(os.getpid()))
    _remove_leftovers()
    services = Services(home, fast=True)
    os.environ.update(services.start())
    os.environ[BASE_VARIABLE] = str(home.path)
    _use(home.path / "main", redis_database=0)
    main_process = os.getpid()

    def finish() -> None:
        if os.getpid() == main_process:  # a forked child must not stop what its parent uses
            services.stop() if chosen else services.destroy()

    atexit.register(finish)
    # Without this a `kill` or a CI timeout would leave the servers behind: atexit does not run on SIGTERM.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143) if os.getpid() == main_process else os._exit(143))


def _use(home: Path, *, redis_database: int) -> None:
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)  # the main process's; each worker keeps its own counts
    home.mkdir(parents=True, exist_ok=True)
    os.environ["TOUCHSTONE_HOME"] = str(home)
    os.environ["TOUCHSTONE_ENVIRONMENT"] = "qa"
    parts = urlsplit(os.environ["REDIS_URL"])
    os.environ["REDIS_URL"] = urlunsplit(parts._replace(path=f"/{redis_database}"))


def _remove_leftovers() -> None:
    """Servers and folders of test runs that were killed: nobody holds their users' lock any more."""
    for folder in TEST_HOMES.glob("*/run/users.lock"):
        lock = FileLock(folder)
        if lock.acquire():
            lock.release()
            Services(Home(folder.parent.parent.resolve()), fast=True).destroy()


_start()
