"""``make up``: everything starts on an empty home, survives what people do to it, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from controlplane.embedded.home import Home, read_json
from controlplane.embedded.processes import is_alive
from controlplane.embedded.services import Services
from tests.e2e.conftest import Installation

pytestmark = pytest.mark.e2e


def children(home: Path) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = read_json(home / "run" / "supervisor.json").get("children", {})
    return found


def mentioning(home: Path) -> list[str]:
    """Processes that belong to a home: by their environment or their command line."""
    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            if process.pid != os.getpid() and (str(home) in line or process.environ().get("TOUCHSTONE_HOME") == str(home)):
                found.append(line)
        except psutil.Error:
            continue
    return found


def test_an_empty_home_is_prepared_and_everything_stops_at_ctrl_c(new_installation: Installation) -> None:
    new_installation.up()
    said = (new_installation.home / "up.log").read_text()
    assert f"Touchstone is at {new_installation.url}" in said
    assert "manage.py admin create NAME" in said
    assert set(children(new_installation.home)) == {"web", "worker", "lineage", "relay", "beat"}
    key = new_installation.manage("apikey", "create", "shop", "--role", "producer", "--namespace", "*")
    assert len(key.splitlines()) == 1
    assert new_installation.interrupt() == 0
    assert mentioning(new_installation.home) == []


def test_a_killed_process_is_started_again(new_installation: Installation) -> None:
    new_installation.up()
    before = children(new_installation.home)
    os.kill(int(before["relay"]["pid"]), signal.SIGKILL)
    deadline = time.monotonic() + 30
    after = before
    # The killed one stands in the record for a moment, and in the process table until it is collected.
    while after.get("relay") in (None, before["relay"]) and time.monotonic() < deadline:
        time.sleep(0.1)
        after = children(new_installation.home)
    assert after["relay"] != before["relay"]
    assert is_alive(after["relay"])
    assert after["web"] == before["web"]


def test_after_a_killed_supervisor_the_next_one_starts_clean(new_installation: Installation) -> None:
    new_installation.up()
    assert new_installation.process is not None
    before = children(new_installation.home)
    new_installation.process.kill()
    new_installation.process.wait()
    assert is_alive(before["web"])
    new_installation.up()
    assert not any(is_alive(known) for known in before.values())
    assert set(children(new_installation.home)) == {"web", "worker", "lineage", "relay", "beat"}
    assert new_installation.interrupt() == 0
    assert Services(Home(new_installation.home.resolve()), environ={}).status() == {"postgres": None, "redis": None}
