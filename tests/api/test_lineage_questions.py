"""What our own API answers beside Marquez's: impact, changes, filters, moments, files, counts, and what to do on errors."""

from __future__ import annotations

import io
import time
from datetime import datetime
from typing import Any
from urllib.parse import quote

import networkx
import pytest
from django.test import Client
from django.utils import timezone

from controlplane.accounts import services as accounts
from lineage import services
from tests.lineage_support import FACET, columns, dataset, dataset_event, run_event, run_uuid

pytestmark = pytest.mark.django_db

MASKED = {"type": "DIRECT", "subtype": "TRANSFORMATION", "masking": True}
SUM = {"type": "DIRECT", "subtype": "AGGREGATION", "masking": False}
FILTER = {"type": "INDIRECT", "subtype": "FILTER", "masking": False}


def feed(*events: dict[str, Any]) -> datetime:
    """Fold the events; returns a moment after they became known."""
    services.events_ingest(bodies=events, producer="tests")
    while services.pending_project().events:
        pass
    time.sleep(0.002)
    return timezone.now()


@pytest.fixture
def ask() -> Any:
    _, secret = accounts.apikey_create(name="reader", role="oncall", namespaces=["*"], actor="tests")
    headers = {"Authorization": f"Bearer {secret}"}

    def get(url: str, status: int = 200, *, raw: bool = False, accept: str = "", **params: Any) -> Any:
        answer = Client().get(url, params, headers=headers | ({"Accept": accept} if accept else {}))
        assert answer.status_code == status, answer.content
        return answer if raw else answer.json()

    return get


@pytest.fixture
def shop() -> datetime:
    """raw(mail, sum, day) → clean → (mart, by a filter: stats) → report, whose job states no columns."""
    tags = {**FACET, "tags": [{"key": "tier", "value": "gold"}, {"key": "contact", "value": "true", "field": "mail"}]}
    owned = {**FACET, "owners": [{"name": "team:orders"}]}
    clean = dataset("clean", fields=["mail", "sum"], tags=tags, ownership=owned)
    clean["facets"]["columnLineage"] = columns(mail=[("raw", "mail", MASKED)], sum=[("raw", "sum")])
    mart = dataset("mart", columnLineage=columns(total=[("clean", "sum", SUM)], who=[("clean", "mail")]))
    stats = dataset("stats", fields=["n"])
    stats["facets"]["columnLineage"] = columns(n=[("clean", "sum", SUM)]) | {
        "dataset": [{"namespace": "shop", "name": "clean", "field": "mail", "transformations": [FILTER]}]
    }
    return feed(
        run_event("load", run="1", inputs=[dataset("raw", fields=["mail", "sum", "day"])], outputs=[clean]),
        run_event("sum", run="2", inputs=[dataset("clean")], outputs=[mart], namespace="marts"),
        run_event("count", run="3", inputs=[dataset("clean")], outputs=[stats], namespace="marts"),
        run_event("print", run="4", inputs=[dataset("mart")], outputs=[dataset("report")]),
    )


@pytest.mark.usefixtures("shop")
def test_the_impact_of_a_column_says_how_it_gets_where(ask: Any) -> None:
    body = ask("/api/v1/lineage/impact", nodeId="datasetField:shop:raw:mail")
    columns_ = {item["id"]: item for item in body["columns"]}
    who = columns_["datasetField:shop:mart:who"]
    assert who["path"] == ["datasetField:shop:raw:mail", "datasetField:shop:clean:mail", "datasetField:shop:mart:who"]
    assert (who["distance"], who["masked"], who["aggregated"], who["indirect"]) == (2, True, False, False)
    whole = columns_["datasetField:shop:stats:"]
    assert (whole["indirect"], whole["masked"]) == (True, True)
    assert "datasetField:shop:mart:total" not in columns_
    by_columns = {item["id"]: item["byColumns"] for item in body["datasets"]}
    # The filter reaches every row of stats; nobody said which columns of report come from where.
    assert by_columns == {
        "dataset:shop:clean": True,
        "dataset:shop:mart": True,
        "dataset:shop:report": False,
        "dataset:shop:stats": False,
    }
    assert body["jobs"] == ["job:etl:load", "job:etl:print", "job:marts:count", "job:marts:sum"]
    assert (body["cut"], body["products"]) == (False, [])
    total = ask("/api/v1/lineage/impact", nodeId="datasetField:shop:raw:sum")["columns"]
    assert {item["id"] for item in total if item["aggregated"]} == {"datasetField:shop:mart:total", "datasetField:shop:stats:n"}
    unused = ask("/api/v1/lineage/impact", nodeId="datasetField:shop:raw:day")
    assert (unused["columns"], unused["datasets"]) == ([], [])
    assert ask("/api/v1/lineage/impact", 400, nodeId="job:etl:load")["nodeId"]


