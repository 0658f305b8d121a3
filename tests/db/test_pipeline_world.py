"""The demo world through the real pipeline: every count and figure as its ground truth says."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from catalog.selectors import contracts_current
from controlplane.lake import services as lake
from pipeline.demo.truth import Truth
from pipeline.demo.world import World
from pipeline.models import Drop, HeldState, KpiValue, QuarantinedRow, Run, SilverReject
from pipeline.services.gold import schema_of
from pipeline.services.steps import table_of
from tests import pipeline_support as support

pytestmark = pytest.mark.django_db(transaction=True)


def rows_of(dataset: str, sql: str) -> list[dict[str, Any]]:
    contract = contracts_current()[dataset]
    with lake.engine("duckdb").session() as session:
        session.register_table("t", table_of(contract), schema=schema_of(contract))
        return list(session.fetch(sql).to_pylist())


def test_the_world_comes_out_as_its_ground_truth_says(tmp_path: Path, lake_home: Path) -> None:
    world = World(11, 6, 60, "steady", date(2026, 11, 20), True)
    truth = world.write(tmp_path / "drops")
    assert truth is not None
    support.contracts_ready()
    support.land(drop.path for drop in world.drops)
    support.drain(as_of=world.as_of)
    assert support.failures() == []
    assert {run.state for run in Run.objects.all()} == {"succeeded"}
    for dataset in truth.datasets:
        found, wanted = observed(dataset), expected(truth, dataset)
        for key in wanted:
            assert found[key] == wanted[key], (dataset, key)
    check_gold(truth)
    check_kpis(truth)


def expected(truth: Truth, dataset: str) -> dict[str, Any]:
    one = truth.datasets[dataset]
    return {
        "accepted": one.drops_accepted,
        "refused": one.drops_refused,
        "duplicate": one.drops_duplicate,
        "landed": one.rows_landed,
        "rejected": one.rows_rejected,
        "rules": dict(one.rejects_by_rule),
        "quarantined": dict(one.quarantined),
        "silver": one.rows_silver,
    }


def observed(dataset: str) -> dict[str, Any]:
    drops = Counter(Drop.objects.filter(dataset=dataset).values_list("state", flat=True))
    rejects = SilverReject.objects.filter(dataset=dataset, state=HeldState.OPEN)
    held = QuarantinedRow.objects.filter(dataset=dataset, state=HeldState.OPEN)
    return {
        "accepted": drops["accepted"],
        "refused": drops["refused"],
        "duplicate": drops["duplicate"],
        "landed": sum(Drop.objects.filter(dataset=dataset, state="accepted").values_list("rows", flat=True)),
        "rejected": rejects.count(),
        "rules": dict(Counter(rule for rules in rejects.values_list("rules", flat=True) for rule in rules)),
        "quarantined": dict(Counter(held.values_list("column", flat=True))),
        "silver": rows_of(dataset, "SELECT COUNT(*) AS n FROM t")[0]["n"],
    }


def check_gold(truth: Truth) -> None:
    orders = truth.gold_rows.pop("fact_order_orders")
    assert rows_of("fact_order", "SELECT COUNT(DISTINCT t.order_id) AS n FROM t")[0]["n"] == orders
    with_lines = truth.gold_rows.pop("fact_fx_adjustment_with_lines")
    assert rows_of("fact_fx_adjustment", "SELECT COUNT(*) AS n FROM t WHERE t.adjustment_amount <> 0")[0]["n"] <= with_lines
    for dataset, rows in truth.gold_rows.items():
        assert rows_of(dataset, "SELECT COUNT(*) AS n FROM t")[0]["n"] == rows, dataset
    measured: dict[str, dict[str, Any]] = {}
    for row in rows_of(
        "mart_daily_revenue",
        "SELECT t.order_date, t.channel_source, t.region, t.orders, t.lines, t.gross_amount AS gross,"
        " t.discount_amount AS discounts, t.tax_amount AS taxes, t.refund_amount AS refunds, t.net_revenue FROM t",
    ):
        measured[f"{row.pop('order_date')}|{row.pop('channel_source')}|{row.pop('region')}"] = row
    assert measured == truth.daily_revenue


def check_kpis(truth: Truth) -> None:
    for kpi, days in truth.kpis.items():
        newest: dict[str, KpiValue] = {}
        for value in KpiValue.objects.filter(kpi=kpi).order_by("id"):
            newest[value.business_date.isoformat()] = value
        found = {day: (value.value, value.numerator, value.denominator) for day, value in newest.items() if day in days}
        wanted = {day: (one.value, one.numerator, one.denominator) for day, one in days.items()}
        assert found == wanted, kpi
