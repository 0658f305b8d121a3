"""The addresses that readers ask, in Marquez's shapes."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from controlplane.accounts import services as accounts
from lineage import services
from tests.lineage_support import columns, dataset, run_event, run_uuid

pytestmark = pytest.mark.django_db


def feed(*events: dict[str, Any]) -> None:
    services.events_ingest(bodies=events, producer="tests")
    while services.pending_project().events:
        pass


def key_of(role: str) -> dict[str, str]:
    _, secret = accounts.apikey_create(name=f"{role} key", role=role, namespaces=["*"], actor="tests")
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def ask() -> Any:
    headers = key_of("oncall")

    def get(url: str, status: int = 200, **params: Any) -> Any:
        answer = Client().get(url, params, headers=headers)
        assert answer.status_code == status, answer.content
        return answer.json()

    return get


@pytest.fixture(autouse=True)
def _world() -> None:
    clean = dataset("clean", fields=["mail"], namespace="s3://lake", documentation={"description": "Clean"})
    clean["facets"]["columnLineage"] = columns(mail=[("raw", "email", {"type": "DIRECT", "subtype": "IDENTITY"})])
    feed(
        run_event(
            "load", "START", time=0, run="r1", inputs=[dataset("raw", fields=["email"])], run_facets={"nothing": {"a": 1}}
        ),
        run_event("load", "COMPLETE", time=90, run="r1", outputs=[clean]),
        run_event("use", "FAIL", time=95, run="r2", inputs=[dataset("clean", namespace="s3://lake")]),
    )


def test_the_graph_around_a_dataset_in_the_shape_of_marquez(ask: Any) -> None:
    body = ask("/api/v1/lineage", nodeId="dataset:s3://lake:clean", depth=1)
    nodes = {node["id"]: node for node in body["graph"]}
    assert set(nodes) == {"dataset:s3://lake:clean", "dataset:shop:raw", "job:etl:load", "job:etl:use"}
    assert nodes["job:etl:load"]["inEdges"] == [{"origin": "dataset:shop:raw", "destination": "job:etl:load"}]
    assert nodes["job:etl:load"]["outEdges"] == [{"origin": "job:etl:load", "destination": "dataset:s3://lake:clean"}]
    job = nodes["job:etl:load"]["data"]
    assert (job["type"], job["latestRun"]["state"], job["latestRun"]["durationMs"]) == ("BATCH", "COMPLETED", 90_000)
    assert nodes["job:etl:use"]["data"]["latestRun"]["state"] == "FAILED"
    data = nodes["dataset:s3://lake:clean"]["data"]
    assert (data["description"], [field["name"] for field in data["fields"]]) == ("Clean", ["mail"])
    assert (body["cut"], body["more"]) == (False, [])


def test_an_answer_that_was_cut_says_from_where_to_ask_on(ask: Any) -> None:
    body = ask("/api/v1/lineage", nodeId="dataset:shop:raw", depth=1, limit=1)
    assert body["cut"]
    assert body["more"] == ["dataset:shop:raw"]


def test_the_graph_as_of_a_moment_before_the_first_event_is_the_node_alone(ask: Any) -> None:
    body = ask("/api/v1/lineage", nodeId="dataset:shop:raw", asOf="2001-01-01T00:00:00+00:00")
    assert [node["id"] for node in body["graph"]] == ["dataset:shop:raw"]


def test_columns_in_the_shape_of_marquez(ask: Any) -> None:
    feed(run_event("deepen", time=200, run="r3", outputs=[dataset("deep", columnLineage=columns(n=[("raw", "email")]))]))
    body = ask("/api/v1/column-lineage", nodeId="datasetField:s3://lake:clean:mail")
    nodes = {node["id"]: node for node in body["graph"]}
    field = nodes["datasetField:s3://lake:clean:mail"]["data"]
    assert field["fieldType"] == "string"
    (source,) = field["inputFields"]
    assert (source["dataset"], source["field"], source["transformationType"]) == ("raw", "email", "IDENTITY")
    both = ask("/api/v1/column-lineage", nodeId="dataset:shop:raw", withDownstream="true")
    assert "datasetField:shop:deep:n" in {node["id"] for node in both["graph"]}
    of_job = ask("/api/v1/column-lineage", nodeId="job:etl:load")
    assert "datasetField:shop:raw:email" in {node["id"] for node in of_job["graph"]}


def test_the_way_between_two_nodes(ask: Any) -> None:
    body = ask("/api/v1/lineage/path", **{"from": "dataset:shop:raw", "to": "job:etl:use"})
    assert body["path"] == ["dataset:shop:raw", "job:etl:load", "dataset:s3://lake:clean", "job:etl:use"]
    assert not body["cut"]


def test_lists_and_details_by_namespace(ask: Any) -> None:
    lake = quote("s3://lake", safe="")
    assert [row["name"] for row in ask("/api/v1/namespaces")["namespaces"]] == ["etl", "s3://lake", "shop"]
    assert [row["name"] for row in ask(f"/api/v1/namespaces/{lake}/datasets")["datasets"]] == ["clean"]
    detail = ask(f"/api/v1/namespaces/{lake}/datasets/clean")
    assert "columnLineage" in detail["facets"]
    assert ask(f"/api/v1/namespaces/{lake}/datasets/clean/versions")["versions"][0]["kind"] == "schema"
    jobs = ask("/api/v1/namespaces/etl/jobs")
    assert (jobs["totalCount"], [row["name"] for row in jobs["jobs"]]) == (2, ["load", "use"])
    assert ask("/api/v1/namespaces/etl/jobs", limit=1, offset=1)["jobs"][0]["name"] == "use"
    job = ask("/api/v1/namespaces/etl/jobs/load")
    assert (job["inputs"], job["outputs"]) == (
        [{"namespace": "shop", "name": "raw"}],
        [{"namespace": "s3://lake", "name": "clean"}],
    )
    assert ask("/api/v1/namespaces/etl/jobs/load/runs")["runs"][0]["id"] == run_uuid("r1")


def test_a_run_with_its_facets_and_datasets(ask: Any) -> None:
    body = ask(f"/api/v1/jobs/runs/{run_uuid('r1')}")
    assert (body["state"], body["jobName"], body["facets"]) == ("COMPLETED", "load", {"nothing": {"a": 1}})
    assert ([item["name"] for item in body["inputs"]], [item["name"] for item in body["outputs"]]) == (["raw"], ["clean"])
    assert ask(f"/api/v1/jobs/runs/{run_uuid('r1')}/facets", type="run")["facets"] == {"nothing": {"a": 1}}


def test_events_come_out_as_they_went_in(ask: Any) -> None:
    body = ask("/api/v1/events/lineage", limit=2, sortDirection="asc")
    assert [event["eventType"] for event in body["events"]] == ["START", "COMPLETE"]
    assert body["more"]
    assert ask("/api/v1/events/lineage", after="2026-03-01T12:01:31Z")["events"][0]["eventType"] == "FAIL"
    assert ask("/api/v1/events/lineage", before="2026-03-01T12:00:00Z")["events"] == []


def test_search(ask: Any) -> None:
    body = ask("/api/v1/search", q="LOA")
    assert body["results"][0]["nodeId"] == "job:etl:load"
    assert ask("/api/v1/search", q="a", filter="DATASET")["totalCount"] == 2


@pytest.mark.parametrize(
    ("url", "params", "status"),
    [
        ("/api/v1/lineage", {}, 400),
        ("/api/v1/lineage", {"nodeId": "nonsense"}, 400),
        ("/api/v1/lineage", {"nodeId": "dataset:a:b"}, 404),
        ("/api/v1/lineage", {"nodeId": "dataset:shop:raw", "depth": "deep"}, 400),
        ("/api/v1/lineage", {"nodeId": "dataset:shop:raw", "depth": "-1"}, 400),
        ("/api/v1/lineage", {"nodeId": "dataset:shop:raw", "direction": "sideways"}, 400),
        ("/api/v1/lineage", {"nodeId": "dataset:shop:raw", "asOf": "yesterday"}, 400),
        ("/api/v1/search", {}, 400),
        ("/api/v1/jobs/runs/none", {}, 404),
        ("/api/v1/namespaces/etl/jobs/none", {}, 404),
        ("/api/v1/namespaces/etl/datasets/none", {}, 404),
    ],
)
def test_a_question_that_cannot_be_answered_is_told_why(ask: Any, url: str, params: dict[str, str], status: int) -> None:
    assert ask(url, status, **params)


READS = [
    "/api/v1/lineage?nodeId=dataset:shop:raw",
    "/api/v1/lineage/path?from=dataset:shop:raw&to=job:etl:use",
    "/api/v1/column-lineage?nodeId=dataset:shop:raw",
    "/api/v1/events/lineage",
    "/api/v1/search?q=a",
    "/api/v1/namespaces",
    "/api/v1/namespaces/etl/jobs",
    "/api/v1/jobs",
    f"/api/v1/jobs/runs/{run_uuid('r1')}",
]


@pytest.mark.parametrize("url", READS)
def test_every_role_of_a_person_reads_and_a_producer_does_not(url: str) -> None:
    assert Client().get(url).status_code in {401, 403}
    for role in ("owner", "steward", "oncall", "dpo", "auditor", "admin"):
        assert Client().get(url, headers=key_of(role)).status_code == 200
    assert Client().get(url, headers=key_of("producer")).status_code == 403


def test_a_producer_sees_its_own_refused_events_with_their_bodies() -> None:
    mine, secret = accounts.apikey_create(name="mine", role="producer", namespaces=["*"], actor="tests")
    services.events_ingest(bodies=["[1]"], producer=mine)
    services.events_ingest(bodies=["[2]"], producer="somebody else")
    body = Client().get("/api/v1/lineage/quarantine", headers={"Authorization": f"Bearer {secret}"}).json()
    assert [(row["path"], row["body"]) for row in body["refused"]] == [("$", "[1]")]
    others = Client().get("/api/v1/lineage/quarantine", headers=key_of("oncall")).json()
    assert others["totalCount"] == 2
    assert "body" not in others["refused"][0]
