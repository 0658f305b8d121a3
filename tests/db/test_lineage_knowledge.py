"""The graph as known at a moment is the graph of the events recorded by then, whatever order they were folded in."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lineage import selectors, services
from lineage.models import PROJECTED, Dataset, Event
from tests.lineage_support import FACET, PRODUCER, SCHEMA, at, columns, dataset, graph, graph_clear, run_uuid

pytestmark = pytest.mark.django_db

NAMES = ["a", "b", "c", "d"]
KINDS = ["START", "RUNNING", "COMPLETE", "COMPLETE", "FAIL", "JOB", "DATASET"]


def some_dataset(dice: random.Random) -> dict[str, Any]:
    """A dataset with facets that end, rename, join, or state edges, now and then."""
    item = dataset(dice.choice(NAMES))
    other = {"namespace": "shop", "name": dice.choice(NAMES)}
    facets: dict[int, tuple[str, dict[str, Any]]] = {
        0: ("lifecycleStateChange", {"lifecycleStateChange": "DROP"}),
        1: ("lifecycleStateChange", {"lifecycleStateChange": "RENAME", "previousIdentifier": other}),
        2: ("lifecycleStateChange", {"lifecycleStateChange": dice.choice(["CREATE", "ALTER", "TRUNCATE", "OVERWRITE"])}),
        3: ("symlinks", {"identifiers": [{**other, "type": "TABLE"}]}),
        4: ("columnLineage", columns(n=[(other["name"], "m")])),
        5: ("columnLineage", {"_deleted": True}),
        6: ("lineage", {"inputs": [{**other, "type": "DATASET"}]}),
        7: ("columnLineage", columns(n=[(other["name"], "n")]) | {"dataset": [{**other, "field": "m"}]}),
        8: ("schema", {"fields": [{"name": dice.choice("mnx"), "type": "string"}]}),
        9: ("hierarchy", {"hierarchy": [{"type": "DATABASE", "name": dice.choice(NAMES)}]}),
    }
    if found := facets.get(dice.randrange(16)):
        item["facets"][found[0]] = {**FACET, **found[1]}
    return item


def some_events(dice: random.Random, count: int) -> list[dict[str, Any]]:
    """Events with times that tie and clocks that skew."""
    made = []
    for _ in range(count):
        kind, job = dice.choice(KINDS), dice.choice(["j1", "j2"])
        event: dict[str, Any] = {"eventTime": at(dice.randrange(6)), "producer": PRODUCER}
        if kind == "DATASET":
            made.append(event | {"schemaURL": SCHEMA + "DatasetEvent", "dataset": some_dataset(dice)})
            continue
        streaming = {"jobType": {**FACET, "processingType": "STREAMING", "integration": "X"}} if dice.random() < 0.1 else {}
        event |= {"job": {"namespace": "etl", "name": job, "facets": streaming}}
        event |= {side: [some_dataset(dice) for _ in range(dice.randrange(3))] for side in ("inputs", "outputs")}
        if kind == "JOB":
            made.append(event | {"schemaURL": SCHEMA + "JobEvent"})
            continue
        caller = {"namespace": "etl", "name": dice.choice(NAMES)}
        parent: dict[str, Any] = {"run": {"runId": run_uuid(dice.choice(NAMES))}, "job": caller}
        parent["root"] = {"run": {"runId": run_uuid(dice.choice(NAMES))}, "job": parent["job"]}
        run = {"runId": run_uuid(f"{job} {dice.randrange(3)}"), "facets": {"parent": parent} if dice.random() < 0.3 else {}}
        made.append(event | {"schemaURL": SCHEMA + "RunEvent", "eventType": kind, "run": run})
    return made


def queued() -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM lineage_pending RETURNING event_id, recorded_at, size_bytes")
        return sorted(cursor.fetchall())


def project(rows: Sequence[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO lineage_pending (event_id, recorded_at, size_bytes) VALUES (%s, %s, %s)", rows)
    while services.pending_project().events:
        pass


def fold_in_any_order(dice: random.Random, events: Sequence[dict[str, Any]]) -> None:
    """Record the events in the given order, fold them in another and in parts of any size."""
    for event in events:
        services.events_ingest(bodies=[event], producer="tests")
    waiting = queued()
    dice.shuffle(waiting)
    while waiting:
        size = dice.randint(1, 6)
        project(waiting[:size])
        waiting = waiting[size:]


def answers(as_of: datetime | None) -> dict[str, Any]:
    """What the graph says of each dataset: jobs and datasets around, columns, whether it is there."""
    known = Dataset.objects.all() if as_of is None else Dataset.objects.filter(known_from__lte=as_of)
    found: dict[str, Any] = {}
    for row in known.order_by("name"):
        node = selectors.node_resolve(f"dataset:{row.namespace}:{row.name}", as_of=as_of).key
        around = selectors.walk([("dataset", node)], depth=4, as_of=as_of)
        lines = selectors.column_walk([(node, "n"), (node, "m")], depth=4, downstream=True, as_of=as_of)
        found[row.name] = (node, around.edges, set(lines.edges))
    return found


def check(seed: int, count: int) -> None:
    dice = random.Random(seed)
    graph_clear()
    fold_in_any_order(dice, some_events(dice, count))
    moments = sorted(Event.objects.values_list("recorded_at", flat=True))
    chosen = sorted({dice.choice(moments), dice.choice(moments), moments[-1]}, reverse=True)
    told = {moment: answers(moment) for moment in chosen}
    assert answers(None) == told[moments[-1]]
    for moment in chosen:
        Event.objects.filter(recorded_at__gt=moment).delete()
        only_then = list(Event.objects.values_list("id", "recorded_at"))
        with connection.cursor() as cursor:
            for model in PROJECTED:
                cursor.execute(f"DELETE FROM {model._meta.db_table}")
        project([(key, recorded_at, 1) for key, recorded_at in only_then])
        assert answers(None) == told[moment], (seed, count, moments.index(moment))
    graph_clear()


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], report_multiple_bugs=False
)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 25))
@example(seed=1, count=25)
@example(seed=2, count=25)
def test_the_graph_at_a_moment_is_that_of_a_store_that_heard_no_more(seed: int, count: int) -> None:
    check(seed, count)


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], report_multiple_bugs=False
)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 25))
def test_tied_times_and_skewed_clocks_give_one_graph_in_any_order(seed: int, count: int) -> None:
    dice = random.Random(seed)
    events = some_events(dice, count)
    for event in events:
        for item in (*event.get("inputs", ()), *event.get("outputs", ())):
            if dice.random() < 0.1:
                item["facets"]["symlinks"] = {"_deleted": True}
    graph_clear()
    fold_in_any_order(dice, events)
    first = graph()
    again = [*events, *dice.choices(events, k=5)]
    dice.shuffle(again)
    graph_clear()
    fold_in_any_order(dice, again)
    assert graph() == first
    graph_clear()
