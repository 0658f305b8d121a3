"""Real dbt on DuckDB, run and tested through ``dbt-ol``, ends in the right graph."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.producers.conftest import PROGRAMS, Environment, environment
from tests.producers.touchstone import Touchstone, eventually

pytestmark = pytest.mark.e2e

PROJECT = Path(__file__).parent / "dbt_project"
STORE = "duckdb://shop.duckdb"
MODELS = ("stg_receipts", "stg_members", "member_revenue")


def table(name: str, schema: str = "main") -> tuple[str, str]:
    return STORE, f"shop.{schema}.{name}"


RECEIPTS, MEMBERS = table("receipts", "raw"), table("members", "raw")


@pytest.fixture(scope="module")
def dbt(touchstone: Touchstone, producer_key: str) -> Environment:
    told = {"OPENLINEAGE_URL": touchstone.url, "OPENLINEAGE_API_KEY": producer_key, "DO_NOT_TRACK": "1"}
    return environment("dbt", **told)


def project_in(folder: Path, dbt: Environment) -> Path:
    shutil.copytree(PROJECT, folder, dirs_exist_ok=True)
    dbt.run("python", str(PROGRAMS / "dbt_warehouse.py"), str(folder / "shop.duckdb"))
    return folder


def ended(touchstone: Touchstone, namespace: str, job: str, *states: str) -> None:
    """Wait until the runs of a job, newest first, have these states."""

    def as_expected() -> None:
        assert [run["state"] for run in touchstone.runs(namespace, job)] == list(states)

    eventually(as_expected)


@pytest.fixture(scope="module")
def ran(touchstone: Touchstone, dbt: Environment, tmp_path_factory: pytest.TempPathFactory) -> Touchstone:
    """Touchstone after ``dbt-ol run`` and a ``dbt-ol test`` in which one test fails."""
    project = project_in(tmp_path_factory.mktemp("dbt"), dbt)
    told = {"OPENLINEAGE_NAMESPACE": "dbt-shop"}
    dbt.run("dbt-ol", "run", cwd=project, variables=told)
    dbt.run("dbt-ol", "test", cwd=project, variables=told, expected=1)
    ended(touchstone, "dbt-shop", "dbt-run-corner_shop", "FAILED", "COMPLETED")
    return touchstone


def model_job(name: str) -> str:
    return f"shop.main.corner_shop.{name}"


def test_models_are_jobs_between_sources_and_marts(ran: Touchstone) -> None:
    staged, members, revenue = (table(name) for name in MODELS)
    assert ran.edges("dbt-shop", model_job("stg_receipts")) == ({RECEIPTS}, {staged})
    assert ran.edges("dbt-shop", model_job("stg_members")) == ({MEMBERS}, {members})
    assert ran.edges("dbt-shop", model_job("member_revenue")) == ({staged, members}, {revenue})
    assert {job["name"] for job in ran.jobs("dbt-shop")} == {
        "dbt-run-corner_shop",
        *(model_job(name) for name in MODELS),
        *(f"{model_job(name)}.test" for name in MODELS),
    }
    upstream = ran.lineage(f"dataset:{':'.join(revenue)}", direction="upstream")
    assert {f"dataset:{':'.join(item)}" for item in (RECEIPTS, MEMBERS, staged, members)} <= upstream


def test_columns_lead_back_to_the_columns_of_the_sources(ran: Touchstone) -> None:
    staged, members, revenue = (table(name) for name in MODELS)
    assert ran.columns(*staged) == {
        "receipt_id": {(*RECEIPTS, "receipt_id")},
        "email": {(*RECEIPTS, "customer_email")},
        "amount": {(*RECEIPTS, "amount_cents")},
    }
    # dbt-ol reads the SQL and finds nothing behind count(*).
    assert ran.columns(*revenue) == {"member_name": {(*members, "member_name")}, "revenue": {(*staged, "amount")}}


def test_descriptions_of_models_and_columns_arrive(ran: Touchstone) -> None:
    revenue = ran.dataset(*table("member_revenue"))
    assert revenue["description"] == "Revenue of each member"
    described = {field["name"]: field["description"] for field in revenue["fields"]}
    assert described["member_name"] == "As the member wants to be called"
    assert described["revenue"] == "Sum of the member's receipts, euro"
    assert ran.dataset(*RECEIPTS)["description"] == "One row a receipt"


def test_every_model_ran_under_the_run_of_dbt(ran: Touchstone) -> None:
    tested, built = ran.runs("dbt-shop", "dbt-run-corner_shop")
    for name in MODELS:
        (model,) = ran.runs("dbt-shop", model_job(name))
        (test,) = ran.runs("dbt-shop", f"{model_job(name)}.test")
        assert (model["parentRunId"], test["parentRunId"]) == (built["id"], tested["id"])
        assert model["state"] == "COMPLETED"
        assert ran.run(model["id"])["facets"]["parent"]["root"]["run"]["runId"] == built["id"]
        assert ran.job("dbt-shop", model_job(name))["parentJobName"] == "dbt-run-corner_shop"


def test_a_failed_test_is_an_assertion_that_does_not_hold(ran: Touchstone) -> None:
    states = {name: ran.runs("dbt-shop", f"{model_job(name)}.test")[0]["state"] for name in MODELS}
    assert states == {"stg_receipts": "FAILED", "stg_members": "COMPLETED", "member_revenue": "COMPLETED"}
    found = ran.dataset(*table("stg_receipts"))["facets"]["dataQualityAssertions"]["assertions"]
    assert {(item["column"], item["assertion"], item["success"]) for item in found} == {
        ("receipt_id", "not_null", True),
        ("receipt_id", "unique", False),
        ("email", "not_null", True),
    }


def test_events_sent_while_dbt_builds_stand_under_the_run_that_started_dbt(
    touchstone: Touchstone, dbt: Environment, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """``dbt-ol build --consume-structured-logs``, with the parent that a scheduler hands over in ``OPENLINEAGE_PARENT_ID``."""
    project = project_in(tmp_path_factory.mktemp("dbt-live"), dbt)
    parent = "01a20f25-a3b7-7d8b-a9fd-652e5d51ac82"
    told = {"OPENLINEAGE_NAMESPACE": "dbt-live", "OPENLINEAGE_PARENT_ID": f"scheduler/nightly.shop/{parent}"}
    # A test fails in the middle of it, so what depends on the tested model is skipped.
    dbt.run("dbt-ol", "build", "--consume-structured-logs", cwd=project, variables=told, expected=1)
    ended(touchstone, "dbt-live", "dbt-run-corner_shop", "FAILED")
    (built,) = touchstone.runs("dbt-live", "dbt-run-corner_shop")
    assert built["parentRunId"] == parent
    whole = touchstone.job("dbt-live", "dbt-run-corner_shop")
    assert (whole["parentJobNamespace"], whole["parentJobName"]) == ("scheduler", "nightly.shop")

    staged, members, revenue = (table(name) for name in MODELS)
    receipts, skipped = "model.corner_shop.stg_receipts", "model.corner_shop.member_revenue"
    assert touchstone.edges("dbt-live", receipts) == ({RECEIPTS}, {staged})
    assert touchstone.edges("dbt-live", skipped) == ({staged, members}, {revenue})
    (model,), (never,) = touchstone.runs("dbt-live", receipts), touchstone.runs("dbt-live", skipped)
    assert (model["state"], never["state"]) == ("COMPLETED", "ABORTED")
    assert {model["parentRunId"], never["parentRunId"]} == {built["id"]}
    assert touchstone.run(model["id"])["facets"]["parent"]["root"]["run"]["runId"] == parent
    jobs = {job["name"] for job in touchstone.jobs("dbt-live")}
    (failing,) = (name for name in jobs if name.startswith("test.corner_shop.unique_stg_receipts") and ".sql." not in name)
    (failed,) = touchstone.runs("dbt-live", failing)
    assert failed["state"] == "FAILED"
    assert touchstone.run(failed["id"])["facets"]["errorMessage"]["message"] == "Got 1 result, configured to fail if != 0"
    # Each statement is a job of its own, under the model that it belongs to.
    statement = touchstone.job("dbt-live", f"{receipts}.sql.1")
    assert (statement["parentJobName"], statement["latestRun"]["parentRunId"]) == (receipts, model["id"])
