"""The Gold SQL, over the world's Silver as the ground truth reads it, gives the ground truth's figures: two implementations
that share no code must agree on every day."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from pipeline.demo.clock import paris_day
from pipeline.demo.truth import Row, Silver, Truth, compute, read
from pipeline.demo.truth_rules import DATASETS
from pipeline.demo.world import World
from tests.unit import gold_harness as gold

# Long enough for four weeks of demand, for revised rates and refunds; a Sunday with the end of summer time lies within.
DAYS, END = 34, datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def _columns(silver: Silver) -> dict[str, pa.Table]:
    """Silver as the Arrow tables that Gold reads; the token of a customer is the id itself here."""
    found = {}
    for spec in DATASETS:
        wanted = set(pa.schema(gold.table(spec.name, ()).schema).names)
        moments = {one.name for one in spec.fields if one.kind == "timestamp"}
        rows = []
        for row in silver[spec.name].values():
            made: Row = {}
            for name, value in row.items():
                out = name.replace(".", "_")
                if out in wanted:
                    made[out] = datetime.fromtimestamp(value, UTC) if name in moments and value is not None else value
            for derived, source in (
                ("order_date", "ordered_at"),
                ("due_date", "promised_delivery_ts"),
                ("initiated_date", "initiated_at"),
                ("opened_date", "opened_at"),
                ("session_date", "started_at"),
                ("rate_date", "rate_hour"),
            ):
                if derived in wanted and row.get(source) is not None:
                    made[derived] = paris_day(row[source])
            if "customer_token" in wanted:
                made["customer_token"] = row["customer_id"]
            if "bucket" in wanted:
                made["bucket"] = "0"
            rows.append(made)
        found[spec.name] = gold.table(spec.name, rows)
    return found


@pytest.fixture(scope="module")
def world_truth(tmp_path_factory: pytest.TempPathFactory) -> tuple[Truth, dict[str, pa.Table]]:
    world = World(23, DAYS, 40, "steady", END)
    world.write(tmp_path_factory.mktemp("gold"), truth=False)
    tables = _columns(read(world.drops)[1])
    for name in (
        *("dim_fx_rate", "dim_customer", "dim_product", "dim_channel", "fact_order", "fact_shipment", "fact_session"),
        *("fact_returns", "fact_support_case", "fact_inventory", "fact_fx_adjustment", "mart_daily_revenue"),
        *("mart_merchandising_margin", "kpi_net_revenue", "kpi_conversion_rate", "kpi_fulfilment_sla", "kpi_return_rate"),
        *("kpi_csat_index", "kpi_inventory_risk"),
    ):
        contract = gold.contracts()[name]
        inputs = {one.dataset: tables[one.dataset] for one in contract.inputs}
        tables[name] = gold.run_table(name, inputs, _scope(contract.partition), as_of=END)
    return compute(world.drops, as_of=world.as_of), tables


def _scope(partition: Any) -> list[Any]:
    if partition is None:
        return []
    if partition.kind == "hash":
        return ["0"]
    last = date(2026, 12, 5)
    return [last - timedelta(days=back) for back in range(DAYS + 120)]


@pytest.mark.parametrize(
    "kpi", ["net_revenue", "conversion_rate", "fulfilment_sla", "return_rate", "csat_index", "inventory_risk"]
)
def test_a_kpi_is_the_same_on_every_day(world_truth: tuple[Truth, dict[str, pa.Table]], kpi: str) -> None:
    truth, tables = world_truth
    found = {
        row["business_date"].isoformat(): (row["value"], row["numerator"], row["denominator"])
        for row in tables[f"kpi_{kpi}"].to_pylist()
    }
    expected = {day: (one.value, one.numerator, one.denominator) for day, one in truth.kpis[kpi].items()}
    assert len(expected) > 20
    assert found == expected


@pytest.mark.parametrize(
    "fact",
    [
        *("dim_customer", "dim_product", "dim_channel", "fact_order", "fact_shipment", "fact_session", "fact_returns"),
        *("fact_support_case", "fact_inventory", "fact_fx_adjustment", "mart_daily_revenue", "mart_merchandising_margin"),
    ],
)
def test_a_table_has_as_many_rows(world_truth: tuple[Truth, dict[str, pa.Table]], fact: str) -> None:
    truth, tables = world_truth
    assert tables[fact].num_rows == truth.gold_rows[fact] > 0


def test_every_cell_of_the_daily_revenue_is_the_same(world_truth: tuple[Truth, dict[str, pa.Table]]) -> None:
    truth, tables = world_truth
    columns = ("orders", "lines", "gross_amount", "discount_amount", "tax_amount", "refund_amount", "net_revenue")
    found = {
        f"{row['order_date']}|{row['channel_source']}|{row['region']}": tuple(row[name] for name in columns)
        for row in tables["mart_daily_revenue"].to_pylist()
    }
    assert found == {cell: tuple(measures.values()) for cell, measures in truth.daily_revenue.items()}


def test_exchange_adjustments_and_margins_are_the_same_on_every_day(world_truth: tuple[Truth, dict[str, pa.Table]]) -> None:
    truth, tables = world_truth
    amounts: dict[str, Decimal] = defaultdict(Decimal)
    for row in tables["fact_fx_adjustment"].to_pylist():
        amounts[row["adjustment_date"].isoformat()] += row["adjustment_amount"]
    assert amounts == {day: one["amount"] for day, one in truth.gold_by_date["fact_fx_adjustment"].items()}
    assert any(amounts.values())
    margins: dict[str, Decimal] = defaultdict(Decimal)
    for row in tables["mart_merchandising_margin"].to_pylist():
        margins[row["order_date"].isoformat()] += row["margin_amount"]
    assert margins == {day: one["margin_amount"] for day, one in truth.gold_by_date["margin"].items()}


def test_every_order_line_finds_its_customer_and_its_product(world_truth: tuple[Truth, dict[str, pa.Table]]) -> None:
    _, tables = world_truth
    for row in tables["fact_order"].select(["customer_valid_from", "product_valid_from", "fx_rate"]).to_pylist():
        assert None not in row.values()
