"""One installation for all producers, and the environment each of them runs in."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.e2e.conftest import OWN, installation_in
from tests.producers import environments
from tests.producers.touchstone import Touchstone

PROGRAMS = Path(__file__).parent / "programs"
# Settings of producers on the machine that runs the tests must not reach the producers under test.
FOREIGN = ("OPENLINEAGE", "AIRFLOW", "DBT_", "SPARK", "PYTHONPATH", "VIRTUAL_ENV", "MARQUEZ")


@dataclass
class Environment:
    """The virtual environment of a producer, and what the producer is told about Touchstone."""

    name: str
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name not in OWN and not name.startswith(FOREIGN)}
        return inherited | {"PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}"} | self.variables

    def run(
        self,
        command: str,
        *arguments: str,
        cwd: Path | None = None,
        variables: Mapping[str, str] | None = None,
        text: str = "",
        expected: int | None = 0,
        patience_s: float = 240,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment. Fails the test on another exit code than expected (None: any)."""
        done = subprocess.run(
            [str(self.folder / command), *arguments],
            cwd=cwd,
            env=self.environ | dict(variables or {}),
            input=text,
            capture_output=True,
            text=True,
            timeout=patience_s,
            check=False,
        )
        if expected is not None and done.returncode != expected:
            pytest.fail(f"{command} {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    @contextmanager
    def started(self, command: str, *arguments: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """A command that runs on while the block does; then it and whatever it started is stopped."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(self.folder / command), *arguments],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            try:
                yield process
            finally:
                # Some children have a process group of their own, and some outlive their parent.
                with suppress(psutil.NoSuchProcess):
                    family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
                    for signal_them in (psutil.Process.terminate, psutil.Process.kill):
                        for member in family:
                            with suppress(psutil.NoSuchProcess):
                                signal_them(member)
                        _, family = psutil.wait_procs(family, timeout=15)
                process.wait(15)

    def program(self, name: str, order: Any, **options: Any) -> Any:
        """Run ``programs/<name>.py`` with an order as JSON on its standard input; the JSON that it prints last."""
        done = self.run("python", str(PROGRAMS / f"{name}.py"), text=json.dumps(order), **options)
        return json.loads(done.stdout.splitlines()[-1])


def environment(name: str, **variables: str) -> Environment:
    """The environment of a producer; skips the test where it is missing."""
    reason = environments.missing(name)
    if reason is not None:
        pytest.skip(reason)
    return Environment(name, environments.bin_folder(name), variables)


@pytest.fixture(scope="session")
def touchstone() -> Iterator[Touchstone]:
    """Web, relay, worker and beat on PostgreSQL and Redis of their own, as ``make up`` starts them."""
    for installation in installation_in(Path(os.environ["TOUCHSTONE_HOME"]) / "producers"):
        installation.up(patience_s=300)
        key = installation.manage("apikey", "create", "reader", "--role", "auditor", "--namespace", "*").strip()
        with httpx.Client(base_url=installation.url, headers={"Authorization": f"Bearer {key}"}, timeout=30) as reader:
            yield Touchstone(installation, reader)


@pytest.fixture(scope="session")
def producer_key(touchstone: Touchstone) -> str:
    """A key that speaks for every namespace."""
    return touchstone.producer_key("producers")
