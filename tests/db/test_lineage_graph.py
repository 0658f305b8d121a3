"""Questions to the graph."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import pytest
from django.utils import timezone

from lineage import selectors, services
from lineage.errors import NodeIdInvalid, NodeUnknown
from lineage.selectors.graph import Key
from tests.lineage_support import FACET, columns, dataset, dataset_event, run_event

pytestmark = pytest.mark.django_db


def feed(*events: dict[str, Any]) -> datetime:
    """Fold the events; returns a moment after they became known."""
    services.events_ingest(bodies=events, producer="tests")
    while services.pending_project().events:
        pass
    time.sleep(0.002)
    return timezone.now()


def key(name: str, kind: str = "dataset") -> Key:
    found = selectors.node_resolve(f"{kind}:{'shop' if kind == 'dataset' else 'etl'}:{name}")
    return ("dataset" if kind == "dataset" else "job", found.key)


def names(found: selectors.Subgraph) -> set[str]:
    sets = selectors.datasets_by_id(number for kind, number in found.nodes if kind == "dataset")
    jobs = selectors.jobs_by_id(number for kind, number in found.nodes if kind == "job")
    return {row.name for row in sets.values()} | {row.name for row in jobs.values()}


def step(job: str, inputs: str, outputs: str, *, at: float = 0, run: str = "") -> dict[str, Any]:
    made = [[dataset(name) for name in part.split()] for part in (inputs, outputs)]
    return run_event(job, time=at, run=run or f"{job} {at}", inputs=made[0], outputs=made[1])


@pytest.fixture
def line() -> None:
    """raw → clean → (mart, stats) → report, with a loop from report back to raw."""
    feed(
        step("j1", "raw", "clean"),
        step("j2", "clean", "mart"),
        step("j3", "clean", "stats"),
        step("j4", "mart stats", "report"),
        step("j5", "report", "raw"),
    )


@pytest.mark.usefixtures("line")
def test_a_walk_goes_as_deep_as_it_is_told_and_says_what_it_left_out() -> None:
    found = selectors.walk([key("clean")], depth=1, direction="downstream")
    assert names(found) == {"clean", "j2", "j3", "mart", "stats"}
    assert found.cut
    assert found.more == {key("mart"), key("stats")}


@pytest.mark.usefixtures("line")
def test_a_walk_over_a_loop_ends() -> None:
    found = selectors.walk([key("clean")], depth=50, direction="downstream")
    assert names(found) == {"raw", "clean", "mart", "stats", "report", "j1", "j2", "j3", "j4", "j5"}
    assert (found.cut, found.more) == (False, set())


@pytest.mark.usefixtures("line")
def test_upstream_is_the_other_way() -> None:
    assert names(selectors.walk([key("mart")], depth=1, direction="upstream")) == {"mart", "j2", "clean"}
    assert names(selectors.walk([key("j2", "job")], depth=1, direction="both")) == {"j2", "clean", "mart"}


@pytest.mark.usefixtures("line")
def test_a_walk_that_meets_the_limit_keeps_the_nearest_and_says_so() -> None:
    found = selectors.walk([key("clean")], depth=50, direction="downstream", limit=4)
    assert len(found.nodes) <= 4
    assert found.cut
    assert found.more


@pytest.mark.usefixtures("line")
def test_the_way_between_two_nodes() -> None:
    trail, cut = selectors.path_between(key("raw"), key("report"))
    assert [kind for kind, _ in trail] == ["dataset", "job"] * 3 + ["dataset"]
    assert trail[0] == key("raw")
    assert trail[-1] == key("report")
    assert not cut
    feed(step("j9", "island", "beach"))
    assert selectors.path_between(key("raw"), key("island")) == ([], False)


def test_nothing_bridges_through_a_dropped_dataset_and_its_old_edges_stay_gone_when_it_returns() -> None:
    gone = dataset("mid", lifecycleStateChange={"lifecycleStateChange": "DROP"})
    before = feed(step("j1", "raw", "mid"), step("j2", "mid", "mart"))
    dropped = feed(run_event("d", time=5, outputs=[gone]))
    assert names(selectors.walk([key("raw")], depth=9, direction="downstream")) == {"raw", "j1"}
    assert "mart" in names(selectors.walk([key("raw")], depth=9, direction="downstream", as_of=before))
    feed(step("j1", "raw", "mid", at=8))
    now = selectors.walk([key("raw")], depth=9, direction="downstream")
    assert names(now) == {"raw", "j1", "mid"}
    assert names(selectors.walk([key("raw")], depth=9, direction="downstream", as_of=dropped)) == {"raw", "j1"}


def test_the_graph_as_it_was_known_at_a_moment() -> None:
    before = feed(step("j1", "raw", "clean"))
    feed(step("j2", "clean", "mart"))
    assert names(selectors.walk([key("raw")], depth=9, as_of=before)) == {"raw", "j1", "clean"}
    assert "mart" in names(selectors.walk([key("raw")], depth=9))


def test_names_joined_by_a_symlink_are_walked_as_one() -> None:
    path = dataset("/lake/clean", namespace="file")
    path["facets"]["symlinks"] = {"identifiers": [{"namespace": "shop", "name": "clean", "type": "TABLE"}]}
    feed(run_event("j1", inputs=[dataset("raw")], outputs=[path]), step("j2", "clean", "mart"))
    assert "mart" in names(selectors.walk([key("raw")], depth=9, direction="downstream"))
    assert ("shop", "clean") in selectors.aliases([key("clean")[1]])[key("clean")[1]]


def test_a_name_that_only_a_symlink_knows_leads_to_its_dataset() -> None:
    path = dataset("/lake/clean", namespace="file")
    path["facets"]["symlinks"] = {"identifiers": [{"namespace": "shop", "name": "clean", "type": "TABLE"}]}
    feed(run_event("j1", outputs=[path]))
    assert selectors.node_resolve("dataset:shop:clean").key == selectors.node_resolve("dataset:file:/lake/clean").key


def test_the_lineage_facet_states_the_edges_and_nothing_is_multiplied() -> None:
    def source(name: str) -> dict[str, Any]:
        return {"namespace": "shop", "name": name, "type": "DATASET"}

    entries = [source("x") | {"inputs": [source("a")]}, source("y") | {"inputs": [source("b")]}]
    event = run_event(
        "j",
        inputs=[dataset("a"), dataset("b")],
        outputs=[dataset("x"), dataset("y")],
        job_facets={"lineage": {**FACET, "entries": entries}},
    )
    feed(event)
    assert names(selectors.walk([key("a")], depth=5, direction="downstream")) == {"a", "j", "x"}
    assert names(selectors.walk([key("y")], depth=5, direction="upstream")) == {"y", "j", "b"}


def test_a_dataset_event_can_state_lineage_without_a_job() -> None:
    source = {"namespace": "shop", "name": "a", "type": "DATASET"}
    feed(dataset_event(dataset("view", lineage={"inputs": [source]})))
    assert names(selectors.walk([key("a")], depth=5, direction="downstream")) == {"a", "view"}


def column_names(found: selectors.ColumnGraph) -> set[tuple[str, str]]:
    sets = selectors.datasets_by_id(node for node, _ in found.columns)
    return {(sets[node].name, name) for node, name in found.columns}


@pytest.fixture
def column_line() -> None:
    masked = {"type": "DIRECT", "subtype": "TRANSFORMATION", "masking": True}
    clean = dataset("clean", fields=["mail", "day"], columnLineage=columns(mail=[("raw", "email")], day=[("raw", "at")]))
    token = columns(token=[("clean", "mail", masked)])
    token["dataset"] = [
        {"namespace": "shop", "name": "clean", "field": "day", "transformations": [{"type": "INDIRECT", "subtype": "FILTER"}]}
    ]
    mart = dataset("mart", fields=["token"], columnLineage=token)
    feed(
        run_event("j1", inputs=[dataset("raw", fields=["email", "at"])], outputs=[clean]),
        run_event("j2", inputs=[dataset("clean")], outputs=[mart]),
    )


@pytest.mark.usefixtures("column_line")
def test_the_columns_that_a_column_is_made_of() -> None:
    found = selectors.column_walk([(key("mart")[1], "token")], depth=9)
    assert column_names(found) == {
        ("mart", "token"),
        ("clean", "mail"),
        ("raw", "email"),
        ("mart", ""),
        ("clean", "day"),
        ("raw", "at"),
    }
    edge = next(edge for edge in found.edges.values() if edge.target == (key("mart")[1], "token"))
    assert (edge.direct, edge.masking, edge.transformations[0][:2]) == (True, True, ("DIRECT", "TRANSFORMATION"))


@pytest.mark.usefixtures("column_line")
def test_the_columns_that_a_column_reaches() -> None:
    start = [(key("raw")[1], "at")]
    found = selectors.column_walk(start, depth=9, upstream=False, downstream=True)
    assert column_names(found) == {("raw", "at"), ("clean", "day"), ("mart", "")}
    near = selectors.column_walk(start, depth=1, upstream=False, downstream=True)
    assert near.cut
    assert {name for _, name in near.more} == {"day"}


@pytest.mark.usefixtures("column_line")
def test_columns_as_they_were_known_at_a_moment() -> None:
    before = timezone.now()
    changed = dataset("clean", columnLineage=columns(mail=[("raw", "contact")]))
    feed(run_event("j1", time=9, run="later", outputs=[changed]))
    start = [(key("clean")[1], "mail")]
    assert ("raw", "contact") in column_names(selectors.column_walk(start, depth=1))
    assert ("raw", "email") not in column_names(selectors.column_walk(start, depth=1))
    assert ("raw", "email") in column_names(selectors.column_walk(start, depth=1, as_of=before))


def test_columns_are_followed_across_joined_names() -> None:
    path = dataset("/lake/clean", namespace="file", fields=["mail"], columnLineage=columns(mail=[("raw", "email")]))
    path["facets"]["symlinks"] = {"identifiers": [{"namespace": "shop", "name": "clean", "type": "TABLE"}]}
    mart = dataset("mart", columnLineage=columns(who=[("clean", "mail")]))
    feed(run_event("j1", outputs=[path]), run_event("j2", inputs=[dataset("clean")], outputs=[mart]))
    found = selectors.column_walk([(key("mart")[1], "who")], depth=9)
    assert {name for _, name in found.columns} == {"who", "mail", "email"}


def test_namespaces_may_hold_colons() -> None:
    feed(run_event("j", namespace="airflow://host:80", outputs=[dataset("a:b", namespace="s3://bucket", fields=["c:d"])]))
    assert selectors.node_resolve("dataset:s3://bucket:a:b").name.name == "a:b"
    assert selectors.node_resolve("job:airflow://host:80:j").name.namespace == "airflow://host:80"
    assert selectors.node_resolve("datasetField:s3://bucket:a:b:c:d").name.field == "c:d"
    with pytest.raises(NodeUnknown):
        selectors.node_resolve("dataset:s3://bucket:nothing")
    for wrong in ("", "dataset", "dataset:", "table:a:b", "dataset:a", "datasetField:a:b"):
        with pytest.raises(NodeIdInvalid):
            selectors.node_resolve(wrong)


def test_search_finds_datasets_and_jobs_shortest_first() -> None:
    feed(run_event("load orders", outputs=[dataset("orders"), dataset("orders_daily"), dataset("other")]))
    assert [(hit.kind, hit.name) for hit in selectors.search("ORDER")] == [
        ("dataset", "orders"),
        ("job", "load orders"),
        ("dataset", "orders_daily"),
    ]
    assert [hit.node_id for hit in selectors.search("orders", kind="job")] == ["job:etl:load orders"]
    assert selectors.search("%") == []


def test_the_datasets_of_a_run_are_those_of_all_its_events() -> None:
    feed(run_event("j", "START", inputs=[dataset("a")]), run_event("j", "COMPLETE", time=1, outputs=[dataset("b")]))
    (run,) = selectors.runs()
    inputs, outputs = selectors.run_datasets(run)
    assert ([row.name for row in inputs], [row.name for row in outputs]) == (["a"], ["b"])
    assert [row.event_type for row in selectors.events_of_run(run.id, known_from=run.known_from)] == ["START", "COMPLETE"]
