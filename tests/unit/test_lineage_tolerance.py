"""Whatever stands inside facets, an event that is accepted can be folded."""

from __future__ import annotations

import copy
import random
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lineage.domain import ids
from lineage.domain.delta import Delta
from lineage.domain.fold import Recorded, fold
from lineage.domain.spec import Fault, event_check
from tests.lineage_support import FACET, columns, dataset, run_event, sample_events

NOW = datetime(2026, 3, 2, tzinfo=UTC)
JUNK: list[Any] = [None, "", "x\0y", "\ud800", 0, -1, 1e308, True, [], [[]], [None], {}, {"a": None}, [{"name": 3}], "a" * 5000]


def folded(event: dict[str, Any]) -> Delta:
    delta = Delta()
    fold(delta, Recorded(event, ids.event_identity(event, key=b"test"), NOW))
    return delta


def rich() -> list[dict[str, Any]]:
    source = {"namespace": "shop", "name": "a", "type": "DATASET"}
    entries = [{**source, "name": "t", "inputs": [source], "fields": {"n": {"inputs": [source | {"field": "m"}]}}}]
    item = dataset(
        "t",
        fields=["a", "b"],
        columnLineage=columns(a=[("o", "x", {"type": "DIRECT", "masking": True})]) | {"dataset": [source | {"field": "m"}]},
        symlinks={"identifiers": [{"namespace": "n", "name": "m", "type": "TABLE"}]},
        lineage={"inputs": [source], "fields": {"a": {"inputs": [source]}}},
        version={"datasetVersion": "1"},
        lifecycleStateChange={"lifecycleStateChange": "RENAME", "previousIdentifier": {"namespace": "shop", "name": "old"}},
    )
    item["outputFacets"] = {"outputStatistics": {**FACET, "rowCount": 1}}
    run = {
        "parent": {"run": {"runId": "x"}, "job": {"namespace": "n", "name": "j"}, "root": {"run": {"runId": "y"}}},
        "nominalTime": {"nominalStartTime": "2026-01-01T00:00:00Z"},
    }
    jobs = {"jobType": {"processingType": "STREAMING"}, "lineage": {"entries": entries}}
    return [*sample_events(), run_event("j", inputs=[item], outputs=[item], job_facets=jobs, run_facets=run)]


def spoil(value: Any, dice: random.Random) -> Any:
    """The value with something inside it replaced by junk."""
    if isinstance(value, dict) and value and dice.random() < 0.85:
        key = dice.choice(sorted(value))
        return value | {key: spoil(value[key], dice)}
    if isinstance(value, list) and value and dice.random() < 0.85:
        index = dice.randrange(len(value))
        return [*value[:index], spoil(value[index], dice), *value[index + 1 :]]
    return copy.deepcopy(dice.choice(JUNK))


@given(seed=st.integers(0, 2**40))
def test_an_event_that_passes_the_check_can_be_folded_whatever_its_facets_hold(seed: int) -> None:
    dice = random.Random(seed)
    event = dice.choice(rich())
    for _ in range(dice.randint(1, 4)):
        event = spoil(event, dice)
    try:
        event_check(event)
    except Fault:
        return
    folded(event)


def test_a_lineage_facet_of_the_run_states_edges_too() -> None:
    source = {"namespace": "shop", "name": "a", "type": "DATASET"}
    entry = {"namespace": "shop", "name": "t", "type": "DATASET", "inputs": [source]}
    event = run_event(
        "j", inputs=[dataset("a"), dataset("b")], outputs=[dataset("t")], run_facets={"lineage": {"lineage": [entry]}}
    )
    delta = folded(event)
    (io_set,) = delta.io_sets.values()
    assert io_set.explicit == (ids.dataset_id("shop", "t"),)
    (edge_set,) = delta.edge_sets.values()
    assert [edge.source for edge in edge_set.edges] == [ids.dataset_id("shop", "a")]
