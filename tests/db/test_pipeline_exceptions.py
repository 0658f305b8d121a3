"""Rows held back, gates that close, steps that fail: seen, kept, and healed when the cause is gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from catalog.selectors import contracts_current
from catalog.services import contract_import
from controlplane.lake import services as lake
from controlplane.outbox.models import OutboxMessage
from pipeline.models import (
    DatasetState,
    Drop,
    DropState,
    HeldState,
    QuarantinedRow,
    Run,
    SilverReject,
    Step,
    StepState,
    Work,
    WorkKind,
)
from pipeline.services import operations, planning, steps
from pipeline.services.landing import drop_receive
from pipeline.services.steps import step_run
from quality.models import QualityResult
from tests import pipeline_support as support
from tests import pipeline_world as worlds
from tests.db.test_pipeline_replay import finish, rows

DAY = "2026-10-18"
CUSTOMER = "cccccccc-0000-4000-8000-000000000001"
STRANGER = "cccccccc-0000-4000-8000-000000000002"
ORDER = "order_id,customer_id,channel_source,region,country,seller_id,status,currency,total_amount,ordered_at,"
ORDER += "promised_delivery_ts,dispatched_at,delivered_at,updated_at,source_seq"
LINE = (
    "order_id,line_no,sku,quantity,unit_price,gross_amount,discount_amount,tax_amount,currency,ordered_at,updated_at,source_seq"
)


def identifier(number: int) -> str:
    return f"dddddddd-0000-4000-8000-{number:012d}"


def order(
    number: int, *, customer: str = CUSTOMER, currency: str = "EUR", amount: str = "10.00", status: str = "placed"
) -> str:
    at = f"{DAY}T10:00:00Z"
    return f"{identifier(number)},{customer},web,FR,FR,,{status},{currency},{amount},{at},2026-10-21T10:00:00Z,,,{at},{number}"


def line(number: int, *, sku: str = "ABC-000001", currency: str = "EUR") -> str:
    at = f"{DAY}T10:00:00Z"
    return f"{identifier(number)},1,{sku},1,10.00,10.00,0.00,2.00,{currency},{at},{at},{number}"


def customer(customer_id: str) -> dict[str, Any]:
    return {
        "customer_id": customer_id,
        "email": "marie.curie@example.fr",
        "first_name": "Marie",
        "last_name": "Curie",
        "phone": "+33612345678",
        "birth_date": "1980-02-03",
        "country": "FR",
        "region": "FR",
        "city": "Paris",
        "postal_code": "75001",
        "loyalty_tier": "gold",
        "segment": "regular",
        "lifetime_value": "12.50",
        "consent": {"marketing": True, "profiling": True, "updated_at": "2026-01-01T00:00:00Z"},
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "source_seq": 1,
    }


def rate(currency: str) -> str:
    return json.dumps(
        {
            "currency": currency,
            "rate_hour": f"{DAY}T09:00:00Z",
            "rate_to_eur": "0.90000000",
            "updated_at": f"{DAY}T09:05:00Z",
            "source_seq": 1,
        }
    )


def send(dataset: str, content: str | bytes, *, settle: bool = True) -> Drop:
    raw = content.encode() if isinstance(content, str) else content
    drop = drop_receive(dataset=dataset, filename="drop", content=raw, source="test")
    if settle:
        support.drain()
    return drop


def csv(header: str, *records: str) -> str:
    return "\n".join([header, *records, ""])


def product_bytes(*skus: str) -> bytes:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    from pipeline.demo.files import PARQUET_SCHEMA

    made = {
        "name": "Cutlery",
        "brand": "Bambu",
        "category": "Home",
        "subcategory": "Table",
        "supplier_id": "S-1",
        "unit_cost": 3,
        "list_price": 10,
        "sustainability_score": 90,
        "material": "bamboo",
        "organic": True,
        "active": True,
        "updated_at": "2026-01-01T00:00:00Z",
        "source_seq": 1,
    }
    buffer = io.BytesIO()
    schema = PARQUET_SCHEMA["products"]
    pq.write_table(pa.Table.from_pylist([{"sku": sku} | made for sku in skus], schema=schema), buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock(), worlds.home(tmp_path_factory.mktemp("exceptions")):
        yield
        worlds.empty()


@pytest.fixture
def company(database: None) -> None:
    """One customer, one product, one supplier, rates of the pound; the shipped contracts."""
    worlds.start_afresh()
    if not contracts_current():
        support.contracts_ready()
    supplier = "supplier_id,name,country,lead_time_days,terms,updated_at,source_seq"
    send("suppliers", csv(supplier, "S-1,Bambu SA,FR,7,net 30,2026-01-01T00:00:00Z,1"), settle=False)
    send("products", product_bytes("ABC-000001"), settle=False)
    send("customers", json.dumps(customer(CUSTOMER)) + "\n", settle=False)
    send("fx_rates", rate("GBP") + "\n")
    assert support.failures() == []


@pytest.fixture
def other_contracts(company: None) -> Iterator[None]:
    """The company, for tests that bring contract versions of their own."""
    yield
    worlds.empty()


@pytest.mark.django_db
def test_an_empty_database_holds_nothing_back() -> None:
    assert worlds.held() == {"rejects": [], "quarantined": []}


def test_a_row_lists_every_rule_it_breaks_and_where_it_came_from(company: None) -> None:
    drop = send("orders", csv(ORDER, order(1), order(2, currency="XXX", amount=""), order(3, status="lost", customer="nobody")))
    assert drop.state == DropState.ACCEPTED
    found = {row.row: row for row in SilverReject.objects.filter(dataset="orders")}
    assert set(found[1].rules) == {"required:total_amount", "enum:currency"}
    assert {"pattern:customer_id", "enum:status"} <= set(found[2].rules)
    assert set(found) == {1, 2}
    assert found[1].bronze_file == drop.bronze_file
    assert found[1].record["currency"] == "XXX"
    assert found[1].step is not None
    assert rows("orders", "SELECT t.order_id, t._bronze_row FROM t") == [{"order_id": identifier(1), "_bronze_row": 0}]


def test_a_row_without_its_reference_heals_when_that_arrives_later(company: None) -> None:
    send("orders", csv(ORDER, order(1, customer=f" {STRANGER} ")))
    assert SilverReject.objects.get().rules == ["reference:customer_id"]
    send("customers", json.dumps(customer(STRANGER)) + "\n")
    reject = SilverReject.objects.get()
    assert (reject.state, reject.resolved_at is not None) == (HeldState.RESOLVED, True)
    assert rows("orders", "SELECT t.customer_id FROM t") == [{"customer_id": STRANGER}]


def test_a_row_that_still_breaks_another_rule_stays_held_with_what_is_left(company: None) -> None:
    send("orders", csv(ORDER, order(1, customer=STRANGER, currency="XXX")))
    assert set(SilverReject.objects.get().rules) == {"reference:customer_id", "enum:currency"}
    send("customers", json.dumps(customer(STRANGER)) + "\n")
    reject = SilverReject.objects.get()
    assert (reject.state, reject.rules, reject.tries) == (HeldState.OPEN, ["enum:currency"], 2)


def contract_text(dataset: str) -> str:
    return (support.CONTRACTS / f"{dataset}.odcs.yaml").read_text()


def test_rejected_rows_go_into_place_once_the_rule_was_mended(other_contracts: None) -> None:
    send("orders", csv(ORDER, order(1, currency="CHF")))
    assert SilverReject.objects.get().rules == ["enum:currency"]
    text = (
        contract_text("orders")
        .replace("{value: GBP}", "{value: GBP}, {value: CHF}")
        .replace("version: 1.0.0", "version: 1.1.0")
    )
    contract_import(text=text, actor="system:test")
    assert operations.rows_reprocess(rows=SilverReject.objects.all(), actor="system:test") == 1
    assert SilverReject.objects.get().state == HeldState.QUEUED
    support.drain()
    assert SilverReject.objects.get().state == HeldState.RESOLVED
    assert rows("orders", "SELECT t.currency FROM t") == [{"currency": "CHF"}]


def test_an_unknown_column_is_held_back_and_put_in_place_by_the_version_that_admits_it(other_contracts: None) -> None:
    send("orders", csv(ORDER, order(1)))
    send("orders", csv(ORDER + ",discount_code", order(2) + ",VIP15", order(3) + ","))
    held = QuarantinedRow.objects.get()
    assert (held.column, held.row, held.state) == ("discount_code", 0, HeldState.OPEN)
    assert held.record["discount_code"] == "VIP15"
    assert rows("orders", "SELECT COUNT(*) AS n FROM t") == [{"n": 3}]
    admitted = """      - name: discount_code
        logicalType: string
        description: Code that the customer gave.
      - name: updated_at
