"""Workers, relay and servers are killed at every boundary of the pipeline; what comes out is what an undisturbed run gives.

Real Celery workers, relay, PostgreSQL and Redis in their own home. Nobody helps: leases run out, a reaper finds the rest.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from django.conf import settings
from django.db import connection

from controlplane.embedded.home import Home, read_json
from controlplane.embedded.services import Services
from controlplane.lake.engines.base import LakeConfig
from controlplane.lake.tables import content_hash
from tests import pipeline_support as support
from tests import pipeline_world as worlds
from tests.e2e.conftest import Installation, installation_in

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(420)]

# Every boundary of a step and of a landing, on datasets of every shape: history, moving partitions, dimensions, facts, KPIs.
BOUNDARIES = (
    "landing.before_bronze:orders",
    "landing.after_bronze:order_lines",
    "landing.after_decoded:sessions",
    "landing.inside_accept:shipments",
    "landing.after_accept:fx_rates",
    "outbox.before_mark:celery@4",
    "step.started:customers",
    "step.before_commit:orders",
    "step.after_commit:orders",
    "step.before_commit:dim_product",
    "step.after_commit:dim_product",
    "step.after_commit:dim_fx_rate",
    "step.inside_finish:fact_order!",
    "step.after_commit:fact_session",
    "step.after_finish:mart_daily_revenue",
    "step.before_finish:kpi_net_revenue",
)
FIRST = ("suppliers", "carriers", "promotions", "channels", "fx_rates", "products", "customers")
SQL = {
    "figures": "SELECT DISTINCT ON (kpi, business_date) kpi, business_date, value, numerator, denominator"
    " FROM pipeline_kpivalue ORDER BY kpi, business_date, id DESC",
    "rejects": "SELECT b.logical_id, r.row, r.rules FROM silver_rejects r JOIN pipeline_bronzefile b ON b.id = r.bronze_file_id"
    " WHERE r.state = 'open' ORDER BY 1, 2",
    "quarantined": 'SELECT b.logical_id, q.row, q."column" FROM silver_quarantine q JOIN pipeline_bronzefile b'
    " ON b.id = q.bronze_file_id WHERE q.state = 'open' ORDER BY 1, 2, 3",
    "drops": "SELECT dataset, state, count(*) FROM pipeline_drop GROUP BY 1, 2 ORDER BY 1, 2",
}
# Figures that are due by their cadence keep some work waiting for ever, so only what drops cause is counted.
BUSY = (
    "SELECT (SELECT count(*) FROM pipeline_drop WHERE state = 'landed')"
    " + (SELECT count(*) FROM pipeline_run WHERE state = 'running')"
    " + (SELECT count(*) FROM pipeline_work WHERE kind IN ('file', 'rows', 'intervals'))"
)


@pytest.fixture
def crashing(request: pytest.FixtureRequest) -> Iterator[Installation]:
    yield from installation_in(Path(os.environ["TOUCHSTONE_HOME"]) / "crashing")


@pytest.fixture
def undisturbed(transactional_db: None, lake_home: Path) -> Iterator[tuple[list[Path], dict[str, Any]]]:
    """The drops, and what they come to when nothing goes wrong."""
    world = worlds.make(lake_home / "drops", days=4, orders=30)
    support.contracts_ready()
    files = sorted(
        (drop.path for drop in world.drops),
        key=lambda path: (FIRST.index(path.parent.name) if path.parent.name in FIRST else len(FIRST), path.name),
    )
    support.land(files)
    support.drain()
    assert support.failures() == []
    found: dict[str, Any] = {"lake": worlds.hashes()}
    with connection.cursor() as cursor:
        for name, sql in SQL.items():
            cursor.execute(sql)
            found[name] = [tuple(row) for row in cursor.fetchall()]
    yield files, found
    worlds.empty()


def query(installation: Installation, sql: str) -> list[tuple[Any, ...]]:
    url = read_json(Home(installation.home.resolve()).services_file)["database_url"]
    with psycopg.connect(url, connect_timeout=5) as session:
        return [tuple(row) for row in session.execute(sql).fetchall()]


def outcome(installation: Installation, tables: list[str]) -> dict[str, Any]:
    place = LakeConfig(root=str(installation.home / "lake"), temp=installation.home / "tmp" / "reader")
    found: dict[str, Any] = {"lake": {table: content_hash(place, table) for table in tables}}
    return found | {name: query(installation, sql) for name, sql in SQL.items()}


def wait(what: Callable[[], bool], *, patience_s: float, text: str) -> None:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            if what():
                return
        except psycopg.OperationalError:
            pass  # the server is being killed
        time.sleep(0.3)
    pytest.fail(text)


def idle(installation: Installation, *, drops: int) -> bool:
    if query(installation, "SELECT count(*) FROM pipeline_drop")[0][0] < drops or query(installation, BUSY)[0][0]:
        return False
    time.sleep(1)
    return query(installation, BUSY)[0][0] == 0


def child(installation: Installation, name: str) -> int:
    return int(read_json(installation.home / "run" / "supervisor.json")["children"][name]["pid"])


def living(installation: Installation, name: str) -> int:
    """The child's pid, once it lives: a failpoint may just have killed it, and the supervisor starts it again."""

    def lives() -> bool:
        return psutil.pid_exists(child(installation, name))

    wait(lives, patience_s=60, text=f"{name} was not started again")
    return child(installation, name)


