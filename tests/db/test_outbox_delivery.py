"""The outbox: saved with the change, delivered after the commit, at least once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from controlplane.outbox import registry, services
from controlplane.outbox.delivery import deliver_due
from controlplane.outbox.domain.backoff import MAX_ATTEMPTS
from controlplane.outbox.errors import NotInTransaction, Unavailable
from controlplane.outbox.models import OutboxMessage, Relay
from controlplane.outbox.relay import RelayProcess
from controlplane.outbox.ticking import TickerThread
from controlplane.telemetry.context import bind, correlation_id

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the topic "test" delivered, with the correlation id it came under."""
    received: list[Any] = []

    def receive(payload: dict[str, Any], message: OutboxMessage) -> None:
        assert not connection.in_atomic_block
        received.append((payload.get("n"), correlation_id()))

    monkeypatch.setitem(registry._handlers, "test", receive)
    return received


def publish(n: int = 1, **kwargs: Any) -> int | None:
    with transaction.atomic():
        return services.publish(topic="test", payload={"n": n}, **kwargs)


def fail_with(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    def failing(payload: dict[str, Any], message: OutboxMessage) -> None:
        raise fault

    monkeypatch.setitem(registry._handlers, "test", failing)


def make_due() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_outboxmessage SET due_at = now()")


def test_publishing_outside_a_transaction_is_refused() -> None:
    with pytest.raises(NotInTransaction):
        services.publish(topic="test", payload={})


def test_a_message_of_a_change_that_is_rolled_back_is_never_delivered(inbox: list[Any]) -> None:
    with transaction.atomic():
        services.publish(topic="test", payload={"n": 1})
        transaction.set_rollback(True)
    assert deliver_due() == 0
    assert inbox == []


def test_a_message_is_delivered_once_under_the_correlation_id_of_its_publisher(inbox: list[Any]) -> None:
    with bind(correlation_id="from-request"):
        publish(7)
    assert deliver_due() == 1
    assert deliver_due() == 0
    assert inbox == [(7, "from-request")]
    assert OutboxMessage.objects.get().delivered_at is not None


def test_a_key_makes_publishing_idempotent(inbox: list[Any]) -> None:
    assert publish(1, key="k") is not None
    assert publish(2, key="k") is None
    deliver_due()
    assert publish(3, key="k") is None
    assert [n for n, _ in inbox] == [1]


def test_a_delayed_message_waits(inbox: list[Any]) -> None:
    publish(1, delay_s=60)
    assert deliver_due() == 0
    make_due()
    assert deliver_due() == 1


def test_a_failure_is_tried_again_later_and_does_not_stop_the_others(inbox: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with transaction.atomic():
        services.publish(topic="nobody", payload={})
    publish(2)
    assert deliver_due() == 2
    assert [n for n, _ in inbox] == [2]
    failed = OutboxMessage.objects.get(topic="nobody")
    assert failed.attempts == 1
    assert "no handler" in failed.last_error
    assert deliver_due() == 0


def test_personal_data_in_an_error_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, ValueError("bad value: jean@example.fr"))
    publish()
    deliver_due()
    assert "jean@" not in OutboxMessage.objects.get().last_error


def test_after_the_last_attempt_a_message_is_dead_until_a_person_sends_it_again(
    inbox: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = registry._handlers["test"]
    fail_with(monkeypatch, RuntimeError("no"))
    publish(5)
    for _ in range(MAX_ATTEMPTS):
        make_due()
        assert deliver_due() == 1
    make_due()
    assert deliver_due() == 0
    message = OutboxMessage.objects.get()
    assert message.dead_at is not None
    monkeypatch.setitem(registry._handlers, "test", receive)
    assert services.messages_resend(ids=[message.id], actor_ref="user:x", actor_name="X") == 1
    deliver_due()
    assert [n for n, _ in inbox] == [5]


def test_when_what_a_handler_needs_is_down_no_attempt_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, Unavailable("broker down"))
    publish()
    deliver_due()
    message = OutboxMessage.objects.get()
    assert (message.attempts, message.dead_at) == (0, None)


def test_two_relays_at_once_deliver_each_message_once(inbox: list[Any]) -> None:
    with transaction.atomic():
        for n in range(200):
            services.publish(topic="test", payload={"n": n})

    def drain() -> None:
        while deliver_due(limit=7):
            pass
        connection.close()

    threads = [threading.Thread(target=drain) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(n for n, _ in inbox) == list(range(200))


def test_what_a_dead_relay_had_claimed_is_delivered_by_the_next(inbox: list[Any]) -> None:
    from controlplane.outbox.delivery import _claim

    publish(9)
    assert len(_claim(10)) == 1
    assert deliver_due() == 0
    make_due()  # the claim runs out
    deliver_due()
    assert [n for n, _ in inbox] == [9]


def test_delivered_messages_are_purged_after_a_day_and_dead_ones_stay(inbox: list[Any]) -> None:
    publish(1)
    deliver_due()
    publish(2)
    OutboxMessage.objects.filter(delivered_at=None).update(dead_at="2020-01-01T00:00Z")
    assert services.purge() == 0
    OutboxMessage.objects.exclude(delivered_at=None).update(delivered_at="2020-01-01T00:00Z")
    assert services.purge() == 1
    assert OutboxMessage.objects.get().dead_at is not None


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch) -> Iterator[RelayProcess]:
    monkeypatch.setattr(registry, "_tickers", {})
    process = RelayProcess()
    thread = threading.Thread(target=process.run)
    thread.start()
    wait_for(lambda: Relay.objects.filter(name=process.name).exists())
    yield process
    process.stop()
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert not Relay.objects.exists()


def wait_for(condition: Any, timeout_s: float = 10) -> float:
    started = time.perf_counter()
    while not condition():
        assert time.perf_counter() - started < timeout_s, "timed out"
        time.sleep(0.001)
    return time.perf_counter() - started


def test_a_running_relay_hears_a_commit_at_once(inbox: list[Any], relay: RelayProcess) -> None:
    time.sleep(0.2)  # it waits in select now
    waits = []
    for n in range(20):
        publish(n)
        waits.append(wait_for(lambda n=n: len(inbox) == n + 1))
    assert sorted(waits)[10] < 0.02


def test_a_relay_survives_the_loss_of_its_connections(inbox: list[Any], relay: RelayProcess) -> None:
    publish(1)
    wait_for(lambda: len(inbox) == 1)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    publish(2)
    wait_for(lambda: [n for n, _ in inbox] == [1, 2])


def test_a_ticker_is_run_by_one_relay_and_taken_over_when_it_stops() -> None:
    ticks: list[str] = []
    ticker = registry.Ticker("test-tick", 0.02, lambda: ticks.append(threading.current_thread().name))
    stops = [threading.Event(), threading.Event()]
    threads = [TickerThread(ticker, stop) for stop in stops]
    for number, thread in enumerate(threads):
        thread.name = str(number)
        thread.start()
        wait_for(lambda: len(ticks) >= 3)
    assert set(ticks) == {"0"}
    stops[0].set()
    threads[0].join()
    wait_for(lambda: ticks[-1] == "1")
    stops[1].set()
    threads[1].join()


def test_a_tick_that_fails_does_not_end_the_ticker() -> None:
    calls: list[int] = []

    def failing() -> None:
        calls.append(1)
        raise RuntimeError("no")

    stop = threading.Event()
    thread = TickerThread(registry.Ticker("test-fail", 0.01, failing), stop)
    thread.start()
    wait_for(lambda: len(calls) >= 3)
    stop.set()
    thread.join()


def test_a_topic_and_a_ticker_have_one_owner() -> None:
    with pytest.raises(ValueError, match="celery"):
        registry.handler("celery")(lambda payload, message: None)
    with pytest.raises(ValueError, match="outbox-purge"):
        registry.ticker("outbox-purge", 1)(lambda: None)
