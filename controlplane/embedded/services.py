"""The services of one home: who started them, who uses them, where they are.

Three lock files under ``HOME/run`` keep several processes of one home from stepping on each other. All are ``flock``s, which
the kernel drops when their holder dies:

``services.lock``   held exclusively while servers are started or stopped;
``users.lock``      held shared by everyone who uses the servers: only the last one out stops them;
``supervisor.lock`` held by the supervisor of the whole installation (see ``supervisor.py``).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from typing import Any

from controlplane.embedded.errors import EmbeddedError
from controlplane.embedded.home import Home, read_json, write_private
from controlplane.embedded.locks import FileLock, exclusive
from controlplane.embedded.postgres import Postgres
from controlplane.embedded.redis import Redis

LOCK_PATIENCE_S = 120.0
VARIABLES = {"postgres": "DATABASE_URL", "redis": "REDIS_URL"}


class Services:
    """PostgreSQL and Redis of one home, as far as the environment does not name others.

    Parameters
    ----------
    environ
        Where ``DATABASE_URL`` and ``REDIS_URL`` are looked up; a service whose variable is set is not started.
    fast
        No durability: for tests.
    """

    def __init__(self, home: Home, *, fast: bool = False, environ: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.fast = fast
        outside = os.environ if environ is None else environ
        self.wanted = [name for name, variable in VARIABLES.items() if not outside.get(variable)]
        self._servers: dict[str, Postgres | Redis] = {"postgres": Postgres(home, fast=fast), "redis": Redis(home, fast=fast)}
        self._users = FileLock(home.run / "users.lock")

    def start(self) -> dict[str, str]:
        """Start what is wanted and does not run; returns the variables to set, e.g. ``{"DATABASE_URL": …}``.

        May be called again: a server that died in the meantime is started on the same port.
        """
        self.home.make()
        with self._changing():
            if not self._users.held and not self._users.acquire(shared=True):
                raise EmbeddedError("The services of this home are being stopped; try again.")
            try:
                return self._start_wanted()
            except BaseException:
                self._stop_if_last()
                raise

    def stop(self, *, force: bool = False) -> bool:
        """Stop the servers unless somebody else still uses them; True when nothing is left running.

        ``force`` stops them under their users' feet.
        """
        if not self.home.run.is_dir():
            return True
        with self._changing():
            return self._stop_if_last(force=force)

    def status(self) -> dict[str, dict[str, Any] | None]:
        """Per service: identity and port, or None."""
        return {name: server.running() for name, server in self._servers.items()}

    def dead(self) -> list[str]:
        """Names of wanted services that do not run."""
        return [name for name in self.wanted if self._servers[name].running() is None]

    def destroy(self) -> None:
        """Stop everything and delete the whole home, with the data that lie outside of it."""
        self.stop(force=True)
        if self.home.postgres.is_symlink():
            outside = self.home.postgres.readlink()
            shutil.rmtree(outside.parent, ignore_errors=True)
        shutil.rmtree(self.home.path, ignore_errors=True)

    def _changing(self) -> Any:
        return exclusive(self.home.run / "services.lock", timeout_s=LOCK_PATIENCE_S)

    def _start_wanted(self) -> dict[str, str]:
        ports_file = self.home.run / "ports.json"
        ports = read_json(ports_file)
        written = read_json(self.home.services_file)
        found: dict[str, Any] = {"pids": {}}
        variables: dict[str, str] = {}
        for name, variable in VARIABLES.items():
            server = self._servers[name]
            known = server.start(ports.get(name)) if name in self.wanted else server.running()
            if known is None:
                continue
            ports[name] = known["port"]
            url = server.url(known["port"])
            found[variable.lower()] = url
            found["pids"][name] = known["pid"]
            if name in self.wanted:
                variables[variable] = url
        if found != written:
            write_private(ports_file, json.dumps(ports))
            write_private(self.home.services_file, json.dumps(found))
        return variables

    def _stop_if_last(self, *, force: bool = False) -> bool:
        self._users.release()
        others = FileLock(self.home.run / "users.lock")
        alone = others.acquire()
        try:
            if not alone and not force:
                return False
            for server in reversed(self._servers.values()):
                server.stop()
            self.home.services_file.unlink(missing_ok=True)
            return True
        finally:
            others.release()
