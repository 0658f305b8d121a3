"""Replays, repetitions and races: whatever happens twice, late, or in another order, the tables come out the same."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from catalog.selectors import contracts_current
from controlplane.lake import services as lake
from pipeline.domain.decode import decode
from pipeline.models import BronzeFile, Drop, DropState, KeyPlace, Run, Step, StepState, Work, WorkKind
from pipeline.services import landing, operations, planning, steps
from pipeline.services.gold import schema_of
from pipeline.services.landing import drop_check, drop_receive, drop_register, spool_path
from pipeline.services.steps import step_run, table_of
from tests import pipeline_support as support
from tests import pipeline_world as worlds
from tests.pipeline_world import Prepared


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker: Any) -> Iterator[Prepared]:
    with worlds.shared(tmp_path_factory.mktemp("replay"), django_db_blocker) as made:
        yield made


def in_threads(*calls: Callable[[], Any]) -> list[Any]:
    """Results (or exceptions) of calls made at the same moment, each with a connection of its own."""
    results: list[Any] = [None] * len(calls)
    start = threading.Barrier(len(calls))

    def work(number: int) -> None:
        start.wait()
        try:
            results[number] = calls[number]()
        except Exception as error:
            results[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def rows(dataset: str, sql: str) -> list[dict[str, Any]]:
    contract = contracts_current()[dataset]
    with lake.engine().session() as session:
        session.register_table("t", table_of(contract), schema=schema_of(contract))
        return list(session.fetch(sql).to_pylist())


def order_csv(**values: str) -> bytes:
    """A drop of one order; ``values`` override a good one."""
    customer = rows("customers", "SELECT t.customer_id FROM t ORDER BY t.customer_id LIMIT 1")[0]["customer_id"]
    good = {
        "order_id": "aaaaaaaa-0000-4000-8000-000000000001",
        "customer_id": customer,
        "channel_source": "web",
        "region": "FR",
        "country": "FR",
        "seller_id": "",
        "status": "placed",
        "currency": "EUR",
        "total_amount": "10.00",
        "ordered_at": "2026-10-18T10:00:00Z",
        "promised_delivery_ts": "2026-10-21T10:00:00Z",
        "dispatched_at": "",
        "delivered_at": "",
        "updated_at": "2026-10-18T10:00:00Z",
        "source_seq": "1",
    } | values
    return (",".join(good) + "\n" + ",".join(good.values()) + "\n").encode()


def take(prepared: Prepared, dataset: str, content: bytes, name: str = "one.csv") -> Drop:
    drop = drop_receive(dataset=dataset, filename=name, content=content, source="test")
    support.drain(as_of=prepared.world.as_of)
    assert support.failures() == []
    return drop


def found_order() -> list[tuple[str, str]]:
    sql = "SELECT CAST(t.order_date AS VARCHAR) AS day, t.status FROM t WHERE t.order_id LIKE 'aaaaaaaa-%'"
    return [(row["day"], row["status"]) for row in rows("orders", sql)]


@pytest.mark.django_db
def test_with_nothing_to_do_no_run_begins() -> None:
    assert planning.run_plan(at_once=True) is None
    assert not Run.objects.exists()


def test_replaying_one_file_leaves_everything_as_it_was(prepared: Prepared) -> None:
    before = worlds.everything()
    file = BronzeFile.objects.filter(dataset="orders").order_by("pk")[1]
    assert operations.bronze_replay(files=[file], actor="system:test") == 1
    (run,) = support.drain(as_of=prepared.world.as_of)
    assert run.steps.get(dataset="orders").rows_in == file.rows
    assert worlds.everything() == before


def test_replaying_every_file_leaves_everything_as_it_was(prepared: Prepared) -> None:
    before = worlds.everything()
    operations.bronze_replay(files=BronzeFile.objects.all(), actor="system:test")
    support.drain(as_of=prepared.world.as_of)
    assert support.failures() == []
    assert worlds.everything() == before


def test_the_same_drop_twice_is_a_duplicate_and_changes_nothing(prepared: Prepared) -> None:
    before = worlds.everything()
    path = next(path for path in prepared.files if path.parent.name == "order_lines")
    (drop,) = support.land([path])
    assert drop.state == DropState.DUPLICATE
    assert support.drain(as_of=prepared.world.as_of) == []
    assert worlds.everything() == before


def test_drops_in_any_order_and_in_many_runs_give_the_same_tables(prepared: Prepared, tmp_path: Path) -> None:
    wanted = worlds.everything()
    files = list(prepared.files)
    worlds.empty()
    support.contracts_ready()
    random.Random(5).shuffle(files)
    cuts = [0, 3, len(files) // 3, 2 * len(files) // 3, len(files)]
    for start, end in pairwise(cuts):
        support.land(files[start:end])
        support.drain(as_of=prepared.world.as_of)
        operations.retry(dataset=None, actor="system:test")  # facts without rates are held back until those come
    support.drain(as_of=prepared.world.as_of)
    assert [text for text in support.failures() if "not published" not in text and "which failed" not in text] == []
    found = worlds.everything()
    assert {table for table in wanted["lake"] if found["lake"].get(table) != wanted["lake"][table]} == set()
    assert found["held"] == wanted["held"]
    assert {t: (found["served"].get(t), v) for t, v in wanted["served"].items() if found["served"].get(t) != v} == {}
    assert found["figures"] == wanted["figures"]


def test_a_step_run_twice_does_its_work_once(prepared: Prepared) -> None:
    before = worlds.hashes()
    operations.bronze_replay(files=[BronzeFile.objects.filter(dataset="suppliers")[0]], actor="system:test")
    run = planning.run_plan(as_of=prepared.world.as_of, at_once=True)
    assert run is not None
    step = run.steps.get(dataset="suppliers")
    assert step_run(step_id=step.pk) == StepState.SUCCEEDED
    version = lake.table_version("silver/suppliers")
    assert step_run(step_id=step.pk) is None
    assert lake.table_version("silver/suppliers") == version
    finish(run)
    assert worlds.hashes() == before


def test_two_workers_at_once_do_a_step_once(prepared: Prepared) -> None:
    operations.bronze_replay(files=[BronzeFile.objects.filter(dataset="carriers")[0]], actor="system:test")
    run = planning.run_plan(as_of=prepared.world.as_of, at_once=True)
    assert run is not None
    step = run.steps.get(dataset="carriers")
    version = lake.table_version("silver/carriers")
    results = in_threads(*[lambda: step_run(step_id=step.pk)] * 3)
    assert sorted(results, key=str) == [None, None, StepState.SUCCEEDED]
    assert lake.table_version("silver/carriers") == version + 1
    step.refresh_from_db()
    assert (step.state, step.attempts) == (StepState.SUCCEEDED, 1)
    finish(run)


def test_two_planners_at_once_make_one_run(prepared: Prepared) -> None:
    operations.bronze_replay(files=[BronzeFile.objects.filter(dataset="carriers")[0]], actor="system:test")
    results = in_threads(*[lambda: planning.run_plan(as_of=prepared.world.as_of, at_once=True)] * 4)
    runs = [one for one in results if one is not None]
    assert len(runs) == 1
    assert isinstance(runs[0], Run)
    assert runs[0].work.filter(kind=WorkKind.FILE).count() == 1
    finish(runs[0])


def finish(run: Run) -> None:
    while step := Step.objects.filter(run=run, state=StepState.READY).order_by("id").first():
        step_run(step_id=step.pk)


def test_a_lease_held_by_another_makes_a_step_wait(prepared: Prepared) -> None:
    operations.bronze_replay(files=[BronzeFile.objects.filter(dataset="carriers")[0]], actor="system:test")
    run = planning.run_plan(as_of=prepared.world.as_of, at_once=True)
    assert run is not None
    step = run.steps.get(dataset="carriers")
    with lake.lease("silver/carriers", holder="maintenance"):
        assert step_run(step_id=step.pk) is None
        step.refresh_from_db()
        assert (step.state, step.attempts, step.error) == (StepState.READY, 0, "")
    assert step_run(step_id=step.pk) == StepState.SUCCEEDED
    finish(run)


def test_a_worker_that_lost_its_lease_does_not_finish(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    """Presumed dead, taken over, and then it wakes up: the table's commit and the step's end belong to the other one."""
    operations.bronze_replay(files=[BronzeFile.objects.filter(dataset="carriers")[0]], actor="system:test")
    run = planning.run_plan(as_of=prepared.world.as_of, at_once=True)
    assert run is not None
    step = run.steps.get(dataset="carriers")
    version = lake.table_version("silver/carriers")

    def stolen(_: steps.StepContext) -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE lake_lease SET holder = 'another', fencing = fencing + 1 WHERE resource = 'silver/carriers'")

    before_commit = steps.StepContext.before_commit
    monkeypatch.setattr(steps.StepContext, "before_commit", lambda ctx: (stolen(ctx), before_commit(ctx)))
    step_run(step_id=step.pk)
    step.refresh_from_db()
    assert step.state == StepState.READY
    assert "went to another holder" in step.error
    assert lake.table_version("silver/carriers") == version
    monkeypatch.undo()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE lake_lease SET holder = '' WHERE resource = 'silver/carriers'")
    finish(run)
    step.refresh_from_db()
    assert step.state == StepState.SUCCEEDED


def test_a_silent_step_is_found_and_taken_over(prepared: Prepared) -> None:
    operations.bronze_replay(files=[BronzeFile.objects.filter(dataset="carriers")[0]], actor="system:test")
    run = planning.run_plan(as_of=prepared.world.as_of, at_once=True)
    assert run is not None
    step = run.steps.get(dataset="carriers")
    long_ago = timezone.now() - timedelta(seconds=steps.SILENT_S + 1)
    Step.objects.filter(pk=step.pk).update(state=StepState.RUNNING, attempts=1, heartbeat_at=timezone.now())
    assert step_run(step_id=step.pk) is None
    assert steps.steps_reap() == 0
    Step.objects.filter(pk=step.pk).update(heartbeat_at=long_ago)
    assert steps.steps_reap() == 1
    assert step_run(step_id=step.pk) == StepState.SUCCEEDED
    finish(run)


def test_a_step_that_keeps_killing_its_workers_is_given_up(prepared: Prepared) -> None:
    operations.bronze_replay(files=[BronzeFile.objects.filter(dataset="carriers")[0]], actor="system:test")
    run = planning.run_plan(as_of=prepared.world.as_of, at_once=True)
    assert run is not None
    step = run.steps.get(dataset="carriers")
    long_ago = timezone.now() - timedelta(seconds=steps.SILENT_S + 1)
    Step.objects.filter(pk=step.pk).update(state=StepState.RUNNING, attempts=steps.MAX_DEATHS, heartbeat_at=long_ago)
    steps.steps_reap()
    step.refresh_from_db()
    run.refresh_from_db()
    assert step.state == StepState.FAILED
    assert "died 8 times" in step.error
    assert run.state == "failed"
    Step.objects.exclude(error="").update(error="")
    operations.retry(dataset="carriers", actor="system:test")
    support.drain(as_of=prepared.world.as_of)
    assert not Work.objects.filter(dataset="carriers").exists()


def test_a_drop_checked_by_two_at_once_is_accepted_once(prepared: Prepared) -> None:
    content = order_csv(order_id="bbbbbbbb-0000-4000-8000-000000000009")
    spool = spool_path("orders", identity="twice", filename="twice.csv")
    spool.parent.mkdir(parents=True, exist_ok=True)
    spool.write_bytes(content)
    drop = drop_register(
        dataset="orders",
        filename="twice.csv",
        spool=spool,
        size_bytes=len(content),
        source="test",
        received_by="",
        identity="twice",
    )
    in_threads(*[lambda: drop_check(drop_id=drop.pk)] * 4)
    drop.refresh_from_db()
    assert drop.state == DropState.ACCEPTED
    assert Work.objects.filter(bronze_file=drop.bronze_file).count() == 1
    support.drain(as_of=prepared.world.as_of)


def registered(name: str, content: bytes) -> Drop:
    spool = spool_path("orders", identity=name, filename=f"{name}.csv")
    spool.parent.mkdir(parents=True, exist_ok=True)
    spool.write_bytes(content)
    return drop_register(
        dataset="orders",
        filename=f"{name}.csv",
        spool=spool,
        size_bytes=len(content),
        source="test",
        received_by="",
        identity=name,
    )


@pytest.mark.parametrize("fails", [False, True], ids=["together", "one by one after a failure"])
def test_drops_checked_in_a_group_fare_as_each_would_alone(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    name = f"group-{fails}"
    good = [order_csv(order_id=f"cccccccc-0000-4000-8000-00000000{int(fails)}{number:03}") for number in range(3)]
    drops = [registered(f"{name}-{number}", one) for number, one in enumerate(good)]
    drops.append(registered(f"{name}-again", good[0]))
    drops.append(registered(f"{name}-bad", b"no,such,header\n1,2,3\n"))
    drops.append(registered(f"{name}-poison", order_csv(order_id=f"dddddddd-0000-4000-8000-00000000000{int(fails)}")))

    def broken(path: Path, *arguments: Any, **options: Any) -> Any:
        if fails and path.name.endswith("poison.csv"):
            raise RuntimeError("a fault of the reader")
        return decode(path, *arguments, **options)

    monkeypatch.setattr("pipeline.services.landing.decode", broken)
    landing.drops_check(drop_ids=[drop.pk for drop in drops])
    states = dict(Drop.objects.filter(pk__in=[drop.pk for drop in drops]).values_list("identity", "state"))
    assert [states[f"{name}-{last}"] for last in ("0", "1", "2", "again", "bad")] == [
        *[DropState.ACCEPTED] * 3,
        DropState.DUPLICATE,
        DropState.REFUSED,
    ]
    assert states[f"{name}-poison"] == (DropState.LANDED if fails else DropState.ACCEPTED)
    taken = Drop.objects.filter(identity__startswith=name, state=DropState.ACCEPTED)
    assert Work.objects.filter(bronze_file__in=taken.values("bronze_file")).count() == len(taken)
    assert [Path(drop.spool_path).exists() for drop in drops] == [False] * 5 + [fails]
    monkeypatch.undo()
    landing.drops_check(drop_ids=[drop.pk for drop in drops])
    assert Drop.objects.get(identity=f"{name}-poison").state != DropState.LANDED
    support.drain(as_of=prepared.world.as_of)
    assert support.failures() == []


def test_an_update_that_moves_the_day_leaves_one_row_whatever_comes_late(prepared: Prepared) -> None:
    take(prepared, "orders", order_csv())
    assert found_order() == [("2026-10-18", "placed")]
    moved = {"ordered_at": "2026-10-17T10:00:00Z", "updated_at": "2026-10-18T12:00:00Z", "status": "confirmed"}
    take(prepared, "orders", order_csv(**moved, source_seq="3"))
    assert found_order() == [("2026-10-17", "confirmed")]
    # Late, older, and of the day that the order has left: it must neither win nor hide where the order lies now.
    take(prepared, "orders", order_csv(updated_at="2026-10-18T11:00:00Z", source_seq="2", total_amount="11.00"))
    assert found_order() == [("2026-10-17", "confirmed")]
    back = {"updated_at": "2026-10-18T13:00:00Z", "status": "dispatched", "dispatched_at": "2026-10-18T13:00:00Z"}
    take(prepared, "orders", order_csv(**back, source_seq="4"))
    assert found_order() == [("2026-10-18", "dispatched")]
    assert KeyPlace.objects.filter(dataset="orders").count() == rows("orders", "SELECT COUNT(*) AS n FROM t")[0]["n"]


def test_a_late_change_of_a_product_computes_exactly_the_facts_it_touches(prepared: Prepared) -> None:
    line = rows(
        "fact_order", "SELECT t.sku, MIN(t.order_date) AS first, MAX(t.order_date) AS last FROM t GROUP BY t.sku ORDER BY t.sku"
    )[0]
    days = rows("fact_order", f"SELECT DISTINCT t.order_date AS d FROM t WHERE t.sku = '{line['sku']}' ORDER BY t.order_date")
    product = max(rows("products", f"SELECT * FROM t WHERE t.sku = '{line['sku']}'"), key=lambda row: row["updated_at"])
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    raw = next(path for path in prepared.files if path.parent.name == "products")
    schema = pq.read_schema(raw)
    row = {name: product[name] for name in schema.names} | {
        "unit_cost": product["unit_cost"] + 1,
        "updated_at": "1980-01-01T00:00:00Z",
        "source_seq": 999_999,
    }
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([row], schema=schema), buffer)
    drop_receive(dataset="products", filename="late.parquet", content=buffer.getvalue(), source="test")
    (run,) = support.drain(as_of=prepared.world.as_of)
    step = run.steps.get(dataset="fact_order")
    assert step.state == StepState.SUCCEEDED
    assert set(step.partitions) == {row["d"].isoformat() for row in days}


def test_changes_of_a_dimension_are_told_before_the_commit(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the dimension's commit and the step's end: who takes over finds no difference, yet the facts follow."""
    supplier = rows("dim_product", "SELECT t.supplier_id AS s FROM t WHERE t.is_current ORDER BY t.supplier_id LIMIT 1")[0]["s"]
    content = (
        "supplier_id,name,country,lead_time_days,terms,updated_at,source_seq\n"
        f"{supplier},Renamed,FR,77,net 90,2026-10-20T20:00:00Z,999999\n"
    ).encode()
    drop_receive(dataset="suppliers", filename="new.csv", content=content, source="test")
    run = planning.run_plan(as_of=prepared.world.as_of, at_once=True)
    assert run is not None

    def die(ctx: steps.StepContext, outcome: steps.Outcome) -> None:
        if ctx.step.dataset == "dim_product":
            raise KeyboardInterrupt
        finish_step(ctx, outcome)

    finish_step = steps._finish
    with monkeypatch.context() as patch:
        patch.setattr(steps, "_finish", die)
        while step := Step.objects.filter(run=run, state=StepState.READY).order_by("id").first():
            try:
                step_run(step_id=step.pk)
            except KeyboardInterrupt:
                break
    assert step is not None
    assert step.dataset == "dim_product"
    told = Work.objects.filter(upstream="dim_product", kind=WorkKind.INTERVALS)
    assert told.filter(dataset="fact_order").exists()
    long_ago = timezone.now() - timedelta(seconds=steps.SILENT_S + 1)
    Step.objects.filter(pk=step.pk).update(heartbeat_at=long_ago)
    assert step_run(step_id=step.pk) == StepState.SUCCEEDED
    finish(run)
    run.refresh_from_db()
    assert run.state == "succeeded"
    assert run.steps.get(dataset="fact_order").state == StepState.SUCCEEDED
    support.drain(as_of=prepared.world.as_of)
    before = worlds.hashes()
    operations.dataset_backfill(dataset="fact_order", values=None, actor="system:test")
    support.drain(as_of=prepared.world.as_of)
    assert worlds.hashes() == before


def test_partial_silver_is_purged_replayed_and_gold_rebuilt_to_the_same(prepared: Prepared) -> None:
    """Recovery (a) of the source document."""
    before = worlds.everything()
    day = "2026-10-18"
    assert operations.partition_purge(dataset="orders", values=[day], actor="system:test", reason="a corrupted row") == 1
    assert rows("orders", f"SELECT COUNT(*) AS n FROM t WHERE t.order_date = DATE '{day}'")[0]["n"] == 0
    assert worlds.hashes()["silver/orders"] != before["lake"]["silver/orders"]
    files = operations.files_behind(dataset="orders", values=[day])
    assert operations.bronze_replay(files=files, actor="system:test") == files.count() > 0
    support.drain(as_of=prepared.world.as_of)
    operations.dataset_backfill(dataset="fact_order", values=[day], actor="system:test")
    support.drain(as_of=prepared.world.as_of)
    assert worlds.everything() == before
    assert operations.partition_purge(dataset="carriers", values=None, actor="system:test", reason="all of it") == 1
    operations.bronze_replay(files=operations.files_behind(dataset="carriers", values=None), actor="system:test")
    support.drain(as_of=prepared.world.as_of)
    assert worlds.everything() == before
