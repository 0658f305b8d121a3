"""Real Apache Airflow: its scheduler runs a DAG, and what its tasks did ends in the right graph.

``airflow dags test`` would do with one process, but a DAG run started that way sends no START, and queries of one task are told
of the next as well.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
import pytest

from tests.e2e.conftest import free_port
from tests.producers.conftest import Environment, environment
from tests.producers.touchstone import Touchstone, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

NAMESPACE = "airflow-shop"
DAGS = Path(__file__).parent / "airflow_dags"
# Importing Airflow takes seconds for each of its processes; a busy machine takes its time.
PATIENCE_S = 420


@dataclass
class Shop:
    """The database that the DAG works in: on the test run's PostgreSQL, which is not the one of the installation."""

    url: str

    @property
    def server(self) -> str:
        """The namespace of its tables."""
        parts = urlsplit(self.url)
        return f"postgres://{parts.hostname}:{parts.port}"

    def table(self, name: str) -> tuple[str, str]:
        return self.server, f"shop.public.{name}"


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    server = os.environ["DATABASE_URL"]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS shop")
        connection.execute("CREATE DATABASE shop")
    url = urlunsplit(urlsplit(server)._replace(path="/shop"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE receipts (receipt_id INTEGER, email VARCHAR, amount NUMERIC)")
        connection.execute("CREATE TABLE members (email VARCHAR, name VARCHAR)")
        connection.execute("INSERT INTO receipts VALUES (1, 'ann@example.org', 12.50), (2, 'bob@example.org', 3)")
        connection.execute("INSERT INTO members VALUES ('ann@example.org', 'Ann'), ('bob@example.org', 'Bob')")
    yield Shop(url)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS shop WITH (FORCE)")


def settings(touchstone: Touchstone, key: str, shop: Shop, home: Path) -> dict[str, str]:
    port = str(free_port())
    transport = {"type": "http", "url": touchstone.url, "auth": {"type": "api_key", "apiKey": key}, "compression": "gzip"}
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": port,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__OPENLINEAGE__NAMESPACE": NAMESPACE,
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        "AIRFLOW_CONN_SHOP": shop.url,
        "SHOP_TABLES": f"{shop.server}/shop/public",
    }


@pytest.fixture(scope="module")
def airflow() -> Environment:
    return environment("airflow")


@pytest.fixture(scope="module")
def ran(
    touchstone: Touchstone, producer_key: str, airflow: Environment, shop: Shop, tmp_path_factory: pytest.TempPathFactory
) -> Touchstone:
    """Touchstone after Airflow's scheduler has run the DAG to its end, which is a failure."""
    home = tmp_path_factory.mktemp("airflow")
    airflow.variables.update(settings(touchstone, producer_key, shop, home))
    airflow.run("airflow", "db", "migrate")
    with ExitStack() as stack:
        started: dict[str, subprocess.Popen[bytes]] = {}

        def start(component: str) -> None:
            log = home / f"{component}.log"
            started[component] = stack.enter_context(airflow.started("airflow", component, log=log))

        def alive() -> None:
            for component, process in started.items():
                if process.poll() is not None:
                    pytest.fail(f"airflow {component} ended:\n{last_lines(home / f'{component}.log')}")

        def serves() -> None:
            alive()
            with suppress(httpx.HTTPError):
                answer = httpx.get(f"http://127.0.0.1:{airflow.variables['AIRFLOW__API__PORT']}/api/v2/version", timeout=5)
                assert answer.status_code == 200
                return
            raise AssertionError("the API server of Airflow does not answer")

        def ended() -> None:
            alive()
            assert [run["state"] for run in touchstone.runs(NAMESPACE, "corner_shop")] == ["FAILED"], tail()

        def tail() -> str:
            return "\n".join(last_lines(path) for path in sorted(home.glob("*.log")))

        # A task that is started before the API server answers fails for good.
        start("api-server")
        eventually(serves, patience_s=PATIENCE_S)
        start("dag-processor")
        start("scheduler")
        eventually(ended, patience_s=PATIENCE_S)
    return touchstone


def last_lines(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-30:])


def test_a_dag_and_its_tasks_are_jobs_with_one_run_each_under_the_run_of_the_dag(ran: Touchstone) -> None:
    tasks = [f"corner_shop.{name}" for name in ("convert", "load", "check", "mail")]
    assert {job["name"] for job in ran.jobs(NAMESPACE)} == {"corner_shop", *tasks}
    (dag,) = ran.runs(NAMESPACE, "corner_shop")
    runs = {name: ran.runs(NAMESPACE, name) for name in tasks}
    assert {name: [run["state"] for run in its] for name, its in runs.items()} == {
        tasks[0]: ["COMPLETED"],
        tasks[1]: ["COMPLETED"],
        tasks[2]: ["COMPLETED"],
        tasks[3]: ["FAILED"],
    }
    assert {its[0]["parentRunId"] for its in runs.values()} == {dag["id"]}
    for name in tasks:
        job = ran.job(NAMESPACE, name)
        assert (job["parentJobNamespace"], job["parentJobName"]) == (NAMESPACE, "corner_shop")
    failed = ran.run(runs[tasks[3]][0]["id"])
    assert "mailbox is full" in failed["facets"]["errorMessage"]["message"]
    assert failed["facets"]["parent"]["root"]["run"]["runId"] == dag["id"]


def test_declared_assets_and_tables_found_in_sql_are_joined_into_one_graph(ran: Touchstone, shop: Shop) -> None:
    receipts, members, takings = (shop.table(name) for name in ("receipts", "members", "takings"))
    assert ran.edges(NAMESPACE, "corner_shop.convert") == ({("file://till", "/receipts.csv")}, {receipts})
    assert ran.edges(NAMESPACE, "corner_shop.load") == ({receipts, members}, {takings})
    assert ran.edges(NAMESPACE, "corner_shop.check") == ({takings}, set())
    assert ran.edges(NAMESPACE, "corner_shop.mail") == (set(), set())
    assert ran.columns(*takings) == {"member": {(*members, "name")}, "revenue": {(*receipts, "amount")}}
    downstream = ran.lineage("dataset:file://till:/receipts.csv", direction="downstream")
    assert {f"dataset:{':'.join(takings)}", f"job:{NAMESPACE}:corner_shop.check"} <= downstream
    assert f"dataset:{':'.join(members)}" not in downstream
    assert [field["name"] for field in ran.dataset(*takings)["fields"]] == ["member", "revenue"]


def test_what_airflow_says_about_a_task_is_kept(ran: Touchstone, shop: Shop) -> None:
    load = ran.job(NAMESPACE, "corner_shop.load")["facets"]
    assert "INSERT INTO takings" in load["sql"]["query"]
    assert load["ownership"]["owners"][0]["name"] == "team-sales"
    assert load["jobType"]["integration"] == "AIRFLOW"
    assert ran.job(NAMESPACE, "corner_shop")["description"] == "Takings of the corner shop"
    facets = ran.run(ran.runs(NAMESPACE, "corner_shop.load")[0]["id"])["facets"]
    assert facets["processing_engine"]["name"] == "Airflow"
    assert facets["airflow"]["task"]["task_id"] == "load"  # a facet of Airflow's own, unknown to the specification
    checked = ran.dataset(*shop.table("takings"))["facets"]["dataQualityAssertions"]["assertions"]
    assert [(item["column"], item["assertion"], item["success"]) for item in checked] == [("member", "not_null", True)]