"""
    text = (
        contract_text("orders")
        .replace("      - name: updated_at\n", admitted, 1)
        .replace("version: 1.0.0", "version: 1.1.0", 1)
    )
    contract_import(text=text, actor="system:test")
    assert QuarantinedRow.objects.get().state == HeldState.QUEUED
    support.drain()
    assert support.failures() == []
    assert QuarantinedRow.objects.get().state == HeldState.RESOLVED
    found = {row["order_id"]: row["discount_code"] for row in rows("orders", "SELECT t.order_id, t.discount_code FROM t")}
    assert found == {identifier(1): None, identifier(2): "VIP15", identifier(3): None}
    send("orders", csv(ORDER + ",discount_code", order(4) + ",SPRING5"))
    assert QuarantinedRow.objects.filter(state=HeldState.OPEN).count() == 0


def test_a_file_accepted_before_a_stricter_contract_is_judged_row_by_row(other_contracts: None) -> None:
    """A replay must not stop the dataset because an old file lacks a column that is required today."""
    send("orders", csv(ORDER, order(1)))
    demanded = "      - name: tax_id\n        logicalType: string\n        required: true\n      - name: updated_at\n"
    text = (
        contract_text("orders")
        .replace("      - name: updated_at\n", demanded, 1)
        .replace("version: 1.0.0", "version: 2.0.0", 1)
    )
    contract_import(text=text, actor="system:test")
    file = Drop.objects.get(dataset="orders").bronze_file
    assert file is not None
    operations.bronze_replay(files=[file], actor="system:test")
    support.drain()
    assert support.failures() == []
    assert SilverReject.objects.get().rules == ["required:tax_id"]


def test_a_gold_table_with_too_many_nulls_is_not_published_and_recovers(company: None) -> None:
    send("orders", csv(ORDER, order(1)), settle=False)
    send("order_lines", csv(LINE, line(1)))
    good, version = worlds.served(), lake.table_version("gold/fact_order")
    assert good["mart_daily_revenue"].startswith("1:")
    send("orders", csv(ORDER, order(2, currency="USD")), settle=False)  # no rate for USD is known
    send("order_lines", csv(LINE, line(2, currency="USD")), settle=False)
    run = planning.run_plan(at_once=True)
    assert run is not None
    finish(run)
    run.refresh_from_db()
    step = run.steps.get(dataset="fact_order")
    assert (run.state, step.state, step.attempts) == ("failed", StepState.FAILED, 1)
    assert "null_ratio:fx_rate: 50.00%, allowed 0.50%" in step.error
    assert run.steps.get(dataset="mart_daily_revenue").state == StepState.BLOCKED
    assert run.steps.get(dataset="orders").state == StepState.SUCCEEDED
    assert lake.table_version("gold/fact_order") == version
    assert worlds.served()["mart_daily_revenue"] == good["mart_daily_revenue"]
    state = DatasetState.objects.get(dataset="fact_order")
    assert (state.failures, state.hold_until is not None) == (1, True)
    failing = QualityResult.objects.filter(dataset="gold.fact_order", status="failing")
    assert {one.rule for one in failing} >= {"null_ratio:fx_rate"}
    # Held: a new run takes other work, and leaves this until the pause is over.
    assert not Work.objects.filter(dataset="fact_order", run__isnull=False).exists()
    assert planning.run_plan() is None
    send("fx_rates", rate("USD") + "\n")
    assert lake.table_version("gold/fact_order") == version
    operations.retry(dataset="fact_order", actor="system:test")  # or the pause ends
    support.drain()
    assert Run.objects.latest("id").state == "succeeded"
    assert rows("fact_order", "SELECT COUNT(*) AS n, COUNT(t.fx_rate) AS rates FROM t") == [{"n": 2, "rates": 2}]
    assert worlds.served()["mart_daily_revenue"] != good["mart_daily_revenue"]
    state.refresh_from_db()
    assert (state.failures, state.hold_until) == (0, None)


def broken(step_dataset: str, times: int) -> Any:
    """A ``before_commit`` that fails so many times for one dataset."""
    original = steps.StepContext.before_commit
    left = [times]

    def run(ctx: steps.StepContext) -> None:
        if ctx.step.dataset == step_dataset and left[0] > 0:
            left[0] -= 1
            raise OSError("the disk said 'marie.curie@example.fr'")
        original(ctx)

    return run


def test_a_step_that_fails_is_tried_again_with_growing_pauses(company: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps.StepContext, "before_commit", broken("orders", 2))
    send("orders", csv(ORDER, order(1)), settle=False)
    run = planning.run_plan(at_once=True)
    assert run is not None
    step = run.steps.get(dataset="orders")
    waits = []
    for attempt in (1, 2):
        assert step_run(step_id=step.pk) == StepState.READY
        step.refresh_from_db()
        assert step.attempts == attempt
        assert step.error == "OSError: the disk said "  # without the value
        message = OutboxMessage.objects.filter(payload__kwargs__step_id=step.pk).latest("id")
        waits.append(round((message.due_at - message.created_at).total_seconds()))
    assert waits == [1, 2]
    assert step_run(step_id=step.pk) == StepState.SUCCEEDED
    finish(run)
    assert rows("orders", "SELECT COUNT(*) AS n FROM t") == [{"n": 1}]


def test_a_run_goes_on_from_the_last_good_step_after_one_failed_for_good(
    company: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps.StepContext, "before_commit", broken("fact_order", steps.MAX_ATTEMPTS))
    send("orders", csv(ORDER, order(1)), settle=False)
    send("order_lines", csv(LINE, line(1)), settle=False)
    run = planning.run_plan(at_once=True)
    assert run is not None
    finish(run)
    run.refresh_from_db()
    assert run.steps.get(dataset="fact_order").state == StepState.FAILED
    version = lake.table_version("silver/orders")
    waiting = Work.objects.filter(dataset="fact_order", run__isnull=True)
    assert waiting.exists()
    Step.objects.exclude(error="").update(error="")
    assert operations.retry(dataset="fact_order", actor="system:test") == 1
    (again,) = support.drain()
    assert support.failures() == []
    assert again.steps.get(dataset="fact_order").state == StepState.SUCCEEDED
    assert not again.steps.filter(dataset="orders").exists()  # it was good, and is not done again
    assert lake.table_version("silver/orders") == version
    assert worlds.served()["mart_daily_revenue"].startswith("1:")


def test_the_pause_after_failures_doubles(company: None) -> None:
    step = Step(dataset="orders", layer="silver")
    pauses = []
    for _ in range(3):
        steps._hold(step)
        until = DatasetState.objects.get(dataset="orders").hold_until
        assert until is not None
        pauses.append(round((until - timezone.now()) / timedelta(seconds=1)))
    assert pauses == [15, 30, 60]


def test_a_file_queued_twice_while_its_dataset_is_blocked_is_released_once(
    company: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Customers fail, so orders are blocked; meanwhile somebody asks for a replay of the very file that waits."""
    monkeypatch.setattr(steps.StepContext, "before_commit", broken("customers", steps.MAX_ATTEMPTS))
    drop = send("orders", csv(ORDER, order(1)), settle=False)
    send("customers", json.dumps(customer(STRANGER)) + "\n", settle=False)
    run = planning.run_plan(at_once=True)
    assert run is not None
    assert drop.bronze_file is not None
    assert operations.bronze_replay(files=[drop.bronze_file], actor="system:test") == 1
    finish(run)
    run.refresh_from_db()
    assert run.state == "failed"
    assert run.steps.get(dataset="orders").state == StepState.BLOCKED
    assert Work.objects.filter(dataset="orders", kind=WorkKind.FILE, run__isnull=True).count() == 1


def test_a_stopped_dataset_waits_and_takes_its_work_when_it_goes_on(company: None) -> None:
    operations.stop(scope="orders", reason="the shop migrates", actor="system:test")
    send("orders", csv(ORDER, order(1)))
    assert not lake.table_exists("silver/orders")
    operations.resume(scope="orders", actor="system:test")
    support.drain()
    assert rows("orders", "SELECT COUNT(*) AS n FROM t") == [{"n": 1}]


def test_a_refused_drop_can_be_purged_and_sent_again(company: None) -> None:
    drop = send("orders", "order_id\n1\n")
    assert drop.state == DropState.REFUSED
    assert {fault["place"] for fault in drop.faults} == {"header"}
    kept = lake.store().exists(drop.kept_uri.removeprefix(lake.config().root).lstrip("/"))
    operations.drop_purge(drop=drop, actor="system:test", reason="sent by mistake")
    assert kept
    assert not Drop.objects.filter(pk=drop.pk).exists()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_auditentry WHERE action = 'pipeline.purge'")
        assert cursor.fetchone()[0] == 1
