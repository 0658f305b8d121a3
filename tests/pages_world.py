"""Rows that the pages show, without running the pipeline: contracts, runs, drops, held rows, figures."""

from __future__ import annotations

import hashlib
import math
import uuid
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.utils import timezone

from catalog.selectors import contracts_current
from catalog.services import contracts_sync
from controlplane.accounts import services as accounts
from controlplane.accounts.models import User
from pipeline.domain.code import ROOT
from pipeline.models import (
    BronzeFile,
    DatasetState,
    Drop,
    KpiValue,
    PartitionSource,
    PartitionWrite,
    QuarantinedRow,
    Run,
    SilverReject,
    Step,
)
from pipeline.selectors_kpi import business_today

PASSWORD = "a-long-password-for-tests"
LONG = (
    "orders_export_of_the_marketplace_sellers_in_the_middle_east_region_second_attempt_after_correction_2026-11-24T101500Z.csv"
)

VALUES = {
    "net_revenue": ("184220.55", 9000.0),
    "conversion_rate": ("0.031234", 0.003),
    "fulfilment_sla": ("0.943000", 0.02),
    "return_rate": ("0.081500", 0.004),
    "csat_index": ("78.40", 3.0),
    "inventory_risk": ("0.063000", 0.01),
}


def person(role: str, *, username: str = "", password: str | None = PASSWORD) -> User:
    """Somebody with the role; ``password=None`` (nobody signs in with it) spares the hashing."""
    return accounts.user_create(username=username or f"{role}-person", password=password, roles=[role], actor="system:test")


def contracts_ready() -> None:
    report = contracts_sync(folder=ROOT / "pipeline" / "contracts", actor="system:test")
    assert not report.refused


def run_made(*, state: str = "succeeded", ago_s: float = 30.0, trigger: str = "3 new drops", took_s: float = 4.2) -> Run:
    started = timezone.now() - timedelta(seconds=ago_s)
    return Run.objects.create(
        state=state,
        trigger=trigger,
        environment="qa",
        correlation_id=uuid.uuid4().hex,
        as_of=started,
        started_at=started,
        finished_at=None if state == "running" else started + timedelta(seconds=took_s),
        drops=3,
        code_version="0123456789abcdef",
    )


def step_made(run: Run, dataset: str, *, state: str = "succeeded", layer: str | None = None, **values: object) -> Step:
    contract = contracts_current().get(dataset)
    done = state in ("succeeded", "failed")
    return Step.objects.create(
        run=run,
        dataset=dataset,
        layer=layer or (contract.layer if contract else "silver"),
        state=state,
        attempts=1 if state != "waiting" else 0,
        started_at=run.started_at if state not in ("waiting", "ready") else None,
        finished_at=run.started_at + timedelta(seconds=2.5) if done else None,
        table_version=7 if state == "succeeded" else None,
        contract_version=contract.version if contract else "",
        **values,
    )


def writes_made(step: Step, *, days: int = 62) -> None:
    """The step replaced these days of its table."""
    today = business_today()
    PartitionWrite.objects.bulk_create(
        PartitionWrite(dataset=step.dataset, partition=str(today - timedelta(days=back)), table_version=7, step=step)
        for back in range(days)
    )


def file_made(dataset: str = "orders", *, filename: str = "orders_2026-11-24.csv", rows: int = 240) -> BronzeFile:
    digest = hashlib.sha256(uuid.uuid4().bytes).hexdigest()
    return BronzeFile.objects.create(
        logical_id=f"{dataset}-{digest[:32]}",
        dataset=dataset,
        uri=f"s3://bronze/{dataset}/2026/11/{dataset}-{digest[:32]}.csv",
        decoded_uri=f"s3://bronze/decoded/{digest[:32]}.parquet",
        sha256=digest,
        size_bytes=48_213,
        rows=rows,
        columns=["order_id", "customer_id", "total_amount"],
        schema_hash=digest,
        contract_version="1.0.0",
        source="folder",
        filename=filename,
        received_at=timezone.now() - timedelta(minutes=4),
        correlation_id=uuid.uuid4().hex,
    )


def drop_made(file: BronzeFile | None = None, *, state: str = "accepted", **values: object) -> Drop:
    identity = uuid.uuid4().hex
    given: dict[str, object] = {
        "dataset": file.dataset if file else "orders",
        "filename": file.filename if file else "orders_2026-11-24.csv",
        "source": "folder",
        "sha256": file.sha256 if file else hashlib.sha256(identity.encode()).hexdigest(),
        "size_bytes": 48_213,
        "rows": file.rows if file else None,
        "state": state,
        "spool_path": "/nowhere",
        "bronze_file": file,
        "correlation_id": identity,
        "identity": identity,
        "checked_at": timezone.now(),
    }
    return Drop.objects.create(**(given | values))


