"""Figures computed again: from raw files and table versions, after corrections, under old contracts, after tampering."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from catalog.selectors import contracts_current
from catalog.services import contract_import
from controlplane.audit.sealing import seal_pending
from controlplane.evidence.domain import bundle
from controlplane.evidence.domain.verify import verify
from controlplane.evidence.models import Reproduction
from controlplane.evidence.services import bundles, reproductions
from controlplane.evidence.services.installation import compare
from controlplane.lake import services as lake
from controlplane.outbox.models import OutboxMessage
from controlplane.subjects import removals
from controlplane.subjects.removals import Removal
from pipeline import selectors_reproduce
from pipeline.demo.files import PARQUET_SCHEMA
from pipeline.domain.code import ROOT
from pipeline.errors import PipelineError
from pipeline.models import BronzeFile, KpiValue, SqlText, Step
from pipeline.services import gold, operations
from pipeline.services.landing import drop_receive
from tests import pipeline_support as support
from tests import pipeline_world as worlds
from tests.pipeline_world import Prepared

KPIS = ("net_revenue", "conversion_rate", "fulfilment_sla", "return_rate", "csat_index", "inventory_risk")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker: Any) -> Iterator[Prepared]:
    with worlds.shared(tmp_path_factory.mktemp("evidence"), django_db_blocker) as made:
        yield made


def figure(kpi: str = "net_revenue") -> KpiValue:
    """The newest figure of the last full day."""
    found = KpiValue.objects.filter(kpi=kpi, business_date__lt=worlds.LAST_DAY).order_by("-business_date", "-id").first()
    assert found is not None
    return found


def reproduce(value: KpiValue, source: str = "bronze") -> Reproduction:
    made = reproductions.reproduction_request(value_id=value.pk, source=source, actor="system:test")
    done = reproductions.reproduction_run(reproduction_id=made.pk)
    assert done is not None
    assert done.state == "done", done.error
    assert not reproductions.scratch_root().exists() or list(reproductions.scratch_root().iterdir()) == []
    return done


@pytest.mark.django_db
def test_a_figure_that_was_never_published_cannot_be_reproduced() -> None:
    with pytest.raises(PipelineError, match="never published"):
        reproductions.reproduction_request(value_id=1, source="bronze", actor="system:test")


@pytest.mark.parametrize("source", ["bronze", "delta"])
@pytest.mark.parametrize("kpi", KPIS)
def test_every_figure_is_reproduced_with_every_table_on_the_way(prepared: Prepared, kpi: str, source: str) -> None:
    done = reproduce(figure(kpi), source)
    assert done.outcome == "reproduced", done.result["reason"]
    assert done.result["computed"] == done.result["published"]
    assert [one["dataset"] for one in done.result["datasets"] if one["equal"] is not True] == []
    assert (done.result.get("files", {}).get("checked", 0) > 0) == (source == "bronze")


def test_a_request_while_one_is_under_way_is_the_same_reproduction(prepared: Prepared) -> None:
    value = figure("csat_index")
    first = reproductions.reproduction_request(value_id=value.pk, source="bronze", actor="system:test")
    assert reproductions.reproduction_request(value_id=value.pk, source="bronze", actor="system:test") == first
    assert reproductions.reproduction_run(reproduction_id=first.pk) is not None
    assert reproductions.reproduction_run(reproduction_id=first.pk) is None  # done is done


# --- what came later ----------------------------------------------------------------------------------------------------


def silver(dataset: str, order_id: str) -> list[dict[str, Any]]:
    with lake.engine().session() as session:
        session.register_table("t", f"silver/{dataset}")
        columns = ", ".join(f"t.{name}" for name in lake.table_schema(f"silver/{dataset}").names if not name.startswith("_"))
        return list(session.fetch(f"SELECT {columns} FROM t WHERE t.order_id = '{order_id}'").to_pylist())


def csv_of(dataset: str, records: list[dict[str, Any]]) -> bytes:
    """Records as their source would send them again."""
    contract = contracts_current()[dataset]
    names = [one.name for one in contract.drop_fields]

    def text(value: Any) -> str:
        if value is None:
            return ""
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)

    lines = [",".join(names), *(",".join(text(record[name]) for name in names) for record in records)]
    return ("\n".join(lines) + "\n").encode()


def send(prepared: Prepared, dataset: str, content: bytes) -> None:
    drop_receive(dataset=dataset, filename=f"{dataset}.csv", content=content, source="test")
    support.drain(as_of=prepared.world.as_of)
    assert support.failures() == []


def an_order_on(day: date) -> str:
    """An order that counts on that day."""
    with lake.engine().session() as session:
        session.register_table("f", "gold/fact_order")
        sql = (
            "SELECT MIN(f.order_id) AS o FROM f"
            f" WHERE f.order_date = DATE '{day}' AND NOT f.is_cancelled AND f.net_revenue_amount > 1"
        )
        return str(session.fetch(sql)["o"][0].as_py())


def move(prepared: Prepared, order_id: str, *, days: int) -> None:
    """The source corrects when an order was placed: the order and its lines are sent again, on another day."""
    for dataset in ("order_lines", "orders"):
        records = silver(dataset, order_id)
        for record in records:
            record["ordered_at"] += timedelta(days=days)
            record["updated_at"] += timedelta(hours=1)
            record["source_seq"] += 1_000_000
            if record.get("dispatched_at"):
                record["dispatched_at"] = record["ordered_at"] + timedelta(hours=1)
        drop_receive(dataset=dataset, filename="late.csv", content=csv_of(dataset, records), source="test")
    support.drain(as_of=prepared.world.as_of)
    assert support.failures() == []


def test_after_a_late_correction_the_old_figure_and_the_new_one_are_both_reproduced(prepared: Prepared) -> None:
    old = figure()
    moved = an_order_on(old.business_date)
    move(prepared, moved, days=-1)
    new = figure()
    assert (new.pk != old.pk, new.value != old.value) == (True, True)
    for value in (old, new):
        done = reproduce(value)
        assert (done.outcome, done.result["computed"]["value"]) == ("reproduced", f"{value.value.normalize():f}"), done.result
    # And where it went to, whose partition holds no file but the correction's for this order.
    there = KpiValue.objects.filter(kpi="net_revenue", business_date=old.business_date - timedelta(days=1)).first()
    assert there is not None
    assert reproduce(there).outcome == "reproduced"
    move(prepared, moved, days=1)
    back = figure()
    assert back.value == old.value
    again = [reproduce(value) for value in (old, new, back)]
    assert [one.outcome for one in again] == ["reproduced"] * 3
    # The version in between lies in a file that brought nothing into this day, and the evidence names that file as well.
    moved = next(one["moved_files"] for one in again[2].result["datasets"] if one["dataset"] == "orders")
    named = bundle.unpack(bundles.bundle_build(value_id=back.pk)).entries["files.json"].decode()
    assert [one for one in moved if one in named] == moved != []


def session_bytes(day: date) -> bytes:
    at = f"{day}T10:00:00Z"
    one: dict[str, Any] = {
        "session_id": "eeeeeeee-0000-4000-8000-000000000001",
        "channel_source": "web",
        "region": "FR",
        "device": "phone",
    }
    one |= {"started_at": at, "ended_at": at, "updated_at": at, "customer_id": None}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([one | {"page_views": 3, "source_seq": 1}], schema=PARQUET_SCHEMA["sessions"]), sink)
    return bytes(sink.getvalue().to_pybytes())


def test_a_figure_computed_while_a_table_above_it_was_stopped_is_reproduced_from_that_tables_older_state(
    prepared: Prepared,
) -> None:
    old = figure("conversion_rate")
    operations.stop(scope="fact_session", reason="maintenance", actor="system:test")
    try:
        send(prepared, "sessions", session_bytes(old.business_date))  # taken into Silver, and no further
        records = silver("orders", an_order_on(old.business_date))
        for record in records:
            record |= {"status": "cancelled", "updated_at": record["updated_at"] + timedelta(hours=5)}
        send(prepared, "orders", csv_of("orders", records))
        stale = figure("conversion_rate")
    finally:
        operations.resume(scope="fact_session", actor="system:test")
    support.drain(as_of=prepared.world.as_of)
    new = figure("conversion_rate")
    assert stale.denominator == old.denominator
    assert (stale.numerator, new.denominator) == (old.numerator - 1, old.denominator + 1)  # type: ignore[operator]
    assert [reproduce(value).outcome for value in (old, stale, new)] == ["reproduced"] * 3


def test_after_a_contract_changed_the_old_figure_is_reproduced_under_the_old_contract(prepared: Prepared) -> None:
    old = figure()
    text = (ROOT / "pipeline" / "contracts" / "orders.odcs.yaml").read_text()
    admitted = "      - name: gift_note\n        logicalType: string\n        description: A wish.\n      - name: updated_at\n"
    stricter = text.replace("      - name: updated_at\n", admitted, 1).replace("version: 1.0.0", "version: 2.0.0", 1)
    contract_import(
        text=stricter.replace("logicalTypeOptions: {minimum: 0}", "logicalTypeOptions: {minimum: 1}", 1), actor="system:test"
    )
    records = silver("orders", an_order_on(old.business_date))
    for record in records:
        record |= {"status": "cancelled", "gift_note": "none", "updated_at": record["updated_at"] + timedelta(hours=2)}
    send(prepared, "orders", csv_of("orders", records))
    new = figure()
    assert new.value != old.value
    versions = {}
    for value in (old, new):
        done = reproduce(value)
        assert done.outcome == "reproduced", done.result["reason"]
        versions[value.pk] = {one["contract_version"] for one in done.result["datasets"] if one["dataset"] == "orders"}
    assert versions == {old.pk: {"1.0.0"}, new.pk: {"2.0.0"}}


def test_a_figure_is_reproduced_with_the_sql_that_ran_then(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = figure("csat_index")
    for path in gold.GOLD_SQL.glob("*.sql"):
        (tmp_path / path.name).write_text(path.read_text())
    changed = (tmp_path / "kpi_csat_index.sql").read_text().replace("d.points * 25", "d.points * 20")
    (tmp_path / "kpi_csat_index.sql").write_text(changed)
    monkeypatch.setattr(gold, "GOLD_SQL", tmp_path)
    try:
        operations.dataset_backfill(dataset="kpi_csat_index", values=[old.business_date.isoformat()], actor="system:test")
        support.drain(as_of=prepared.world.as_of)
        new = figure("csat_index")
        assert old.value is not None
        assert new.value == (old.value * 20 / 25).quantize(Decimal("0.01"))
        assert [reproduce(value).outcome for value in (old, new)] == ["reproduced"] * 2
        kept = SqlText.objects.get(sha256=old.step.sql_sha256)
        kept.delete()
        try:
            lost = reproduce(old)
        finally:
            SqlText.objects.create(sha256=kept.sha256, text=kept.text)
        assert lost.outcome == "not_reproducible"
        assert old.step.sql_sha256 in lost.result["reason"]
    finally:
        monkeypatch.undo()
        operations.dataset_backfill(dataset="kpi_csat_index", values=[old.business_date.isoformat()], actor="system:test")
        support.drain(as_of=prepared.world.as_of)


# --- tampering, for real ------------------------------------------------------------------------------------------------


@contextmanager
def other_bytes(path: Path, data: bytes | None) -> Iterator[None]:
    """A file with other contents, or none at all; everything as before afterwards."""
    before = path.read_bytes()
    path.write_bytes(data) if data is not None else path.unlink()
    try:
        yield
    finally:
        path.write_bytes(before)


def raw_file(value: KpiValue, dataset: str) -> BronzeFile:
    plan = selectors_reproduce.plan(value)
    return next(file for node in plan.nodes if node.contract.dataset == dataset for file in plan.files_of(node))


def table_file(table: str, partition: str) -> Path:
    version = lake.table_version(table)
    names = lake.table_files(table, version=version)
    return Path(lake.table_uri(table)) / next(name for name in names if f"={partition}/" in name)


def with_other_amount(path: Path, column: str) -> bytes:
    """The Parquet file with one cell changed."""
    rows = pq.ParquetFile(path).read()
    place = rows.schema.get_field_index(column)
    first = pa.array([True, *[False] * (rows.num_rows - 1)])
    more = pc.add(rows[column], pa.scalar(Decimal("1000.00"), pa.decimal128(10, 2))).cast(rows.schema.field(column).type)
    sink = pa.BufferOutputStream()
    pq.write_table(rows.set_column(place, rows.schema.field(place), pc.if_else(first, more, rows[column])), sink)
    return sink.getvalue().to_pybytes()


@contextmanager
def sql_changed(change: str, undo: str) -> Iterator[None]:
    """A change behind everybody's back, triggers off, and its reverse."""

    def run(statement: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")
            cursor.execute(statement)
            assert cursor.rowcount == 1, statement
            cursor.execute("SET session_replication_role = DEFAULT")

    run(change)
    try:
        yield
    finally:
        run(undo)


def test_a_raw_file_that_was_changed_or_is_gone_is_named(prepared: Prepared) -> None:
    value = figure()
    file = raw_file(value, "order_lines")
    path = Path(file.uri)
    for data, kind in ((path.read_bytes().replace(b"0", b"1", 1), "changed"), (None, "missing")):
        with other_bytes(path, data):
            done = reproduce(value)
        assert done.outcome == "not_reproducible"
        assert file.logical_id in done.result["reason"]
        assert [(one["kind"], one["logical_id"]) for one in done.result["faults"]] == [(kind, file.logical_id)]


def test_a_raw_file_that_an_erasure_superseded_is_reproduced_except_for_it(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = figure()
    path = Path(raw_file(value, "orders").uri)
    file = raw_file(value, "orders")
    data = path.read_bytes()[: path.read_bytes().rindex(b"\n", 0, -1) + 1]  # the last record taken out
    record = Removal("erasure", 7, file.logical_id, bundle.sha256_of(data), 1, timezone.now(), "erasure:7")
    monkeypatch.setattr(removals, "_sources", {"test": lambda ids: [record] if file.logical_id in ids else []})
    with other_bytes(path, data):
        done = reproduce(value)
        assert done.outcome == "reproduced_except_erasure"
        assert "Erasure 7" in done.result["reason"]
    monkeypatch.setattr(
        removals,
        "_sources",
        {"test": lambda _ids: [Removal("retention", 3, file.logical_id, "", 9, timezone.now(), "retention:3")]},
    )
    with other_bytes(path, None):
        gone = reproduce(value)
    assert gone.outcome == "not_reproducible"
    assert "retention 3" in gone.result["reason"]


@pytest.mark.parametrize(
    ("table", "column"), [("silver/order_lines", "gross_amount"), ("gold/mart_daily_revenue", "net_revenue")]
)
def test_a_row_of_the_lake_that_was_changed_makes_it_differ_and_the_table_is_named(
    prepared: Prepared, table: str, column: str
) -> None:
    value = figure()
    path = table_file(table, value.business_date.isoformat())
    with other_bytes(path, with_other_amount(path, column)):
        done = reproduce(value)
    assert done.outcome == "differs"
    assert table.replace("/", ".") in done.result["reason"]
    assert [one["dataset"] for one in done.result["datasets"] if one["equal"] is False] == [table.partition("/")[2]]


def test_a_published_figure_that_was_changed_differs_and_is_told_apart_from_the_lake(prepared: Prepared) -> None:
    value = figure()
    change = f"UPDATE pipeline_kpivalue SET value = value {{}} 500 WHERE id = {value.pk}"
    with sql_changed(change.format("+"), change.format("-")):
        done = reproduce(value)
    assert done.outcome == "differs"
    assert "the published row was changed" in done.result["reason"]
    assert done.result["computed"]["value"] == f"{value.value.normalize():f}"


def test_versions_that_the_lake_no_longer_keeps_are_cited(prepared: Prepared) -> None:
    value = figure()
    step = Step.objects.filter(dataset="orders", state="succeeded", pk__lt=value.step_id).latest("pk")
    Step.objects.filter(pk=step.pk).update(table_version=999)
    try:
        done = reproduce(value, "delta")
    finally:
        Step.objects.filter(pk=step.pk).update(table_version=step.table_version)
    assert done.outcome == "not_reproducible"
    assert "Version 999 of silver.orders is not kept any more" in done.result["reason"]


# --- bundles against the installation -------------------------------------------------------------------------------------


def faults_of(data: bytes) -> list[str]:
    report, contents = verify(data)
    assert report.faults == []
    assert contents is not None
    compare(contents, report)
    return report.faults


def test_a_bundle_names_whatever_was_tampered_with_in_the_installation(prepared: Prepared) -> None:
    value = figure()
    reproduce(value)
    seal_pending()
    data = bundles.bundle_build(value_id=value.pk)
    assert bundles.bundle_build(value_id=value.pk) == data  # the same bytes for the same content
    assert faults_of(data) == []
    day = value.business_date.isoformat()
    file = raw_file(value, "order_lines")
    with other_bytes(Path(file.uri), b"order_id\n"):
        assert any(file.logical_id in fault and "has changed" in fault for fault in faults_of(data))
    for table, column in (("silver/orders", "total_amount"), ("gold/fact_order", "net_revenue_amount")):
        path = table_file(table, day)
        with other_bytes(path, with_other_amount(path, column)):
            (fault,) = faults_of(data)
        assert f"rows of {table.replace('/', '.')}" in fault
    served = f"UPDATE gold.kpi_net_revenue SET value = value {{}} 1 WHERE business_date = '{day}'"
    with sql_changed(served.format("+"), served.format("-")):
        assert any("gold.kpi_net_revenue" in fault for fault in faults_of(data))
    figures = f"UPDATE pipeline_kpivalue SET numerator = numerator {{}} 1 WHERE id = {value.pk}"
    with sql_changed(figures.format("+"), figures.format("-")):
        (fault,) = faults_of(data)
    assert f"row {value.pk} of pipeline_kpivalue" in fault
    manifests = f"UPDATE pipeline_bronzefile SET rows = rows {{}} 1 WHERE id = {file.pk}"
    with sql_changed(manifests.format("+"), manifests.format("-")):
        assert any("the manifest of raw file" in fault and file.logical_id in fault for fault in faults_of(data))
    entries = "UPDATE audit_auditentry SET target = '{}' WHERE action = 'evidence.reproduce' AND target = '{}'"
    target = Reproduction.objects.filter(value=value).latest("pk").audit_target
    with sql_changed(entries.format("reproduction:other", target), entries.format(target, "reproduction:other")):
        found = faults_of(data)
    assert any("audit log: entry" in fault and "is broken" in fault for fault in found)
    assert faults_of(data) == []


# --- a worker that dies -------------------------------------------------------------------------------------------------


def test_a_worker_killed_in_the_middle_harms_nothing_and_another_one_ends_it(prepared: Prepared, tmp_path: Path) -> None:
    value = figure()
    environment = os.environ | {
        "DATABASE_URL": os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{connection.settings_dict['NAME']}",
        "TOUCHSTONE_LAKE_URL": str(settings.LAKE_URL),
        "TOUCHSTONE_FAILPOINTS": "evidence.progress:computing dim_product",
        "TOUCHSTONE_FAILPOINTS_DIR": str(tmp_path),
    }
    command = [sys.executable, "manage.py", "evidence", "reproduce", value.kpi, value.business_date.isoformat()]
    died = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    one = Reproduction.objects.get(value=value, state="running")
    assert reproductions.scratch_of(one).is_dir()
    assert reproductions.reproductions_reap() == 0  # not yet silent for long
    Reproduction.objects.filter(pk=one.pk).update(heartbeat_at=timezone.now() - timedelta(minutes=1))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE lake_lease SET expires_at = now() - interval '1 s' WHERE resource LIKE 'evidence/%'")
    sent = OutboxMessage.objects.count()
    assert reproductions.reproductions_reap() == 1
    assert OutboxMessage.objects.count() == sent + 1
    leftover = reproductions.scratch_of(one)
    done = reproductions.reproduction_run(reproduction_id=one.pk)
    assert done is not None
    assert (done.outcome, done.attempts) == ("reproduced", 2)
    reproductions.reproductions_reap()
    assert not leftover.exists()
