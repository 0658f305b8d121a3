"""Whole installations and a real browser for the end-to-end tests."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from controlplane.embedded.home import ROOT, Home
from controlplane.embedded.services import Services
from controlplane.embedded.supervisor import stop

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# What the test run itself uses must not leak into an installation that is to start its own.
OWN = ("DATABASE_URL", "REDIS_URL", "TOUCHSTONE_HOME", "TOUCHSTONE_ENVIRONMENT", "PROMETHEUS_MULTIPROC_DIR", "PORT")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@dataclass
class Installation:
    """A running copy of Touchstone in a home and on a port of its own, started as ``make up`` does."""

    home: Path
    port: int
    environ: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name not in OWN}
        return inherited | {"TOUCHSTONE_HOME": str(self.home), "PORT": str(self.port)} | self.environ

    def up(self, *arguments: str, patience_s: float = 120) -> None:
        """Start it and wait until it is ready."""
        output = self.home / "up.log"
        self.home.mkdir(parents=True, exist_ok=True)
        with output.open("wb") as log:
            command = [sys.executable, "-m", "controlplane.embedded", "up", *arguments]
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + patience_s
        # Its own word first: the web server of a killed predecessor may still answer on the same port.
        while "Touchstone is at" not in output.read_text() or not self.answers("/readyz"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"The installation did not become ready:\n{output.read_text()}")
            time.sleep(0.2)

    def answers(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def manage(self, *arguments: str, patience_s: float = 120) -> str:
        """Run ``manage.py`` against it; what it prints. Fails the test on a non-zero exit."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=patience_s, check=False
        )
        assert done.returncode == 0, f"manage.py {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def interrupt(self, patience_s: float = 60) -> int:
        """Ctrl-C; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(patience_s)

    def destroy(self) -> None:
        stop(Home(self.home.resolve()))
        if self.process is not None and self.process.poll() is None:
            self.process.wait(30)
        Services(Home(self.home.resolve()), environ={}).destroy()


def installation_in(folder: Path) -> Iterator[Installation]:
    made = Installation(folder, free_port())
    try:
        yield made
    finally:
        made.destroy()


@pytest.fixture(scope="session")
def installation() -> Iterator[Installation]:
    """An installation without the demo world, shared by the tests of a run."""
    for made in installation_in(Path(os.environ["TOUCHSTONE_HOME"]) / "installation"):
        made.up()
        yield made


@pytest.fixture
def new_installation(request: pytest.FixtureRequest) -> Iterator[Installation]:
    """An installation of this test alone, not started yet. In a folder with a space in its name, on purpose."""
    folder = Path(os.environ["TOUCHSTONE_HOME"]) / f"own installation {abs(hash(request.node.nodeid)) % 10**8}"
    yield from installation_in(folder)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium of this machine; skips where there is none."""
    found = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("there is no Chromium on this machine (sh deploy/chromium.sh installs one as root on Debian)")
    from playwright.sync_api import sync_playwright

    # The sandbox needs user namespaces that containers and root do not have; the pages are our own.
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield started
        started.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB", timezone_id="Europe/Paris")
    made.set_default_timeout(15_000)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture(params=["light", "dark"])
def look(request: pytest.FixtureRequest, browser: Browser) -> Iterator[BrowserContext]:
    """A browser that prefers light, and one that prefers dark."""
    made = browser.new_context(color_scheme=request.param, locale="en-GB", reduced_motion="reduce")
    made.set_default_timeout(15_000)
    yield made
    made.close()
