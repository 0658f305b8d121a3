"""The real ``marquez-python`` client against a running installation: every read it has works, every write is told why not."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from tests.lineage_support import FACET, columns, dataset, run_event, run_uuid
from tests.producers.conftest import Environment, environment
from tests.producers.touchstone import Json, Touchstone, eventually

pytestmark = pytest.mark.e2e

NAMESPACE, STORE, RUN = "marquez-client", "postgres://marquez-client:5432", run_uuid("marquez client")
RAW, CLEAN = "public.raw", "public.clean"


def facet(**body: Any) -> Json:
    return {**FACET, **body}


def events() -> list[Json]:
    source = facet(name="shop-db", uri="postgres://marquez-client:5432/shop")
    tags = facet(tags=[{"key": "tier", "value": "gold"}, {"key": "mail", "value": "true", "field": "email"}])
    raw = dataset(RAW, namespace=STORE, fields=["email"], dataSource=source, tags=tags)
    clean = dataset(CLEAN, namespace=STORE, fields=["address"], version=facet(datasetVersion="7"))
    clean["facets"]["columnLineage"] = columns(address=[(RAW, "email")]) | FACET
    clean["facets"]["columnLineage"]["fields"]["address"]["inputFields"][0]["namespace"] = STORE
    return [
        run_event("load", "START", time=0, run="marquez client", namespace=NAMESPACE, inputs=[raw]),
        run_event("load", "COMPLETE", time=60, run="marquez client", namespace=NAMESPACE, outputs=[clean]),
    ]


@pytest.fixture(scope="module")
def client() -> Environment:
    return environment("marquez")


@pytest.fixture(scope="module", autouse=True)
def world(touchstone: Touchstone, producer_key: str) -> None:
    headers = {"Authorization": f"Bearer {producer_key}"}
    httpx.post(f"{touchstone.url}/api/v1/lineage/batch", json=events(), headers=headers, timeout=30).raise_for_status()
    eventually(lambda: touchstone.dataset(STORE, CLEAN))


def call(client: Environment, touchstone: Touchstone, *calls: tuple[Any, ...], key: str = "") -> list[Json]:
    """Each call is (method, arguments …), keywords as a last dictionary."""
    made = []
    for method, *arguments in calls:
        keywords = arguments.pop() if arguments and isinstance(arguments[-1], dict) and "$type" not in arguments[-1] else {}
        made.append([method, arguments, keywords])
    secret = key or touchstone.reader.headers["Authorization"].removeprefix("Bearer ")
    return client.program("marquez_calls", {"url": touchstone.url, "key": secret, "calls": made})


def test_every_read_of_the_client(client: Environment, touchstone: Touchstone) -> None:
    answers = call(
        client,
        touchstone,
        ("list_namespaces", {"limit": 1000}),
        ("get_namespace", STORE),
        ("list_sources",),
        ("get_source", "shop-db"),
        ("list_datasets", STORE),
        ("get_dataset", STORE, RAW),
        ("list_dataset_versions", STORE, CLEAN),
        ("get_dataset_version", STORE, CLEAN, "7"),
        ("list_jobs", NAMESPACE),
        ("get_job", NAMESPACE, "load"),
        ("list_job_runs", NAMESPACE, "load"),
        ("get_job_run", RUN),
        ("list_events", {"limit": 1000}),
        ("list_events", NAMESPACE),
        ("list_tags", {"limit": 1000, "offset": 0}),
        ("get_column_lineage_by_dataset", STORE, CLEAN),
        ("get_column_lineage_by_dataset_field", STORE, RAW, "email", {"with_downstream": True}),
        ("get_column_lineage_by_job", NAMESPACE, "load"),
        ("get_column_lineage_by_dataset", STORE, CLEAN, {"version": "7"}),
    )
    assert [item for item in answers if "error" in item] == []
    got = iter(item["answer"] for item in answers)
    assert {NAMESPACE, STORE} <= {row["name"] for row in next(got)["namespaces"]}
    assert next(got)["name"] == STORE
    assert "shop-db" in {row["name"] for row in next(got)["sources"]}
    assert next(got)["type"] == "POSTGRES"
    assert {row["name"] for row in next(got)["datasets"]} == {RAW, CLEAN}
    raw = next(got)
    assert (raw["sourceName"], raw["tags"], raw["fields"][0]["tags"]) == ("shop-db", ["tier:gold"], ["mail"])
    assert {row["version"] for row in next(got)["versions"]} > {"7"}
    version = next(got)
    assert (version["fields"][0]["name"], version["createdByRun"]["id"]) == ("address", RUN)
    assert [row["name"] for row in next(got)["jobs"]] == ["load"]
    job = next(got)
    assert (job["inputs"][0]["name"], job["outputs"][0]["name"], job["latestRun"]["state"]) == (RAW, CLEAN, "COMPLETED")
    assert [row["durationMs"] for row in next(got)["runs"]] == [60_000]
    assert next(got)["jobVersion"]["name"] == "load"
    assert len(next(got)["events"]) >= 2
    assert {event["job"]["namespace"] for event in next(got)["events"]} == {NAMESPACE}
    assert {"tier:gold", "mail", "PII"} <= {row["name"] for row in next(got)["tags"]}
    for graph in got:
        ids = {node["id"] for node in graph["graph"]}
        assert {f"datasetField:{STORE}:{RAW}:email", f"datasetField:{STORE}:{CLEAN}:address"} <= ids


def test_every_write_of_the_client_is_refused_with_what_to_do_instead(
    client: Environment, touchstone: Touchstone, producer_key: str
) -> None:
    table, batch = {"$type": "DatasetType.DB_TABLE"}, {"$type": "JobType.BATCH"}
    calls = [
        ("create_namespace", "new", "me"),
        ("create_source", "new", "postgresql", "postgresql://localhost/db"),
        ("create_dataset", NAMESPACE, "new", table, "new", "new"),
        ("create_job", NAMESPACE, "new", batch),
        ("create_job_run", NAMESPACE, "load"),
        ("mark_job_run_as_started", str(uuid.uuid4())),
        ("mark_job_run_as_completed", RUN),
        ("mark_job_run_as_failed", RUN),
        ("mark_job_run_as_aborted", RUN),
        ("create_tag", "new"),
        ("tag_dataset", STORE, RAW, "new"),
        ("tag_dataset_field", STORE, RAW, "email", "new"),
    ]
    for key in ("", producer_key):
        answers = call(client, touchstone, *calls, key=key)
        assert [item["status"] for item in answers] == [405] * len(calls)
        assert all("event" in item["error"] for item in answers)
    assert touchstone.dataset(STORE, RAW)["tags"] == ["tier:gold"]
