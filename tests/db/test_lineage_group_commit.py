"""Single events that arrive together share a commit, and each caller gets its own outcome."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connections

from lineage import services
from lineage.models import Event, EventIdentity, Pending
from lineage.services import store
from tests.lineage_support import graph_clear, run_event

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Sizes of the commits, of which the first is held up until the others wait behind it."""
    sizes: list[int] = []
    write = store._write_group

    def slowly(group: Any) -> None:
        sizes.append(len(group))
        if len(sizes) == 1:
            deadline = time.monotonic() + 10
            while len(store._group._waiting) < 7 and time.monotonic() < deadline:
                time.sleep(0.005)
        write(group)

    monkeypatch.setattr(store, "_write_group", slowly)
    yield sizes
    graph_clear()


def together(*calls: tuple[Any, str]) -> list[Any]:
    """Outcome of each call: how many events were new, or the error."""
    barrier = threading.Barrier(len(calls))

    def send(call: tuple[Any, str]) -> Any:
        try:
            barrier.wait(10)
            return services.events_ingest(bodies=[call[0]], producer=call[1]).accepted
        except DatabaseError as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(send, calls))


def test_events_that_arrive_together_share_a_commit(groups: list[int]) -> None:
    outcomes = together(*((run_event(f"job {index % 6}"), f"producer {index % 6}") for index in range(8)))
    assert groups == [1, 7]
    # Two of the eight were sent twice: one of each pair is new.
    assert sum(outcomes) == 6
    assert [outcomes[0] + outcomes[6], outcomes[1] + outcomes[7], *outcomes[2:6]] == [1] * 6
    assert Event.objects.count() == EventIdentity.objects.count() == Pending.objects.count() == 6
    assert set(Event.objects.values_list("producer", flat=True)) == {f"producer {index}" for index in range(6)}


def test_an_event_that_the_database_refuses_harms_nobody_else(groups: list[int]) -> None:
    too_long = "p" * 101
    outcomes = together(*((run_event(f"job {index}"), too_long if index == 3 else "tests") for index in range(8)))
    assert isinstance(outcomes.pop(3), DatabaseError)
    assert outcomes == [1] * 7
    assert sorted(groups) == [1, 7]
    assert Event.objects.count() == Pending.objects.count() == 7


def test_a_lost_connection_is_told_to_all_and_the_next_event_is_stored(
    groups: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any) -> Any:
        raise OperationalError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(store, "execute", lost)
        outcomes = together(*((run_event(f"job {index}"), "tests") for index in range(8)))
    assert [type(outcome) for outcome in outcomes] == [OperationalError] * 8
    assert len({id(outcome) for outcome in outcomes}) == 8
    assert together((run_event("after"), "tests")) == [1]
    assert not store._group._led
    assert store._group._waiting == []
