"""Which edges hold: jobs that stop reading, runs that are at work or failed, streams, renames, drops."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from django.utils import timezone

from lineage import selectors, services
from lineage.selectors import Direction
from tests.lineage_support import FACET, columns, dataset, graph_clear, job_event, run_event

pytestmark = pytest.mark.django_db

STREAM = {"jobType": {**FACET, "processingType": "STREAMING", "integration": "FLINK"}}


def feed(*events: dict[str, Any]) -> datetime:
    """Fold the events; returns a moment after they became known."""
    services.events_ingest(bodies=events, producer="tests")
    while services.pending_project().events:
        pass
    time.sleep(0.002)
    return timezone.now()


def around(name: str, direction: Direction, *, as_of: datetime | None = None) -> set[str]:
    node = selectors.node_resolve(f"dataset:shop:{name}", as_of=as_of).key
    found = selectors.walk([("dataset", node)], depth=9, direction=direction, as_of=as_of)
    sets = selectors.datasets_by_id(number for kind, number in found.nodes if kind == "dataset")
    jobs = selectors.jobs_by_id(number for kind, number in found.nodes if kind == "job")
    return {row.name for row in sets.values()} | {row.name for row in jobs.values()}


def upstream(name: str, *, as_of: datetime | None = None) -> set[str]:
    return around(name, "upstream", as_of=as_of)


def sets(names: str) -> list[dict[str, Any]]:
    return [dataset(name) for name in names.split()]


def step(job: str, inputs: str, outputs: str, *, at: float = 0) -> dict[str, Any]:
    return run_event(job, time=at, run=f"{job} {at}", inputs=sets(inputs), outputs=sets(outputs))


def drop(name: str, *, at: float) -> dict[str, Any]:
    gone = dataset(name, lifecycleStateChange={"lifecycleStateChange": "DROP"})
    return run_event("dropper", time=at, run=f"drop {at}", outputs=[gone])


def rename(old: str, new: str, *, at: float) -> dict[str, Any]:
    change = {"lifecycleStateChange": "RENAME", "previousIdentifier": {"namespace": "shop", "name": old}}
    return run_event("renamer", time=at, run=f"rename {at}", outputs=[dataset(new, lifecycleStateChange=change)])


def test_a_job_that_stops_reading_a_table_no_longer_depends_on_it_and_history_shows_that_it_did() -> None:
    before = feed(step("j", "a b", "t", at=1))
    feed(step("j", "a", "t", at=2))
    assert upstream("t") == {"t", "j", "a"}
    assert upstream("t", as_of=before) == {"t", "j", "a", "b"}
    assert around("b", "downstream") == {"b"}


def test_a_late_event_of_an_old_run_does_not_bring_its_edges_back() -> None:
    feed(step("j", "a b", "t", at=1), step("j", "a", "t", at=5))
    feed(run_event("j", "OTHER", time=2, run="j 1", inputs=sets("b")))
    assert upstream("t") == {"t", "j", "a"}


def test_inputs_named_at_the_start_hold_with_outputs_named_at_the_end() -> None:
    feed(run_event("j", "START", time=1, run="r", inputs=sets("a")))
    feed(run_event("j", "COMPLETE", time=3, run="r", outputs=sets("t")))
    assert upstream("t") == {"t", "j", "a"}


def test_a_run_at_work_adds_to_what_the_last_completed_one_named_and_replaces_it_when_it_completes() -> None:
    feed(step("j", "a", "t", at=1))
    feed(run_event("j", "START", time=2, run="new", inputs=sets("b")))
    assert upstream("t") == {"t", "j", "a", "b"}
    feed(run_event("j", "COMPLETE", time=3, run="new", outputs=sets("t")))
    assert upstream("t") == {"t", "j", "b"}


def test_a_failed_run_and_one_that_names_nothing_replace_nothing() -> None:
    feed(step("j", "a", "t", at=1))
    feed(run_event("j", "FAIL", time=2, run="bad", outputs=sets("t")), run_event("j", time=3, run="silent"))
    assert upstream("t") == {"t", "j", "a"}


def test_a_start_that_arrives_last_still_belongs_to_its_run() -> None:
    feed(step("j", "a", "t", at=1), run_event("j", "COMPLETE", time=9, run="n", outputs=sets("t")))
    assert upstream("t") == {"t", "j"}
    feed(run_event("j", "START", time=8, run="n", inputs=sets("b")))
    assert upstream("t") == {"t", "j", "b"}


def test_a_stream_holds_from_its_first_event_and_its_next_start_replaces_it() -> None:
    feed(run_event("s", "START", time=1, run="one", inputs=sets("a"), outputs=sets("t"), job_facets=STREAM))
    feed(run_event("s", "RUNNING", time=2, run="one", inputs=sets("b"), job_facets=STREAM))
    assert upstream("t") == {"t", "s", "a", "b"}
    feed(run_event("s", "START", time=3, run="two", inputs=sets("b"), outputs=sets("t"), job_facets=STREAM))
    assert upstream("t") == {"t", "s", "b"}


def test_a_job_event_states_all_edges_of_its_job() -> None:
    feed(job_event("j", time=1, inputs=sets("a b"), outputs=sets("t")))
    feed(job_event("j", time=2, inputs=sets("a"), outputs=sets("t")))
    assert upstream("t") == {"t", "j", "a"}


def test_columns_of_an_output_go_with_it() -> None:
    lined = dataset("t", columnLineage=columns(n=[("a", "m")]))
    feed(run_event("j", time=1, run="one", inputs=sets("a"), outputs=[lined]))
    node = selectors.node_resolve("dataset:shop:t").key
    assert selectors.column_walk([(node, "n")], depth=1).edges
    feed(run_event("j", time=2, run="two", inputs=sets("a"), outputs=sets("other")))
    assert not selectors.column_walk([(node, "n")], depth=1).edges


RENAMED = [step("w", "raw", "old", at=1), rename("old", "new", at=5), step("r", "new", "mart", at=6)]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_renamed_table_goes_on_whatever_order_the_events_come_in(order: Sequence[int]) -> None:
    for index in (*order, order[0]):
        feed(RENAMED[index])
    assert upstream("mart") == {"mart", "r", "new", "renamer", "w", "raw"}
    assert around("raw", "downstream") == {"raw", "w", "new", "r", "mart"}
    graph_clear()


def test_before_the_rename_was_known_the_graph_shows_the_old_name() -> None:
    before = feed(RENAMED[0])
    feed(*RENAMED[1:])
    assert around("raw", "downstream", as_of=before) == {"raw", "w", "old"}
    assert upstream("old", as_of=before) == {"old", "w", "raw"}
    assert upstream("old") == {"new", "renamer", "w", "raw"}


def test_columns_go_on_across_a_rename() -> None:
    feed(run_event("w", time=1, outputs=[dataset("old", columnLineage=columns(n=[("raw", "m")]))]))
    feed(rename("old", "new", at=5))
    feed(run_event("r", time=6, outputs=[dataset("mart", columnLineage=columns(x=[("new", "n")]))]))
    mart = selectors.node_resolve("dataset:shop:mart").key
    assert {name for _, name in selectors.column_walk([(mart, "x")], depth=9).columns} == {"x", "n", "m"}


def test_a_chain_of_renames_and_one_back() -> None:
    feed(step("w", "raw", "one", at=1), rename("one", "two", at=2), rename("two", "three", at=3))
    assert "w" in upstream("three")
    feed(rename("three", "one", at=4))
    assert {"w", "raw"} <= upstream("one")
    assert around("raw", "downstream") == {"raw", "w", "one"}


def test_tables_that_swap_names_keep_their_own_history() -> None:
    feed(step("live", "a", "t", at=1), step("build", "b", "t_new", at=2))
    feed(rename("t", "t_old", at=5), rename("t_new", "t", at=6), step("live", "a2", "t", at=7))
    assert {"build", "b", "live", "a2"} <= upstream("t")
    assert "a" not in upstream("t")
    feed(step("other", "t_old", "x", at=8))
    assert "build" not in upstream("x")


def test_a_rename_onto_a_table_that_exists_joins_both_histories() -> None:
    feed(step("w", "a", "old", at=1), step("v", "b", "new", at=2), rename("old", "new", at=5))
    assert {"w", "a", "v", "b"} <= upstream("new")


def test_a_renamed_table_that_is_dropped_under_its_new_name_is_gone_under_both() -> None:
    feed(step("w", "raw", "old", at=1), rename("old", "new", at=5), drop("new", at=6))
    assert around("raw", "downstream") == {"raw", "w"}


def test_a_dropped_table_stays_dropped_after_late_and_repeated_events_and_returns_with_a_real_write() -> None:
    written = step("w", "raw", "t", at=1)
    feed(written, step("r", "t", "mart", at=2), drop("t", at=5))
    feed(written, step("w", "raw", "t", at=4), step("r", "t", "mart", at=6))
    assert around("raw", "downstream") == {"raw", "w"}
    assert upstream("mart") == {"mart", "r"}
    back = dataset("t", lifecycleStateChange={"lifecycleStateChange": "CREATE"})
    feed(run_event("w", time=8, run="again", inputs=sets("raw"), outputs=[back]))
    assert {"w", "t", "r"} <= around("raw", "downstream")


@pytest.mark.parametrize("change", ["TRUNCATE", "OVERWRITE", "ALTER", "CREATE"])
def test_a_table_that_is_changed_in_place_keeps_its_edges(change: str) -> None:
    feed(step("w", "raw", "t", at=1))
    feed(run_event("x", time=2, outputs=[dataset("t", lifecycleStateChange={"lifecycleStateChange": change})]))
    assert upstream("t") == {"t", "w", "raw", "x"}
