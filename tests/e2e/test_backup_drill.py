"""The drill: an installation is backed up while it works, destroyed, and restored elsewhere, where it works on.

Real workers, servers and programs throughout, and folders with a space in their names.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.backup.domain import manifest as form
from controlplane.embedded.home import ROOT
from controlplane.lake.engines.base import LakeConfig
from controlplane.lake.tables import content_hash
from tests import pipeline_support as support
from tests import pipeline_world as worlds
from tests.e2e.conftest import Installation, installation_in
from tests.e2e.test_pipeline_crash import BUSY, SQL, put, query, wait

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]
PASSPHRASE = {"TOUCHSTONE_BACKUP_PASSPHRASE": "correct horse battery staple"}


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    made = Path(os.environ["TOUCHSTONE_HOME"]) / "backup drill"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def first(scratch: Path) -> Iterator[Installation]:
    yield from installation_in(scratch / "first home")


@pytest.fixture
def second(scratch: Path) -> Iterator[Installation]:
    yield from installation_in(scratch / "second home")


def alone(installation: Installation, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    """``manage.py`` with nothing but the servers running, as the runbook says."""
    command = [sys.executable, "-m", "controlplane.embedded", "run", "--", sys.executable, "manage.py", *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, env=installation.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )


def said(process: subprocess.Popen[str], code: int = 0) -> str:
    output = process.communicate(timeout=300)[0]
    assert process.returncode == code, output
    return output


def take_in(installation: Installation, files: list[Path], *, drops: int) -> None:
    """Put files into the landing folder and wait until everything that follows from them is done."""
    put(installation, files)
    landed = "SELECT count(*) FROM pipeline_drop WHERE state <> 'landed'"
    wait(lambda: query(installation, landed)[0][0] >= drops, patience_s=120, text="the drops were not checked")
    deadline = time.monotonic() + 240
    while query(installation, BUSY)[0][0]:
        assert time.monotonic() < deadline, "the pipeline does not come to rest"
        installation.manage("pipeline", "run", patience_s=240)  # does not wait for the least interval between refreshes


def outcome(installation: Installation) -> dict[str, Any]:
    lake = installation.home / "lake"
    place = LakeConfig(root=str(lake), temp=installation.home / "tmp" / "reader")
    tables = sorted(path.parent.relative_to(lake).as_posix() for path in lake.glob("*/*/_delta_log"))
    found: dict[str, Any] = {"lake": {table: content_hash(place, table) for table in tables}}
    return found | {name: query(installation, sql) for name, sql in SQL.items()}


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """What is not as it was, short enough to read."""
    lost = [f"table {name}" for name in wanted["lake"] if found["lake"].get(name) != wanted["lake"][name]]
    for name in SQL:
        lost += [f"{name}: lost {row}" for row in wanted[name] if row not in found[name]][:5]
        lost += [f"{name}: new {row}" for row in found[name] if row not in wanted[name]][:5]
    return lost


def test_a_backup_brings_everything_back_and_the_pipeline_works_on(
    first: Installation, second: Installation, scratch: Path
) -> None:
    first.environ = second.environ = PASSPHRASE | {"TOUCHSTONE_MIN_REFRESH_INTERVAL_S": "0"}
    world = worlds.make(scratch / "drops", days=4, orders=30)
    files = sorted(drop.path for drop in world.drops)
    dated = [path for path in files if path.parent.name in ("orders", "order_lines", "sessions", "shipments")]
    later = dated[-4:]
    early = [path for path in files if path not in later]
    saved = scratch / "a backup"

    first.up()
    first.manage("contract", "sync", str(support.CONTRACTS))
    take_in(first, early, drops=len(early))
    wanted = outcome(first)
    first.manage("backup", str(saved))
    take_in(first, later, drops=len(files))  # after the backup: gone with the home
    everything = outcome(first)
    assert everything["lake"] != wanted["lake"]
    first.destroy()
    assert not (first.home / "lake").exists()

    assert "holds:" in second.manage("backup", "--verify", str(saved))  # no database runs there
    interrupted(second, saved)
    report = said(alone(second, "restore", str(saved)))
    assert "addresses of files follow the lake" in report
    assert ", resumed" in report
    second.up()
    second.manage("audit", "verify")
    changed = differences(outcome(second), wanted)
    assert not changed, "\n".join(changed)
    actions = query(second, "SELECT action FROM audit_auditentry WHERE action LIKE 'backup.%' ORDER BY id")
    assert actions == [("backup.restore",)]  # the record of the backup came after its snapshot

    take_in(second, later, drops=len(files))
    changed = differences(outcome(second), everything)
    assert not changed, "\n".join(changed)
    refused = said(alone(second, "restore", str(saved)), code=1)
    assert "make stop" in refused


def interrupted(installation: Installation, saved: Path) -> None:
    """A restore that is killed while it copies or loads; what was in place is as it was."""
    process = alone(installation, "restore", str(saved), start_new_session=True)
    progress = installation.home / "restore.json"
    deadline = time.monotonic() + 120
    while not progress.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert json.loads(progress.read_text())["stage"] == "preparing"
    assert not (installation.home / "lake").exists() or not any((installation.home / "lake").rglob("*.parquet"))


def test_damage_is_found_offline(tmp_path: Path) -> None:
    found, faults = form.check(tmp_path)
    assert found is None
    assert "no backup" in faults[0]