def refused_drop() -> Drop:
    return drop_made(
        state="refused",
        filename="orders_cut.csv",
        kept_uri="s3://lake/refused/orders/orders_cut.csv",
        faults=[
            {
                "place": "record 118",
                "reason": "the line ends inside a quoted value",
                "mend": "Export the file again, it is cut.",
            },
            {"place": "header", "reason": "the column total_amount is missing", "mend": "Add it; the contract requires it."},
        ],
    )


def reject_made(file: BronzeFile, *, row: int = 17, rules: list[str] | None = None, step: Step | None = None) -> SilverReject:
    return SilverReject.objects.create(
        dataset=file.dataset,
        bronze_file=file,
        row=row,
        step=step,
        rules=rules or ["required:total_amount"],
        record={
            "order_id": "0b0f6d0a-2f0e-4a53-8e0b-5bd1c1b6a001",
            "customer_id": "Zoë Almeida's secret id",
            "total_amount": "",
            "currency": "EUR",
        },
    )


def quarantined_made(file: BronzeFile, *, row: int = 5) -> QuarantinedRow:
    return QuarantinedRow.objects.create(
        dataset=file.dataset,
        bronze_file=file,
        row=row,
        column="discount_code",
        record={"order_id": "0b0f6d0a-2f0e-4a53-8e0b-5bd1c1b6a002", "discount_code": "NOEL-FOR-ZOË"},
    )


def figures_made(
    run: Run, *, days: int = 30, until: date | None = None, computed_at: datetime | None = None
) -> dict[str, Step]:
    """A figure for each KPI and day, with the steps that published them, all fresh."""
    today = until or business_today()
    steps: dict[str, Step] = {}
    for contract in contracts_current().values():
        if contract.kpi is None:
            continue
        step = step_made(run, contract.dataset, rows_out=days, partitions=[today.isoformat()])
        steps[contract.kpi.key] = step
        base, swing = VALUES.get(contract.kpi.key, ("10", 1.0))
        KpiValue.objects.bulk_create(
            KpiValue(
                kpi=contract.kpi.key,
                business_date=today - timedelta(days=back),
                value=Decimal(base) + Decimal(str(round(swing * math.sin(back / 2.1 + len(contract.kpi.key)), 6))),
                numerator=Decimal(base) * 1000,
                denominator=Decimal(1000),
                as_of=run.as_of,
                computed_at=computed_at or timezone.now(),
                step=step,
            )
            for back in range(days)
        )
        DatasetState.objects.update_or_create(
            dataset=contract.dataset, defaults={"layer": "gold", "refreshed_at": timezone.now(), "last_step": step}
        )
    return steps


def world(*, runs: int = 8, rejects: int = 12, quarantined: int = 4) -> None:
    """Enough of everything for every page."""
    contracts_ready()
    for number in range(runs, 0, -1):
        run = run_made(ago_s=40.0 * number, state="failed" if number == 3 else "succeeded", trigger=f"{number} new drops")
        for dataset in ("orders", "order_lines", "customers"):
            step_made(run, dataset, rows_in=2400, rows_out=2381, rows_rejected=12 if dataset == "orders" else 0)
        step_made(run, "fact_order", rows_in=2400, rows_out=5210)
        if number == 3:
            step_made(run, "fact_shipment", state="failed", error="GateBlocked: not published, null ratio of due_date is 1.2 %")
    last = Run.objects.order_by("-started_at").first()
    assert last is not None
    step = last.steps.get(dataset="orders")
    for dataset in ("orders", "order_lines", "inventory", "fact_order", "fact_inventory", "mart_daily_revenue"):
        writes_made(last.steps.filter(dataset=dataset).first() or step_made(last, dataset, rows_out=100))
    today = business_today()
    for dataset in ("orders", "order_lines"):
        for number in range(3):
            file = file_made(dataset, filename=LONG if number == 2 else f"{dataset}_{number}.csv")
            drop_made(file)
            step.bronze_files.add(file)
            for back in range(3):
                PartitionSource.objects.create(
                    dataset=dataset, partition=str(today - timedelta(days=back)), bronze_file=file, step=step, rows=80
                )
    file = BronzeFile.objects.filter(dataset="orders").latest("id")
    for number in range(rejects):
        reject_made(
            file,
            row=number,
            step=step,
            rules=["required:total_amount"] if number % 3 else ["enum:currency", "reference:customer_id"],
        )
    for number in range(quarantined):
        quarantined_made(file, row=number)
    refused_drop()
    figures_made(last)
