"""The graph is a function of the set of events."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.models import Dataset as CatalogDataset
from lineage import services
from lineage.domain.ids import dataset_id
from lineage.models import Dataset, Edge, EdgeClaim, Facet, FieldEdge, Job, Pending, Quarantine, Run, Symlink
from lineage.services import projection
from tests.lineage_support import columns, dataset, graph, graph_clear, run_event, sample_events, scenario

pytestmark = pytest.mark.django_db

SCENARIOS = {
    # events, jobs, runs, datasets, edges between datasets, column edges, symlinks
    "CLL": (9, 4, 4, 3, 2, 10, 3),
    "airflow": (32, 16, 16, 13, 12, 16, 0),
    "simple_run_event": (1, 1, 1, 2, 1, 0, 0),
    "spark_dataproc_bigquery_shakespare": (12, 3, 3, 2, 1, 4, 0),
    "spark_dataproc_simple_producer_test": (4, 1, 1, 2, 1, 2, 2),
    "spark_dataproc_simple_producer_test_complete": (12, 5, 6, 2, 0, 0, 4),
}


def project_all(limit: int = 1000) -> int:
    total = 0
    while done := services.pending_project(limit=limit).events:
        total += done
    return total


def feed(events: Sequence[dict[str, Any]], *, batch: int = 1000, project_limit: int = 1000) -> None:
    for start in range(0, len(events), batch):
        services.events_ingest(bodies=events[start : start + batch], producer="tests")
        if start % (3 * batch) == 0:
            project_all(project_limit)
    project_all(project_limit)


def pairs() -> set[tuple[int, int]]:
    inputs: dict[int, set[int]] = {}
    outputs: dict[int, set[int]] = {}
    for edge in Edge.objects.filter(known_to=None):
        (inputs if edge.direction == 1 else outputs).setdefault(edge.job_id, set()).add(edge.dataset_id)
    return {(source, target) for job in inputs for source in inputs[job] for target in outputs.get(job, ())}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_of_the_compatibility_suite_gives_its_counts(shared_fixtures: Path, name: str) -> None:
    events = scenario(shared_fixtures, name)
    feed(events)
    counts = (
        len(events),
        Job.objects.count(),
        Run.objects.count(),
        Dataset.objects.filter(seen=True).count(),
        len(pairs()),
        FieldEdge.objects.exclude(target_field_id=0).count(),
        Symlink.objects.count(),
    )
    assert counts == SCENARIOS[name]
    assert not Quarantine.objects.exists()


def clean(events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    graph_clear()
    feed(events)
    return graph()


relaxed = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@relaxed
@given(order=st.randoms(use_true_random=False), batch=st.integers(1, 6), limit=st.integers(1, 7), repeats=st.integers(0, 6))
def test_order_grouping_and_repetition_of_events_do_not_matter(
    order: random.Random, batch: int, limit: int, repeats: int
) -> None:
    events = sample_events()
    expected = clean(events)
    shuffled = [*events, *order.choices(events, k=repeats)]
    order.shuffle(shuffled)
    graph_clear()
    feed(shuffled, batch=batch, project_limit=limit)
    assert graph() == expected
    graph_clear()


@settings(relaxed, max_examples=4)
@given(order=st.randoms(use_true_random=False), batch=st.integers(1, 30), limit=st.integers(3, 40))
def test_real_events_in_any_order_and_grouping_give_the_same_graph(
    shared_fixtures: Path, order: random.Random, batch: int, limit: int
) -> None:
    events = [event for name in SCENARIOS for event in scenario(shared_fixtures, name)]
    expected = clean(events)
    shuffled = [*events, *order.choices(events, k=20)]
    order.shuffle(shuffled)
    graph_clear()
    feed(shuffled, batch=batch, project_limit=limit)
    assert graph() == expected
    graph_clear()


@relaxed
@given(order=st.randoms(use_true_random=False), batch=st.integers(1, 6), limit=st.integers(1, 7))
def test_a_rebuild_ends_identical_with_every_moment_of_knowledge(order: random.Random, batch: int, limit: int) -> None:
    graph_clear()
    events = sample_events()
    order.shuffle(events)
    feed(events, batch=batch, project_limit=limit)
    before = graph(times=True)
    call_command("lineage", "rebuild", verbosity=0)
    assert graph(times=True) == before
    assert not Pending.objects.exists()
    graph_clear()


@pytest.mark.django_db(transaction=True)
def test_projectors_at_work_at_once_give_the_same_graph() -> None:
    events = [
        json.loads(json.dumps(event).replace('"totals', f'"totals{index}')) for index in range(8) for event in sample_events()
    ]
    try:
        expected = clean(events)
        graph_clear()
        services.events_ingest(bodies=events, producer="tests")

        def work(_: int) -> int:
            try:
                return project_all(limit=5)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        assert graph() == expected
        assert not Pending.objects.exists()
    finally:
        graph_clear()


def test_a_poison_event_never_stops_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    real = projection.fold  # type: ignore[attr-defined]

    def fold(delta: Any, item: Any) -> None:
        if item.event["job"]["name"] == "poison":
            raise ValueError("cannot be understood")
        real(delta, item)

    monkeypatch.setattr(projection, "fold", fold)
    events = [run_event("a", outputs=[dataset("x")]), run_event("poison"), run_event("b", outputs=[dataset("y")])]
    services.events_ingest(bodies=events, producer="tests")
    done = services.pending_project()
    assert (done.events, done.poison) == (2, 1)
    assert set(Job.objects.values_list("name", flat=True)) == {"a", "b"}
    assert list(Quarantine.objects.values_list("stage", "reason")) == [("projection", "ValueError: cannot be understood")]


def test_an_event_that_the_database_refuses_never_stops_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    real = projection.write  # type: ignore[attr-defined]

    def write(cursor: Any, delta: Any) -> Any:
        if any(job.name == "poison" for job in delta.jobs.values()):
            cursor.execute("SELECT 1 / 0")
        return real(cursor, delta)

    monkeypatch.setattr(projection, "write", write)
    names = ["a", "b", "poison", "c", "d"]
    services.events_ingest(bodies=[run_event(name) for name in names], producer="tests")
    done = services.pending_project()
    assert (done.events, done.poison) == (4, 1)
    assert set(Job.objects.values_list("name", flat=True)) == {"a", "b", "c", "d"}


def test_two_names_with_one_identifier_are_not_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    feed([run_event("a", outputs=[dataset("x")])])
    Dataset.objects.filter(id=dataset_id("shop", "x")).update(name="somebody else")
    services.events_ingest(bodies=[run_event("b", outputs=[dataset("x")])], producer="tests")
    assert services.pending_project().poison == 1
    assert "share the identifier" in Quarantine.objects.get().reason


def test_a_facet_is_the_latest_one_and_a_deletion_is_a_last_word() -> None:
    first = dataset("t", documentation={"description": "one"})
    second = dataset("t", documentation={"description": "two"})
    gone = dataset("t", documentation={"_deleted": True})
    feed([run_event("s", time=3, run="c", outputs=[second]), run_event("s", time=1, run="a", outputs=[first])])
    assert Facet.objects.get(name="documentation").body["description"] == "two"
    feed([run_event("s", time=2, run="b", outputs=[gone])])
    assert not Facet.objects.get(name="documentation").deleted
    feed([run_event("s", time=4, run="d", outputs=[gone])])
    assert Facet.objects.get(name="documentation").deleted


def test_column_lineage_of_a_later_run_replaces_that_of_an_earlier_one_and_history_stays() -> None:
    one = dataset("t", columnLineage=columns(n=[("orders", "amount")]))
    two = dataset("t", columnLineage=columns(n=[("orders", "net")]))
    feed([run_event("s", time=1, run="a", outputs=[one])])
    feed([run_event("s", time=2, run="b", outputs=[two])])
    feed([run_event("s", time=3, run="c", outputs=[two])])
    claims = list(EdgeClaim.objects.order_by("known_from"))
    assert [claim.known_to for claim in claims] == [claims[1].known_from, claims[2].known_from, None]
    assert claims[1].edge_set_id == claims[2].edge_set_id != claims[0].edge_set_id
    assert FieldEdge.objects.count() == 2


def test_a_dropped_dataset_stays_gone_until_something_really_writes_it() -> None:
    drop = dataset("t", lifecycleStateChange={"lifecycleStateChange": "DROP"})
    feed([run_event("w", time=1, outputs=[dataset("t")]), run_event("d", time=5, outputs=[drop])])
    assert not Dataset.objects.get(name="t").alive
    feed([run_event("w", time=4, run="late", outputs=[dataset("t")]), run_event("r", time=6, inputs=[dataset("t")])])
    feed([run_event("w", "START", time=7, run="x", outputs=[dataset("t")])])
    assert not Dataset.objects.get(name="t").alive
    feed([run_event("w", time=8, run="x", outputs=[dataset("t")])])
    assert Dataset.objects.get(name="t").alive


def test_names_that_a_late_symlink_joins_become_one_node() -> None:
    feed([run_event("w", time=1, outputs=[dataset("orders")])])
    path = dataset("/lake/orders", namespace="file")
    feed([run_event("v", time=2, outputs=[path])])
    assert Dataset.objects.values("node_id").distinct().count() == 2
    path["facets"]["symlinks"] = {"identifiers": [{"namespace": "shop", "name": "orders", "type": "TABLE"}]}
    feed([run_event("v", time=3, run="again", outputs=[path])])
    assert Dataset.objects.values("node_id").distinct().count() == 1
    nodes = set(Dataset.objects.values_list("node_id", flat=True))
    assert set(Edge.objects.filter(known_to=None).values_list("node_id", flat=True)) == nodes
    path["facets"]["symlinks"] = {"_deleted": True}
    feed([run_event("v", time=4, run="third", outputs=[path])])
    assert Dataset.objects.values("node_id").distinct().count() == 2


def test_datasets_and_their_fields_reach_the_catalog() -> None:
    feed([run_event("w", outputs=[dataset("orders", fields=["id", "amount"])])])
    found = CatalogDataset.objects.get(namespace="shop", name="orders")
    assert list(found.fields.order_by("position").values_list("name", flat=True)) == ["id", "amount"]


def test_what_the_catalog_cannot_hold_stays_in_the_graph() -> None:
    feed([run_event("w", outputs=[dataset("n" * 2000)])])
    assert Dataset.objects.count() == 1
    assert not CatalogDataset.objects.exists()


def test_the_status_command_counts_the_graph(capsys: pytest.CaptureFixture[str]) -> None:
    feed(sample_events())
    call_command("lineage", "status")
    shown = capsys.readouterr().out
    assert "0 events wait" in shown
    assert "events" in shown
