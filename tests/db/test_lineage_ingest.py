"""Storing events: durable, once, and nothing refused is lost."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, connections, transaction

from controlplane.accounts import services as accounts
from lineage import selectors, services
from lineage.errors import Overloaded
from lineage.models import Event, Quarantine
from lineage.services import ingest
from lineage.services.partitions import partition_name, partitions_ensure
from tests.lineage_support import dataset, graph_clear, run_event, sample_events

pytestmark = pytest.mark.django_db


def stored() -> list[str]:
    return list(Event.objects.order_by("recorded_at").values_list("body", flat=True))


def test_an_event_is_kept_as_it_was_sent() -> None:
    text = json.dumps(run_event("sum"), indent=2).replace('"facets"', '"unknown": 1.0, "facets"')
    result = services.events_ingest(bodies=[text], producer="tests")
    assert (result.accepted, result.duplicates, result.failed) == (1, 0, [])
    assert stored() == [text]


def test_an_event_sent_again_is_recognised_however_it_is_spelt() -> None:
    event = run_event("sum")
    services.events_ingest(bodies=[event], producer="tests")
    again = json.dumps(dict(reversed(event.items())), indent=1)
    result = services.events_ingest(bodies=[again, event, run_event("other")], producer="another")
    assert (result.accepted, result.duplicates) == (1, 2)
    assert len(stored()) == 2


def test_the_good_events_of_a_batch_are_stored_and_the_others_are_named_and_kept() -> None:
    bad = run_event("sum")
    del bad["run"]["runId"]
    result = services.events_ingest(bodies=[run_event("a"), bad, "{", run_event("b")], producer="tests")
    assert result.accepted == 2
    assert [(failure.index, failure.path, failure.status) for failure in result.failed] == [
        (1, "$.run.runId", 422),
        (2, "$", 400),
    ]
    assert set(Quarantine.objects.values_list("path", "namespace", "state")) == {
        ("$.run.runId", "etl", "open"),
        ("$", "", "open"),
    }


def test_a_refused_body_sent_again_is_counted_not_kept_twice() -> None:
    for _ in range(3):
        services.events_ingest(bodies=["[1]"], producer="tests")
    assert list(Quarantine.objects.values_list("times", "body")) == [(3, "[1]")]


def test_bodies_that_postgresql_cannot_hold_are_refused_or_kept_all_the_same() -> None:
    odd = run_event("sum", run_facets={"x": {"value": "nul \0 and half \ud800 pair", "big": 10**400}})
    result = services.events_ingest(bodies=[odd, json.dumps(odd["run"]) + "\ud800\0"], producer="tests")
    assert (result.accepted, len(result.failed)) == (1, 1)
    assert json.loads(stored()[0]) == odd


def test_a_key_speaks_for_its_namespaces_only() -> None:
    key, _ = accounts.apikey_create(name="shop", role="producer", namespaces=["shop-*"], actor="tests")
    result = services.events_ingest(
        bodies=[run_event("a", namespace="shop-etl"), run_event("a", namespace="bank")], producer=key
    )
    assert result.accepted == 1
    assert [(failure.path, failure.status) for failure in result.failed] == [("$.job.namespace", 403)]
    assert list(selectors.refused_events(key=key).values_list("namespace", flat=True)) == ["bank"]


def test_nothing_is_stored_while_too_many_events_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    services.events_ingest(bodies=sample_events(), producer="tests")
    monkeypatch.setattr(ingest, "MAX_PENDING", 3)
    monkeypatch.setitem(ingest._load, "at", -10.0)
    before = len(stored())
    with pytest.raises(Overloaded) as caught:
        services.events_ingest(bodies=[run_event("late")], producer="tests")
    assert caught.value.retry_after_s > 0
    assert len(stored()) == before
    monkeypatch.setitem(ingest._load, "at", -10.0)


def test_events_of_a_rolled_back_transaction_are_not_stored() -> None:
    with transaction.atomic():
        services.events_ingest(bodies=[run_event("sum")], producer="tests")
        transaction.set_rollback(True)
    assert stored() == []


@pytest.mark.django_db(transaction=True)
def test_batches_that_share_events_can_be_sent_at_once() -> None:
    events: list[dict[str, Any]] = [run_event(f"job {index}") for index in range(60)]

    def send(offset: int) -> int:
        try:
            rotated = events[offset:] + events[:offset]
            return services.events_ingest(bodies=rotated, producer="tests").accepted
        finally:
            connections.close_all()

    try:
        with ThreadPoolExecutor(4) as pool:
            accepted = list(pool.map(send, range(0, 60, 5)))
        assert sum(accepted) == len(stored()) == 60
    finally:
        graph_clear()


def test_the_elements_of_a_batch_keep_their_own_text() -> None:
    parsed = services.json_array(' [ {"a": 1.0} ,\n[2], "x" ] ')
    assert [item.text for item in parsed] == ['{"a": 1.0}', "[2]", '"x"']
    assert services.json_array("[]") == []


@pytest.mark.parametrize("text", ["", "{}", "[1", "[1,]", "[1 2]", "[1] 2", "[NaN]", "[" * 100_000, "nul"])
def test_what_is_no_json_array_is_refused(text: str) -> None:
    with pytest.raises(ingest.Fault) as caught:  # type: ignore[attr-defined]
        services.json_array(text)
    assert caught.value.status == 400


def test_partitions_are_made_ahead_and_rows_of_the_default_one_move_into_theirs() -> None:
    services.events_ingest(bodies=[run_event("sum", inputs=[dataset("orders")])], producer="tests")
    made = partitions_ensure(ahead=2)
    again = partitions_ensure(ahead=2)
    assert again == []
    assert len(stored()) == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM lineage_event_default")
        assert cursor.fetchone() == (0,)
    assert len(made) in {0, 3}
    assert partition_name(datetime(2026, 11, 23, tzinfo=UTC)) == "lineage_event_20261123"


def test_bodies_that_mention_a_person_are_found_whatever_the_case_and_the_spelling() -> None:
    facets = {"note": {"text": "paid by Zoë_9%@Example.org"}}
    services.events_ingest(
        bodies=[run_event("sum", run_facets=facets), run_event("other"), '["zoë_9%@example.org"]'], producer="t"
    )
    assert selectors.bodies_mentioning(["zoë_9%@example.org"]) == {"lineage_event": 1, "lineage_quarantine": 1}
    assert selectors.bodies_mentioning(["zoëx9%@example.org"]) == {}
    assert selectors.bodies_mentioning([]) == {}