@pytest.mark.usefixtures("shop")
def test_upstream_and_downstream_and_the_filters_of_a_graph(ask: Any) -> None:
    def ids(**params: Any) -> set[str]:
        return {node["id"] for node in ask("/api/v1/lineage/downstream", nodeId="dataset:shop:raw", **params)["graph"]}

    everything = ids()
    assert "dataset:shop:report" in everything
    assert ids(tag="tier:gold") == {
        "dataset:shop:raw",
        "dataset:shop:clean",
        "job:etl:load",
        "job:marts:sum",
        "job:marts:count",
    }
    assert ids(owner="team:orders") == ids(tag="tier:gold")
    assert ids(namespace="marts") == {"dataset:shop:raw", "job:etl:load", "job:marts:sum", "job:marts:count"}
    hidden = ask("/api/v1/lineage/downstream", nodeId="dataset:shop:raw", tag="none")["hidden"]
    assert hidden == len(everything) - 2  # the node that was asked for stays, and the job that reads it
    upstream = ask("/api/v1/lineage/upstream", nodeId="dataset:shop:mart", depth=1)
    assert {node["id"] for node in upstream["graph"]} == {"dataset:shop:mart", "job:marts:sum", "dataset:shop:clean"}
    assert (upstream["more"], upstream["cut"]) == (["dataset:shop:clean"], True)
    assert "nodeId" in upstream["rest"]


@pytest.mark.usefixtures("shop")
def test_lists_are_filtered_and_paged_with_totals(ask: Any) -> None:
    assert [row["name"] for row in ask("/api/v1/lineage/datasets", tag="tier:gold")["datasets"]] == ["clean"]
    assert [row["name"] for row in ask("/api/v1/lineage/datasets", owner="team:orders")["datasets"]] == ["clean"]
    page = ask("/api/v1/namespaces/shop/datasets", limit=2)
    assert (page["totalCount"], page["more"], len(page["datasets"])) == (5, True, 2)
    following = ask(page["next"])
    assert [row["name"] for row in following["datasets"]] == ["raw", "report"]
    assert ask("/api/v1/jobs", namespace="marts")["totalCount"] == 2


def test_what_changed_between_two_moments(ask: Any, shop: datetime) -> None:
    renewed = dataset("clean", fields=["mail", "sum"])
    renewed["facets"]["schema"]["fields"] = [{"name": "mail", "type": "text"}, {"name": "added", "type": "int"}]
    later = feed(
        run_event("load", time=50, run="1b", inputs=[dataset("raw"), dataset("extra")], outputs=[renewed]),
        dataset_event(dataset("stats", lifecycleStateChange={**FACET, "lifecycleStateChange": "DROP"}), time=60),
    )
    body = ask("/api/v1/lineage/changes", **{"from": shop.isoformat(), "to": later.isoformat()})
    assert "dataset:shop:extra" in body["nodesAdded"]
    assert body["nodesRemoved"] == ["dataset:shop:stats"]
    assert {"origin": "dataset:shop:extra", "destination": "job:etl:load"} in body["edgesAdded"]
    assert body["edgesRemoved"] == [{"origin": "job:marts:count", "destination": "dataset:shop:stats"}]
    (schema,) = [item for item in body["schemas"] if item["dataset"] == "dataset:shop:clean"]
    assert schema["columns"] == [
        {"column": "mail", "before": "string", "after": "text"},
        {"column": "added", "before": None, "after": "int"},
        {"column": "sum", "before": "string", "after": None},
    ]
    near = ask("/api/v1/lineage/changes", **{"from": shop.isoformat(), "nodeId": "dataset:shop:raw", "depth": 1})
    assert "dataset:shop:extra" not in near["nodesAdded"]
    assert ask("/api/v1/lineage/changes", **{"from": later.isoformat(), "to": later.isoformat()})["edgesAdded"] == []
    assert ask("/api/v1/lineage/changes", 400)["from"]


def test_every_read_can_be_asked_as_of_a_moment(ask: Any, shop: datetime) -> None:
    before = shop.isoformat()
    renewed = dataset("clean", fields=["other"])
    feed(
        run_event("load", "START", time=100, run="late", inputs=[dataset("raw")]),
        run_event("load", time=110, run="late", outputs=[renewed]),
        run_event("new", time=120, run="n", outputs=[dataset("new", namespace="fresh")]),
    )
    assert "fresh" not in {row["name"] for row in ask("/api/v1/namespaces", asOf=before)["namespaces"]}
    assert ask("/api/v1/jobs", asOf=before)["totalCount"] == 4
    assert ask("/api/v1/namespaces/fresh/datasets/new", 404, asOf=before)
    then = ask("/api/v1/namespaces/shop/datasets/clean", asOf=before)
    assert [field["name"] for field in then["fields"]] == ["mail", "sum"]
    assert [field["name"] for field in ask("/api/v1/namespaces/shop/datasets/clean")["fields"]] == ["other"]
    assert [run["id"] for run in ask("/api/v1/namespaces/etl/jobs/load/runs", asOf=before)["runs"]] == [run_uuid("1")]
    assert ask(f"/api/v1/jobs/runs/{run_uuid('late')}", 404, asOf=before)
    assert ask("/api/v1/search", q="new", asOf=before)["results"] == []
    assert ask("/api/v1/events/lineage", asOf=before)["totalCount"] == 4
    assert ask("/api/v1/sources", asOf=before)["sources"][0]["name"] == "default"


