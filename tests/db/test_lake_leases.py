"""Leases with real transactions and threads, and the upkeep that they guard."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from django.db import connection, transaction
from django.db.utils import OperationalError

from controlplane.lake import leases, tables
from controlplane.lake.engines.duck import DuckEngine
from controlplane.lake.errors import LeaseHeld, LeaseLost, TableNotFound
from controlplane.lake.models import Lease, ReaderLease
from tests.lake_support import duck_config

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_second_holder_is_refused_and_told_who_holds_it() -> None:
    with leases.lease("silver/orders", holder="worker-1"):
        with pytest.raises(LeaseHeld, match="silver/orders is leased by worker-1") as caught:
            leases.lease("silver/orders", holder="worker-2").__enter__()
        assert caught.value.holder == "worker-1"


def test_a_holder_does_not_get_its_own_lease_twice() -> None:
    with (
        leases.lease("silver/orders", holder="worker-1"),
        pytest.raises(LeaseHeld),
        leases.lease("silver/orders", holder="worker-1"),
    ):
        pytest.fail("two holders")


def test_leases_of_two_resources_are_independent() -> None:
    with leases.lease("silver/orders", holder="a"), leases.lease("silver/returns", holder="b") as second:
        assert second.fencing == 1


def test_fencing_grows_with_each_holder() -> None:
    numbers = []
    for name in ("a", "b", "a"):
        with leases.lease("silver/orders", holder=name) as held:
            numbers.append(held.fencing)
    assert numbers == [1, 2, 3]


def test_the_lease_is_given_back_when_the_work_fails() -> None:
    with pytest.raises(RuntimeError, match="broken"), leases.lease("silver/orders", holder="a"):
        raise RuntimeError("broken")
    with leases.lease("silver/orders", holder="b") as held:
        assert held.fencing == 2


def expire(resource: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE lake_lease SET expires_at = clock_timestamp() - interval '1 s' WHERE resource = %s", [resource])


def test_a_dead_holder_is_replaced_and_stopped_at_its_next_check() -> None:
    with leases.lease("silver/orders", holder="slow") as slow:
        expire("silver/orders")
        with leases.lease("silver/orders", holder="quick") as quick:
            assert quick.fencing == slow.fencing + 1
            with pytest.raises(LeaseLost):
                leases.check(slow)
            leases.check(quick)
    # The slow one's end did not take the quick one's place: both are gone, the row stays.
    assert Lease.objects.get().fencing == 2


def test_the_end_of_a_lost_lease_leaves_the_new_holder_alone() -> None:
    first = leases.lease("silver/orders", holder="slow")
    first.__enter__()
    expire("silver/orders")
    with leases.lease("silver/orders", holder="quick") as quick:
        first.__exit__(None, None, None)
        leases.check(quick)
        assert Lease.objects.get().holder == "quick"


def test_an_expired_lease_that_nobody_took_is_renewed_by_a_check() -> None:
    with leases.lease("silver/orders", holder="a") as held:
        expire("silver/orders")
        leases.check(held)
        with pytest.raises(LeaseHeld), leases.lease("silver/orders", holder="b"):
            pytest.fail("two holders")


def test_the_heartbeat_keeps_the_lease_beyond_its_time() -> None:
    with leases.lease("silver/orders", holder="a", ttl_s=0.6):
        time.sleep(1.5)
        with pytest.raises(LeaseHeld), leases.lease("silver/orders", holder="b"):
            pytest.fail("two holders")


def test_the_heartbeat_notices_a_lost_lease() -> None:
    with leases.lease("silver/orders", holder="a", ttl_s=0.6) as held:
        expire("silver/orders")
        with leases.lease("silver/orders", holder="b"):
            assert held.lost.wait(2)


def test_of_many_takers_one_wins() -> None:
    start, won, refused = threading.Barrier(8), [], []

    def take(number: int) -> None:
        start.wait()
        try:
            with leases.lease("silver/orders", holder=f"w{number}"):
                won.append(number)
                time.sleep(0.5)
        except LeaseHeld:
            refused.append(number)
        finally:
            connection.close()

    threads = [threading.Thread(target=take, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert len(refused) == 7


def test_a_lease_is_not_taken_inside_a_transaction() -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"), leases.lease("silver/orders", holder="a"):
        pytest.fail("nobody else could see it")


def test_a_lease_needs_the_database() -> None:
    def broken(*_: object) -> None:
        raise OperationalError("gone")

    with connection.execute_wrapper(broken), pytest.raises(OperationalError), leases.lease("silver/orders", holder="a"):
        pytest.fail("no lease")


def test_removal_waits_for_readers_that_began_before() -> None:
    with leases.reading(["silver/orders", "silver/returns"], holder="r"):
        with leases.lease("silver/orders", holder="w") as held:
            assert not leases.wait_for_readers(held, timeout_s=0.3)
        with leases.lease("silver/products", holder="w") as held:
            assert leases.wait_for_readers(held, timeout_s=0)
    assert not ReaderLease.objects.exists()
    with leases.lease("silver/orders", holder="w") as held:
        assert leases.wait_for_readers(held, timeout_s=0)
        with leases.reading(["silver/orders"], holder="late"):
            assert leases.wait_for_readers(held, timeout_s=0)


def test_a_dead_reader_does_not_block_for_ever() -> None:
    with leases.reading(["silver/orders"], holder="r"):
        ReaderLease.objects.update(expires_at="2020-01-01T00:00:00Z")
        with leases.lease("silver/orders", holder="w") as held:
            assert leases.wait_for_readers(held, timeout_s=0)


# --- upkeep ----

SCHEMA = pa.schema([("day", pa.string()), ("n", pa.int64())])
CONFIG_TABLE = "silver/t"


@pytest.fixture
def engine(tmp_path: Path) -> DuckEngine:
    engine = DuckEngine(duck_config(tmp_path))
    for number in range(5):
        with engine.session() as session:
            session.register_arrow("src", pa.table({"day": ["a", "b"], "n": pa.array([number, number], pa.int64())}))
            session.write(
                CONFIG_TABLE,
                "SELECT day, n FROM src",
                schema=SCHEMA,
                partition_by="day",
                replace=["a", "b"] if number else None,
            )
    return engine


def parquet_files(engine: DuckEngine) -> list[Path]:
    return sorted(Path(engine.config.uri(CONFIG_TABLE)).rglob("*.parquet"))


def data_files(engine: DuckEngine) -> list[Path]:
    return [path for path in parquet_files(engine) if "_delta_log" not in path.parts]


def test_upkeep_without_retention_leaves_only_the_newest_version(engine: DuckEngine) -> None:
    before = tables.content_hash(engine.config, CONFIG_TABLE)
    assert len(data_files(engine)) == 10
    done = tables.maintain(engine.config, CONFIG_TABLE, timedelta(0), holder="upkeep")
    assert done.files_removed == 8
    assert not done.waited_out
    assert len(data_files(engine)) == 2
    assert tables.content_hash(engine.config, CONFIG_TABLE) == before
    log = Path(engine.config.uri(CONFIG_TABLE), "_delta_log")
    assert list(log.glob("*.checkpoint.parquet"))


def test_upkeep_keeps_what_is_younger_than_the_retention(engine: DuckEngine) -> None:
    done = tables.maintain(engine.config, CONFIG_TABLE, timedelta(hours=24), holder="upkeep")
    assert done.files_removed == 0
    assert DeltaTable(engine.config.uri(CONFIG_TABLE), version=2).to_pyarrow_dataset().count_rows() == 2


def test_upkeep_merges_small_files(engine: DuckEngine) -> None:
    from deltalake import write_deltalake

    for number in range(6):
        write_deltalake(
            engine.config.uri(CONFIG_TABLE), pa.table({"day": ["a"], "n": pa.array([number], pa.int64())}), mode="append"
        )
    before = tables.content_hash(engine.config, CONFIG_TABLE)
    done = tables.maintain(engine.config, CONFIG_TABLE, timedelta(hours=1), holder="upkeep")
    assert (done.files_merged, done.files_made) == (7, 1)
    assert tables.content_hash(engine.config, CONFIG_TABLE) == before


def test_upkeep_is_quiet_when_there_is_nothing_to_do(engine: DuckEngine) -> None:
    tables.maintain(engine.config, CONFIG_TABLE, timedelta(0), holder="upkeep")
    version = tables.table_version(engine.config, CONFIG_TABLE)
    assert tables.maintain(engine.config, CONFIG_TABLE, timedelta(0), holder="upkeep").version == version


def test_upkeep_never_runs_while_a_writer_holds_the_table(engine: DuckEngine) -> None:
    with leases.lease(CONFIG_TABLE, holder="writer"), pytest.raises(LeaseHeld, match="writer"):
        tables.maintain(engine.config, CONFIG_TABLE, timedelta(0), holder="upkeep")
    assert len(data_files(engine)) == 10


def test_upkeep_removes_nothing_while_an_earlier_reader_reads(engine: DuckEngine) -> None:
    with leases.reading([CONFIG_TABLE], holder="reader"), engine.session() as session:
        session.register_table("t", CONFIG_TABLE)
        done = tables.maintain(engine.config, CONFIG_TABLE, timedelta(0), holder="upkeep", wait_for_readers_s=0.2)
        assert (done.waited_out, done.files_removed) == (True, 0)
        assert session.fetch("SELECT sum(n) AS s FROM t").to_pylist() == [{"s": 8}]
    assert tables.maintain(engine.config, CONFIG_TABLE, timedelta(0), holder="upkeep").files_removed == 8


def test_upkeep_removes_the_folder_of_a_partition_that_is_gone(engine: DuckEngine) -> None:
    with engine.session() as session:
        session.register_table("t", CONFIG_TABLE)
        session.write(
            CONFIG_TABLE, "SELECT day, n FROM t WHERE day = 'b'", schema=SCHEMA, partition_by="day", replace=["a", "b"]
        )
    tables.maintain(engine.config, CONFIG_TABLE, timedelta(0), holder="upkeep")
    assert not Path(engine.config.uri(CONFIG_TABLE), "day=a").exists()


def test_upkeep_of_no_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TableNotFound):
        tables.maintain(duck_config(tmp_path), "silver/none", timedelta(0), holder="upkeep")


def test_a_writer_that_waits_its_turn_loses_nothing_to_upkeep(engine: DuckEngine) -> None:
    """Writers under the lease and upkeep without retention, side by side: every file that a version needs is there."""
    stop, faults = threading.Event(), []

    def write() -> None:
        try:
            for number in range(15):
                while True:
                    try:
                        with leases.lease(CONFIG_TABLE, holder="writer") as held, engine.session() as session:
                            rows = pa.table({"day": ["a"], "n": pa.array([100 + number], pa.int64())})
                            session.register_arrow("src", rows)
                            session.write(
                                CONFIG_TABLE,
                                "SELECT day, n FROM src",
                                schema=SCHEMA,
                                partition_by="day",
                                replace=["a"],
                                before_commit=partial(leases.check, held),
                            )
                        break
                    except LeaseHeld:
                        time.sleep(0.01)
        except Exception as error:
            faults.append(error)
        finally:
            stop.set()
            connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    while not stop.is_set():
        try:
            tables.maintain(engine.config, CONFIG_TABLE, timedelta(0), holder="upkeep")
        except LeaseHeld:
            time.sleep(0.005)
    thread.join()
    assert faults == []
    with engine.session() as session:
        session.register_table("t", CONFIG_TABLE)
        assert session.fetch("SELECT day, n FROM t ORDER BY day").to_pylist() == [{"day": "a", "n": 114}, {"day": "b", "n": 4}]
