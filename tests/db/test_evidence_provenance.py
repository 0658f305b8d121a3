"""The trail of a figure stays exact, whatever came after it: corrections, replays, newer refreshes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from controlplane.evidence.selectors import provenance
from controlplane.lake import services as lake
from pipeline import selectors_trail
from pipeline.models import BronzeFile, KpiValue
from pipeline.services import operations
from pipeline.services.landing import drop_receive
from tests import pipeline_support as support
from tests import pipeline_world as worlds
from tests.pipeline_world import Prepared

DAY = date(2026, 10, 18)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker: Any) -> Iterator[Prepared]:
    with worlds.shared(tmp_path_factory.mktemp("provenance"), django_db_blocker) as made:
        yield made


@pytest.mark.django_db
def test_a_day_without_a_figure_has_no_trail() -> None:
    assert provenance("net_revenue", DAY) is None


def correction(prepared: Prepared, number: int, **values: str) -> BronzeFile:
    """A sold order line of the day sent once more, newer and with other values."""
    with lake.engine().session() as session:
        session.register_table("l", "silver/order_lines")
        session.register_table("f", "gold/fact_order")
        row = session.fetch(
            "SELECT l.order_id, l.line_no, l.sku, l.quantity, l.unit_price, l.gross_amount, l.discount_amount, l.tax_amount,"
            " l.currency, CAST(l.ordered_at AS VARCHAR) AS ordered_at FROM l JOIN f ON f.order_id = l.order_id"
            f" AND f.line_no = l.line_no AND NOT f.is_cancelled AND f.order_date = DATE '{DAY}'"
            " ORDER BY l.order_id, l.line_no LIMIT 1"
        ).to_pylist()[0]
    record = {name: str(value) for name, value in row.items()}
    record["ordered_at"] = record["ordered_at"].replace(" ", "T").replace("+00", "Z")
    record |= {"updated_at": f"2026-11-0{number}T00:00:00Z", "source_seq": f"99999{number}", **values}
    content = f"{','.join(record)}\n{','.join(record.values())}\n".encode()
    drop = drop_receive(dataset="order_lines", filename=f"late_{number}.csv", content=content, source="test")
    support.drain(as_of=prepared.world.as_of)
    assert support.failures() == []
    assert drop.bronze_file is not None
    return drop.bronze_file


def steady(found: dict[str, Any] | None) -> str:
    """The part of the trail that nothing later may change."""
    assert found is not None
    found["figure"].pop("confirmed")
    return json.dumps(found)


def names(found: dict[str, Any] | None, dataset: str) -> set[str]:
    assert found is not None
    (one,) = [one for one in found["datasets"] if one["dataset"] == dataset]
    return {file["logical_id"] for file in one["files"]["listed"]}


def test_an_old_figure_keeps_its_trail_through_corrections_replays_and_refreshes(prepared: Prepared) -> None:
    old = KpiValue.objects.filter(kpi="net_revenue", business_date=DAY).latest("id")
    before = provenance("net_revenue", DAY, value_pk=old.pk)
    assert before is not None
    assert before["exact"]
    late = correction(prepared, 1, discount_amount="0.01")
    new = KpiValue.objects.filter(kpi="net_revenue", business_date=DAY).latest("id")
    assert new.pk != old.pk
    assert late.logical_id in names(provenance("net_revenue", DAY), "order_lines")
    operations.bronze_replay(files=BronzeFile.objects.filter(dataset__in=["order_lines", "orders"]), actor="system:test")
    support.drain(as_of=prepared.world.as_of)
    assert steady(provenance("net_revenue", DAY, value_pk=old.pk)) == steady(before)
    assert late.logical_id not in names(provenance("net_revenue", DAY, at=old.computed_at), "order_lines")


def test_each_hop_names_the_versions_that_it_read(prepared: Prepared) -> None:
    found = selectors_trail.trail(key="net_revenue", day=DAY)
    assert found is not None
    by_name = {one.dataset: one for one in found.datasets}
    mart = by_name["mart_daily_revenue"].steps[0]
    assert found.value.step.inputs == {"mart_daily_revenue": mart.step.table_version}
    fact = next(one for one in by_name["fact_order"].steps if DAY.isoformat() in (one.hop.partitions or ()))
    assert fact.step.pk < mart.step.pk
    assert fact.step.table_version <= mart.step.inputs["fact_order"]
    assert fact.code.text.startswith("-- fact_order")
    assert fact.code.same
    assert fact.verdict == "passing"
    assert set(fact.step.build) == {"code", "commit", "version", "engine"}
    assert by_name["orders"].steps[0].code.same


def test_the_trail_is_plain_json_without_names_of_people(prepared: Prepared) -> None:
    text = json.dumps(provenance("net_revenue", DAY))
    assert "received_by" not in text
    assert "filename" not in text
