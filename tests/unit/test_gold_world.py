"""Gold SQL over a demo world agrees with the ground truth, and is the same partition by partition as all at once."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from pipeline.demo.truth import Truth
from pipeline.demo.world import World
from tests.unit.gold_harness import contracts, gold_contracts, run_table
from tests.unit.gold_world import bag, cut, gold_tables, silver_tables

END = date(2026, 11, 8)  # the clocks go back on 25 October
DAYS = 36
FIRST, LAST = END - timedelta(days=DAYS + 100), END + timedelta(days=40)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(23, DAYS, 40, "steady", END)
    made.write(tmp_path_factory.mktemp("world"))
    return made


@pytest.fixture(scope="module")
def truth(world: World) -> Truth:
    return Truth.load(world.drops[0].path.parent.parent / "truth.json")


@pytest.fixture(scope="module")
def tables(world: World) -> dict[str, pa.Table]:
    return gold_tables(silver_tables(world.drops), FIRST, LAST, world.as_of)


@pytest.mark.parametrize("kpi", [contract.kpi.key for contract in gold_contracts() if contract.kpi])
def test_every_kpi_of_every_day_is_what_the_ground_truth_says(kpi: str, tables: dict[str, pa.Table], truth: Truth) -> None:
    found = {
        row["business_date"].isoformat(): (row["value"], row["numerator"], row["denominator"])
        for row in tables[f"kpi_{kpi}"].to_pylist()
    }
    assert found == {day: (one.value, one.numerator, one.denominator) for day, one in truth.kpis[kpi].items()}


def test_tables_have_as_many_rows_as_the_ground_truth_says(tables: dict[str, pa.Table], truth: Truth) -> None:
    found = {name: tables[name].num_rows for name in truth.gold_rows if name in tables}
    assert len(found) >= 12
    assert found == {name: truth.gold_rows[name] for name in found}


def test_daily_revenue_has_the_cells_of_the_ground_truth(tables: dict[str, pa.Table], truth: Truth) -> None:
    names = {
        "gross": "gross_amount", "discounts": "discount_amount", "taxes": "tax_amount", "refunds": "refund_amount",
        "orders": "orders", "lines": "lines", "net_revenue": "net_revenue",
    }  # fmt: skip
    found = {
        f"{row['order_date'].isoformat()}|{row['channel_source']}|{row['region']}": {a: row[b] for a, b in names.items()}
        for row in tables["mart_daily_revenue"].to_pylist()
    }
    assert found == truth.daily_revenue


def test_margin_and_adjustments_have_the_sums_of_the_ground_truth(tables: dict[str, pa.Table], truth: Truth) -> None:
    margins = _sums(tables["mart_merchandising_margin"], "order_date", ("net_revenue_amount", "cost_amount", "margin_amount"))
    assert margins == truth.gold_by_date["margin"]
    adjusted = _sums(tables["fact_fx_adjustment"], "adjustment_date", ("adjustment_amount",))
    expected = truth.gold_by_date["fact_fx_adjustment"]
    assert {day: sums["adjustment_amount"] for day, sums in adjusted.items()} == {
        day: sums["amount"] for day, sums in expected.items()
    }
    assert any(sums["amount"] for sums in expected.values()), "the world corrects rates that orders were converted with"


def _sums(rows: pa.Table, day: str, measures: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = defaultdict(lambda: dict.fromkeys(measures, Decimal("0.00")))
    for row in rows.to_pylist():
        for name in measures:
            found[row[day].isoformat()][name] += row[name]
    return dict(found)


@pytest.mark.parametrize("dataset", [contract.dataset for contract in gold_contracts() if contract.partition])
def test_a_partition_computed_from_its_windows_alone_is_the_same_as_in_a_full_rebuild(
    dataset: str, tables: dict[str, pa.Table], world: World
) -> None:
    contract = contracts()[dataset]
    assert contract.partition is not None
    column = contract.partition.column
    whole: dict[Any, Any] = defaultdict(list)
    for row in tables[dataset].to_pylist():
        whole[row[column]].append(row)
    places = sorted(whole)
    chosen = places if contract.partition.kind == "month" else [places[0], *places[2:-1:9], *places[-2:]]
    for place in chosen:
        alone = run_table(dataset, cut(contract, tables, [place]), [place], as_of=world.as_of)
        assert bag(alone) == bag(pa.Table.from_pylist(whole[place], schema=alone.schema)), place
    together = run_table(dataset, cut(contract, tables, chosen), chosen, as_of=world.as_of)
    expected = pa.Table.from_pylist([row for place in chosen for row in whole[place]], schema=together.schema)
    assert bag(together) == bag(expected), "partitions far apart, computed at once"


def test_keys_are_unique_and_required_columns_are_filled(tables: dict[str, pa.Table]) -> None:
    for contract in gold_contracts():
        rows = tables[contract.dataset]
        assert rows.num_rows, contract.dataset
        keys = list(zip(*(rows[name].to_pylist() for name in contract.key), strict=True))
        assert len(set(keys)) == len(keys), contract.dataset
        empty = [one.name for one in contract.fields if one.required and rows[one.name].null_count]
        assert not empty, (contract.dataset, empty)


def test_no_recommendation_goes_to_a_customer_without_both_consents(tables: dict[str, pa.Table]) -> None:
    profiles = {row["customer_token"]: row for row in tables["mart_customer_profile"].to_pylist()}
    found = tables["mart_loyalty_recommendations"].to_pylist()
    assert found
    for row in found:
        profile = profiles[row["customer_token"]]
        assert profile["consent_marketing"]
        assert profile["consent_profiling"]
        assert row["bundle_sku"] != row["last_sku"]


def test_customer_profiles_add_up_to_the_facts(tables: dict[str, pa.Table]) -> None:
    lines = [row for row in tables["fact_order"].to_pylist() if not row["is_cancelled"]]
    profiles = tables["mart_customer_profile"].to_pylist()
    assert sum(row["orders"] for row in profiles) == len({row["order_id"] for row in lines})
    assert sum(row["net_revenue_amount"] for row in profiles) == sum(row["net_revenue_amount"] for row in lines)
    known = [row for row in tables["fact_support_case"].to_pylist() if row["customer_token"]]
    assert sum(row["cases"] for row in profiles) == len(known)
    of_orders = {row["order_id"] for row in lines}
    parcels = [row for row in tables["fact_shipment"].to_pylist() if row["order_id"] in of_orders]
    assert sum(row["shipments"] for row in profiles) == len(parcels)
    assert sum(row["late_shipments"] for row in profiles) == sum(row["is_late"] for row in parcels)