def kill_tree(pid: int) -> None:
    """SIGKILL a process and all it started, at the same moment."""
    try:
        root = psutil.Process(pid)
    except psutil.NoSuchProcess:  # a failpoint was faster
        return
    for process in [root, *root.children(recursive=True)]:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def put(installation: Installation, files: list[Path]) -> None:
    for path in files:
        folder = installation.home / "landing" / path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{path.name}.part"
        shutil.copyfile(path, part)
        part.replace(folder / path.name)


def test_whatever_is_killed_the_tables_end_identical(
    crashing: Installation, undisturbed: tuple[list[Path], dict[str, Any]]
) -> None:
    files, wanted = undisturbed
    crashing.home.mkdir(parents=True)
    shutil.copytree(Path(settings.HOME) / "keys", crashing.home / "keys")  # the same tokens
    fired = crashing.home / "fired"
    crashing.environ = {
        "TOUCHSTONE_FAILPOINTS": ",".join(BOUNDARIES),
        "TOUCHSTONE_FAILPOINTS_DIR": str(fired),
        "TOUCHSTONE_MIN_REFRESH_INTERVAL_S": "0",
    }
    crashing.up()
    crashing.manage("contract", "sync", str(support.CONTRACTS))
    put(crashing, files)
    disturb(crashing, fired)
    wait(lambda: idle(crashing, drops=len(files)), patience_s=200, text=state(crashing))
    crashing.manage("pipeline", "run")  # some marts refresh once an hour at most; a person may ask for them at once
    found = settled(crashing, wanted)
    assert {table for table, digest in wanted["lake"].items() if found["lake"][table] != digest} == set()
    assert {name: found[name] for name in SQL} == {name: wanted[name] for name in SQL}
    assert sorted(path.name for path in fired.iterdir()) == sorted(BOUNDARIES)
    assert query(crashing, "SELECT count(*) FROM pipeline_step WHERE state = 'failed'") == [(0,)]


def settled(installation: Installation, wanted: dict[str, Any], *, patience_s: float = 40) -> dict[str, Any]:
    """The outcome, given time for the last run to end."""
    deadline = time.monotonic() + patience_s
    while (found := outcome(installation, list(wanted["lake"]))) != wanted and time.monotonic() < deadline:
        time.sleep(3)
    return found


def disturb(installation: Installation, fired: Path) -> None:
    """While the failpoints do their work: the worker with all its children, and PostgreSQL go down hard, the relay again."""

    def some_accepted() -> bool:
        return bool(query(installation, "SELECT count(*) FROM pipeline_bronzefile")[0][0] >= 5)

    wait(some_accepted, patience_s=60, text="no drop was accepted")
    with suppress(ProcessLookupError):  # a failpoint was faster
        os.kill(living(installation, "relay"), signal.SIGKILL)
    wait((fired / "step.after_commit:orders").exists, patience_s=120, text=state(installation))
    kill_tree(living(installation, "worker"))
    wait((fired / "step.after_commit:dim_product").exists, patience_s=120, text=state(installation))
    postgres = Services(Home(installation.home.resolve()), environ={}).status()["postgres"]
    assert postgres is not None
    os.kill(int(postgres["pid"]), signal.SIGQUIT)  # an immediate stop; whoever watches starts it again


def state(installation: Installation) -> str:
    """What to look at when it does not come to rest."""
    try:
        open_ones = "SELECT dataset, state, attempts, error FROM pipeline_step WHERE state NOT IN ('succeeded', 'skipped')"
        steps = query(installation, open_ones)
        return f"not at rest: {steps}; busy {query(installation, BUSY)}"
    except psycopg.Error as error:
        return f"not at rest, and no database: {error}"
