"""An auditor has a figure computed again, takes the evidence along, and verifies it somewhere else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from controlplane.embedded.home import ROOT
from tests import pages_world
from tests import pipeline_support as support
from tests import pipeline_world as worlds
from tests.e2e.conftest import Installation, installation_in
from tests.e2e.test_pages_browser import faults
from tests.e2e.test_pipeline_crash import idle, put, wait

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

AUDITOR = (
    "from controlplane.accounts.services import user_create;"
    f"user_create(username='ada', password='{pages_world.PASSWORD}', roles=['auditor'], actor='system:test')"
)


@pytest.fixture
def audited(tmp_path: Path) -> Iterator[Installation]:
    """An installation that has taken a small world in, and an auditor."""
    for made in installation_in(Path(os.environ["TOUCHSTONE_HOME"]) / "audited"):
        prepare(made, [drop.path for drop in worlds.make(tmp_path / "drops", days=2, orders=12).drops])
        yield made


def prepare(made: Installation, files: list[Path]) -> None:
    made.environ = {"TOUCHSTONE_MIN_REFRESH_INTERVAL_S": "0"}
    made.up()
    made.manage("contract", "sync", str(support.CONTRACTS))
    put(made, files)
    wait(lambda: idle(made, drops=len(files)), patience_s=240, text="the pipeline does not come to rest")
    made.manage("shell", "-c", AUDITOR)


def test_an_auditor_reproduces_a_figure_and_the_bundle_holds_elsewhere(
    audited: Installation, page: Page, tmp_path: Path
) -> None:
    day = worlds.LAST_DAY - timedelta(days=1)
    page.goto(f"{audited.url}/login/")
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password").fill(pages_world.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{audited.url}/")
    page.goto(f"{audited.url}/evidence/kpi/net_revenue/{day}/")
    page.get_by_role("button", name="Reproduce").click()
    page.wait_for_url("**/evidence/reproductions/*/")
    # It says by itself when it is done: the page is live.
    page.locator("[data-reproduction='reproduced']").wait_for(timeout=90_000)
    assert page.get_by_text("Value, numerator and denominator came out the same.").is_visible()
    assert page.get_by_text("Differs").count() == 0
    assert faults(page) == []
    time.sleep(1.5)  # the sealer is at most so far behind
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Evidence bundle").click()
    bundle = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(bundle)
    with urllib.request.urlopen(f"{audited.url}/.well-known/touchstone-keys.json", timeout=10) as answer:
        (tmp_path / "keys.json").write_bytes(answer.read())
    elsewhere = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    command = [sys.executable, "manage.py", "evidence", "verify", str(bundle), "--trust-anchor", str(tmp_path / "keys.json")]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=elsewhere | {"TOUCHSTONE_HOME": str(tmp_path / "elsewhere")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, "The evidence holds." in done.stdout) == (0, True), done.stdout + done.stderr
    assert "reproduced" in done.stdout
    said = audited.manage("evidence", "verify", str(bundle), "--against-installation")
    assert "tables and served tables, row by row" in said
    page.goto(f"{audited.url}/evidence/reproductions/")
    assert page.get_by_role("cell", name="Reproduced").first.is_visible()
    assert faults(page) == []
