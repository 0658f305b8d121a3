"""What events mean, without a database."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lineage.domain import ids
from lineage.domain.delta import COLUMN_LINEAGE, JOB_LINEAGE, Claim, Delta
from lineage.domain.fold import Recorded, fold
from lineage.domain.staircase import staircase
from lineage.domain.storable import storable_json
from tests.lineage_support import FACET, columns, dataset, run_event

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def folded(*events: dict[str, Any]) -> Delta:
    delta = Delta()
    for event in events:
        fold(delta, Recorded(event, ids.event_identity(event, key=b"test"), NOW))
    return delta


def only_edge(delta: Delta) -> Any:
    (edge_set,) = delta.edge_sets.values()
    (edge,) = edge_set.edges
    return edge


def test_the_same_event_serialised_in_another_way_has_the_same_identity() -> None:
    event = run_event("sum", inputs=[dataset("orders")])
    again = json.loads(json.dumps(dict(reversed(event.items())), indent=3))
    assert ids.event_identity(event, key=b"k") == ids.event_identity(again, key=b"k")
    assert ids.event_identity(event, key=b"k") != ids.event_identity(event, key=b"other")
    again["eventType"] = "FAIL"
    assert ids.event_identity(event, key=b"k") != ids.event_identity(again, key=b"k")


def test_inputs_of_the_start_and_outputs_of_the_end_are_the_edges_of_one_run() -> None:
    delta = folded(
        run_event("sum", "START", inputs=[dataset("orders")]), run_event("sum", "COMPLETE", time=1, outputs=[dataset("totals")])
    )
    started, completed = delta.statements[ids.job_id("etl", "sum")]
    assert delta.io_sets[started.io_set].inputs == (ids.dataset_id("shop", "orders"),)
    assert delta.io_sets[completed.io_set].outputs == (ids.dataset_id("shop", "totals"),)
    assert (started.done, started.effect, completed.done, completed.effect) == (False, False, True, True)
    (run,) = delta.runs.values()
    assert len(run.io_sets) == 2


def test_a_final_state_stays_when_a_start_arrives_with_a_later_clock() -> None:
    delta = folded(run_event("sum", "COMPLETE", time=0), run_event("sum", "START", time=60), run_event("sum", "OTHER", time=90))
    (run,) = delta.runs.values()
    assert run.state[1] == "COMPLETE"


def test_the_last_of_two_final_states_counts() -> None:
    delta = folded(run_event("sum", "FAIL", time=9), run_event("sum", "COMPLETE", time=5))
    (run,) = delta.runs.values()
    assert run.state[1] == "FAIL"


def test_column_lineage_keeps_type_subtype_and_masking() -> None:
    masked = {"type": "direct", "subtype": "TRANSFORMATION", "masking": True, "description": "sha256"}
    edge = only_edge(folded(run_event("sum", outputs=[dataset("t", columnLineage=columns(who=[("orders", "email", masked)]))])))
    assert json.loads(edge.transformations) == [{**masked, "type": "DIRECT"}]
    assert (edge.direct, edge.masking) == (True, True)


def test_one_way_in_the_clear_is_enough_to_leak() -> None:
    ways = [{"type": "DIRECT", "masking": True}, {"type": "DIRECT", "masking": False}]
    edge = only_edge(folded(run_event("sum", outputs=[dataset("t", columnLineage=columns(who=[("o", "email", *ways)]))])))
    assert not edge.masking


def test_a_filter_in_the_clear_does_not_unmask_a_masked_value() -> None:
    ways = [{"type": "DIRECT", "masking": True}, {"type": "INDIRECT", "subtype": "FILTER", "masking": False}]
    edge = only_edge(folded(run_event("sum", outputs=[dataset("t", columnLineage=columns(who=[("o", "email", *ways)]))])))
    assert edge.masking


def test_the_first_version_of_the_facet_states_its_transformation_per_field() -> None:
    facet = columns(who=[("orders", "email")])
    facet["fields"]["who"] |= {"transformationType": "MASKED", "transformationDescription": "hash"}
    edge = only_edge(folded(run_event("sum", outputs=[dataset("t", columnLineage=facet)])))
    assert edge.masking
    assert json.loads(edge.transformations)[0]["description"] == "hash"


def test_inputs_of_the_whole_table_are_edges_into_the_table() -> None:
    facet = {"fields": {}, "dataset": [{"namespace": "shop", "name": "orders", "field": "day", "transformations": []}]}
    edge = only_edge(folded(run_event("sum", outputs=[dataset("t", columnLineage=facet)])))
    assert edge.source_field == ids.field_id("shop", "orders", "day")
    assert edge.target_field == 0


def test_a_deleted_column_lineage_claims_no_edges() -> None:
    delta = folded(run_event("sum", outputs=[dataset("t", columnLineage={"_deleted": True})]))
    ((claim,),) = delta.claims.values()
    assert claim.edge_set == 0


def test_a_lineage_facet_on_the_job_stands_in_for_the_product_of_inputs_and_outputs() -> None:
    source = {"namespace": "shop", "name": "a", "type": "DATASET"}
    entry = {
        "namespace": "shop",
        "name": "x",
        "type": "DATASET",
        "inputs": [source],
        "fields": {"n": {"inputs": [source | {"field": "m"}]}},
    }
    event = run_event(
        "sum",
        inputs=[dataset("a"), dataset("b")],
        outputs=[dataset("x"), dataset("y")],
        job_facets={"lineage": {**FACET, "entries": [entry]}},
    )
    delta = folded(event)
    job = ids.job_id("etl", "sum")
    (said,) = delta.statements[job]
    assert set(delta.io_sets[said.io_set].explicit) == {ids.dataset_id("shop", name) for name in ("x", "y")}
    assert set(delta.claims) == {(job, ids.dataset_id("shop", "x"), JOB_LINEAGE)}
    (edge_set,) = delta.edge_sets.values()
    assert {(edge.source_field != 0, edge.target_field != 0) for edge in edge_set.edges} == {(False, False), (True, True)}


def test_two_facets_on_one_dataset_are_two_registers() -> None:
    source = {"namespace": "shop", "name": "a", "type": "DATASET"}
    item = dataset("t", columnLineage=columns(n=[("a", "m")]), lineage={"inputs": [source]})
    assert len(folded(run_event("sum", outputs=[item])).claims) == 2


def test_a_start_deletes_nothing_because_it_may_still_fail() -> None:
    gone = dataset("t", lifecycleStateChange={"lifecycleStateChange": "DROP"})
    key = ids.dataset_id("shop", "t")
    for event_type in ("START", "FAIL", "ABORT"):
        assert folded(run_event("drop", event_type, outputs=[gone])).datasets[key].drop is None
    dropped = folded(run_event("drop", "COMPLETE", outputs=[gone])).datasets[key]
    assert dropped.drop is not None
    assert dropped.write is None


def test_nested_fields_are_named_by_their_path() -> None:
    item = dataset("t")
    item["facets"]["schema"] = {
        "fields": [{"name": "consent", "fields": [{"name": "marketing"}, {"name": None}]}, {"type": "x"}]
    }
    names = {name for _, name, _ in folded(run_event("sum", outputs=[item])).fields.values()}
    assert names == {"consent", "consent.marketing"}


def test_what_jsonb_cannot_hold_is_replaced() -> None:
    assert json.loads(storable_json({"a": "x\0y", "b": "\\u0000", "c": "\ud800"})) == {
        "a": "x\ufffdy",
        "b": "\\u0000",
        "c": "?",
    }
    assert json.loads(storable_json({"a": [float("inf")], "b": 1})) == {"a": ["inf"], "b": 1}


def test_broken_facets_say_nothing_and_break_nothing() -> None:
    item = dataset(
        "t",
        columnLineage={"fields": {"x": None, "y": {"inputFields": "z"}}, "dataset": [{}, 3]},
        symlinks={"identifiers": [{"namespace": "", "name": "n"}, "s"]},
        lineage={"inputs": [None], "fields": []},
        version={"datasetVersion": {}},
        lifecycleStateChange={"lifecycleStateChange": 7},
    )
    item["facets"]["schema"] = {"fields": "none"}
    event = run_event("sum", outputs=[item], run_facets={"parent": {"run": 1}, "nominalTime": {"nominalStartTime": "?"}})
    delta = folded(event)
    assert not delta.edge_sets
    assert not delta.symlinks
    assert (ids.job_id("etl", "sum"), ids.dataset_id("shop", "t"), COLUMN_LINEAGE) in delta.claims


claims = st.lists(
    st.builds(
        lambda known, time, number, value: Claim(
            NOW + timedelta(seconds=known), (NOW + timedelta(seconds=time), uuid.UUID(int=number)), value
        ),
        st.integers(0, 6),
        st.integers(0, 6),
        st.integers(0, 2**64),
        st.integers(0, 3),
    ),
    max_size=12,
    unique_by=lambda claim: claim.rank,
)


@given(claims)
def test_the_history_of_a_register_says_at_each_moment_what_the_highest_known_claim_says(items: list[Claim]) -> None:
    steps = staircase(items)
    for second in range(-1, 8):
        moment = NOW + timedelta(seconds=second)
        known = [claim for claim in items if claim.known_from <= moment]
        expected = max(known, key=lambda claim: claim.rank).edge_set if known else None
        ruling = [step for step in steps if step.known_from <= moment]
        assert (ruling[-1].edge_set if ruling else None) == expected


@given(claims, st.data())
def test_a_history_grows_in_any_grouping_to_the_same_one(items: list[Claim], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(items))
    cut = data.draw(st.integers(0, len(shuffled)))
    grown = staircase([*staircase(shuffled[:cut]), *shuffled[cut:]])
    assert grown == staircase(items)