@pytest.mark.usefixtures("shop")
def test_a_graph_as_graphml_node_link_and_svg(ask: Any) -> None:
    url, params = "/api/v1/lineage", {"nodeId": "dataset:shop:raw"}
    text = ask(url, raw=True, accept="application/graphml+xml", **params)
    made = networkx.read_graphml(io.BytesIO(text.content))
    assert made.nodes["dataset:shop:clean"]["namespace"] == "shop"
    assert made.has_edge("dataset:shop:raw", "job:etl:load")
    linked = networkx.node_link_graph(ask(url, format="json", **params), edges="links")
    assert set(linked.nodes) == set(made.nodes)
    drawn = ask(url, raw=True, format="svg", **params)
    assert drawn["Content-Type"] == "image/svg+xml"
    assert b"report" in drawn.content
    fields = ask("/api/v1/column-lineage", raw=True, format="graphml", nodeId="dataset:shop:mart")
    assert networkx.read_graphml(io.BytesIO(fields.content)).has_node("datasetField:shop:raw:mail")
    assert "marquez" in ask(url, 400, format="pdf", **params)["format"][0]


@pytest.mark.usefixtures("shop")
def test_counts_over_time_in_the_shape_of_marquez(ask: Any) -> None:
    day = ask("/api/v1/stats/lineage-events", period="DAY", asOf="2026-03-01T12:30:00Z")
    assert (len(day), day[-1]["complete"], day[-1]["startInterval"]) == (24, 4, "2026-03-01T12:00:00Z")
    week = ask("/api/v1/stats/lineage-events", period="WEEK", timezone="Europe/Paris", asOf="2026-03-30T12:00:00Z")
    assert [row["endInterval"] for row in week[-2:]] == ["2026-03-29T22:00:00Z", "2026-03-30T22:00:00Z"]  # the clock changed
    assert ask("/api/v1/stats/datasets", period="DAY", timezone="UTC")[-1]["count"] == 5
    assert ask("/api/v1/stats/sources", 400, period="YEAR")["period"]
    assert ask("/api/v1/stats/jobs", 400, period="DAY", timezone="Mars/Base")["timezone"]


@pytest.mark.usefixtures("shop")
def test_versions_of_datasets_and_jobs(ask: Any) -> None:
    (version,) = ask("/api/v1/namespaces/shop/datasets/clean/versions")["versions"]
    one = ask(f"/api/v1/namespaces/shop/datasets/clean/versions/{version['version']}")
    assert ([field["name"] for field in one["fields"]], one["createdByRun"]["id"]) == (["mail", "sum"], run_uuid("1"))
    assert one["fields"][0]["tags"] == ["contact"]
    (job,) = ask("/api/v1/namespaces/etl/jobs/load/versions")["versions"]
    assert ([row["name"] for row in job["inputs"]], [row["name"] for row in job["outputs"]]) == (["raw"], ["clean"])
    assert (
        ask(f"/api/v1/namespaces/etl/jobs/load/versions/{job['version']}")["latestRun"]["jobVersion"]["version"]
        == job["version"]
    )
    assert ask("/api/v1/namespaces/etl/jobs/load/versions/none", 404)
    node = quote(f"dataset:shop:clean#{version['version']}")
    assert ask(f"/api/v1/column-lineage?nodeId={node}")["graph"]


@pytest.mark.usefixtures("shop")
def test_addresses_as_marquezs_web_ui_writes_them(ask: Any) -> None:
    assert ask("/api/v1/lineage/", nodeId="dataset:shop:raw", depth=2)["graph"]
    assert ask("/api/v1/search/", q="cle", filter="ALL", sort="NAME", limit=100)["results"][0]["name"] == "clean"
    assert ask("/api/v1/search", q="%ea%", sort="UPDATE_AT")["totalCount"] == 1
    assert len(ask("/api/v1/events/lineage", limit=2, before="", after="", sortDirection="desc")["events"]) == 2
    assert {row["name"] for row in ask("/api/v1/tags")["tags"]} == {"PII", "SENSITIVE", "contact", "tier:gold"}


@pytest.mark.parametrize("role", ["producer", "auditor"])
def test_writes_of_marquez_are_refused_with_what_to_do_instead(role: str) -> None:
    _, secret = accounts.apikey_create(name=role, role=role, namespaces=["*"], actor="tests")
    answer = Client().put("/api/v1/namespaces/new", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 405
    assert "event" in answer.json()["detail"]
    assert Client().put("/api/v1/namespaces/new").status_code in {401, 403}
