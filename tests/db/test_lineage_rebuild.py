"""Rebuilds beside the graph that is read, and retention that keeps what old events said."""

from __future__ import annotations

from datetime import timedelta
from threading import Event as Flag
from threading import Thread
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.utils import timezone

from controlplane.audit.models import AuditEntry
from lineage import selectors, services
from lineage.errors import ShadowBusy
from lineage.models import Event, EventIdentity, Job, Retention
from lineage.services import partitions, rebuild, shadow
from tests.lineage_support import dataset, graph, graph_clear, run_event, sample_events


def feed(events: list[dict[str, Any]]) -> None:
    services.events_ingest(bodies=events, producer="tests")
    while services.pending_project().events:
        pass


def make_old(days: int) -> None:
    """The events stored so far were recorded so many days earlier, in partitions of those weeks."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE lineage_eventidentity SET recorded_at = recorded_at - make_interval(days => %s)", [days])
        cursor.execute("CREATE TEMP TABLE moved ON COMMIT DROP AS SELECT * FROM lineage_event")
        cursor.execute("DELETE FROM lineage_event")
    partitions.partitions_ensure(now=timezone.now() - timedelta(days=days), ahead=2)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE moved SET recorded_at = recorded_at - make_interval(days => %s)", [days])
        cursor.execute("INSERT INTO lineage_event SELECT * FROM moved")
        cursor.execute("DROP TABLE moved")
    services.graph_rebuild()


@pytest.mark.django_db
def test_names_of_indexes_and_constraints_are_the_same_after_a_rebuild() -> None:
    def names() -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s) ORDER BY 1, 2",
                [list(shadow.TABLES)],
            )
            found = cursor.fetchall()
            cursor.execute(
                "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
                " WHERE conrelid::regclass::text = ANY(%s) ORDER BY 1, 2",
                [list(shadow.TABLES)],
            )
            return [*found, *cursor.fetchall()]

    before = names()
    feed(sample_events())
    services.graph_rebuild()
    assert names() == before


@pytest.mark.django_db
def test_a_rebuild_that_dies_half_way_changes_nothing_and_the_next_one_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    feed(sample_events())
    before = graph(times=True)

    def die(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        services.graph_rebuild(progress=die)
    assert graph(times=True) == before
    services.graph_rebuild()
    assert graph(times=True) == before


@pytest.mark.django_db(transaction=True)
def test_ingest_projectors_and_readers_go_on_during_a_rebuild(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild, "LATE", timedelta(days=1))
    stop = Flag()
    answers: list[int] = []
    failures: list[BaseException] = []

    def write() -> None:
        try:
            for index in range(40):
                feed([run_event(f"live {index}", inputs=[dataset("orders")], outputs=[dataset(f"t{index}")])])
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    def read() -> None:
        try:
            while not stop.is_set():
                key = selectors.node_resolve("dataset:shop:orders").key
                answers.append(len(selectors.walk([("dataset", key)], depth=3).nodes))
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    try:
        feed(sample_events())
        threads = [Thread(target=write), Thread(target=read)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            services.graph_rebuild()
        threads[0].join()
        stop.set()
        threads[1].join()
        assert failures == []
        assert min(answers) > 1
        live = graph(times=True)
        services.graph_rebuild()
        assert graph(times=True) == live
        assert Job.objects.filter(name__startswith="live").count() == 40
    finally:
        stop.set()
        graph_clear()


@pytest.mark.django_db(transaction=True)
def test_one_rebuild_at_a_time() -> None:
    refused: list[bool] = []

    def other() -> None:
        try:
            services.graph_rebuild()
        except ShadowBusy:
            refused.append(True)
        finally:
            connections.close_all()

    with shadow.exclusive() as held:
        assert held
        thread = Thread(target=other)
        thread.start()
        thread.join()
    assert refused == [True]


@pytest.mark.django_db
def test_retention_drops_old_events_and_a_rebuild_from_its_snapshot_ends_identical() -> None:
    feed(sample_events())
    make_old(500)
    feed([run_event("recent", time=99, inputs=[dataset("totals_v2")], outputs=[dataset("now")])])
    before, identities = graph(times=True), EventIdentity.objects.count()
    told = services.events_expire(actor="tests", days=400, dry_run=True)
    assert (told.events, Event.objects.count()) == (14, 15)
    call_command("lineage", "retention", "--days", "400")
    assert Event.objects.count() == 1
    assert EventIdentity.objects.count() == identities
    record = Retention.objects.get()
    assert (record.events, record.rows["lineage_job"]) == (14, Job.objects.exclude(name="recent").count())
    assert AuditEntry.objects.filter(action="lineage.events_expire").exists()
    assert graph(times=True) == before
    services.graph_rebuild()
    assert graph(times=True) == before
    assert services.events_ingest(bodies=sample_events(), producer="tests").duplicates == 14
    assert services.events_expire(actor="tests", days=400).partitions == ()
    assert "lineage_snapshot.lineage_facet" in selectors.bodies_mentioning(["total"])


@pytest.mark.django_db
def test_a_later_retention_goes_on_from_the_snapshot_before_it() -> None:
    feed(sample_events())
    make_old(500)
    services.partitions_ensure()
    feed([run_event("middle", time=50, inputs=[dataset("copy")], outputs=[dataset("t")])])
    now = timezone.now()
    before = graph(times=True)
    assert services.events_expire(actor="tests", days=400, now=now).events == 14
    assert services.events_expire(actor="tests", days=400, now=now + timedelta(days=420)).events == 1
    services.graph_rebuild()
    assert graph(times=True) == before
    assert [row.events for row in Retention.objects.all()] == [1, 14]


@pytest.mark.django_db
def test_retention_waits_for_events_that_are_not_projected() -> None:
    feed(sample_events())
    make_old(500)
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute("INSERT INTO lineage_pending SELECT id, recorded_at, 1 FROM lineage_event LIMIT 1")
    assert "wait for projection" in services.events_expire(actor="tests", days=400).held_back
    assert Event.objects.count() == 14


@pytest.mark.django_db
def test_without_an_age_nothing_is_dropped() -> None:
    assert services.events_expire(actor="tests").cut is None
