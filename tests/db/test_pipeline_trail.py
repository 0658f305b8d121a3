"""From a figure to its raw files."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from pipeline import selectors_trail
from pipeline.models import KpiValue, PartitionSource, Step
from pipeline.selectors_kpi import business_today
from tests import pages_world

pytestmark = pytest.mark.django_db


def test_a_figure_leads_to_the_files_of_its_day() -> None:
    pages_world.world()
    found = selectors_trail.trail(key="net_revenue", day=business_today())
    assert found is not None
    layers = {one.dataset: one.layer for one in found.datasets}
    assert layers["mart_daily_revenue"] == layers["fact_order"] == "gold"
    orders = next(one for one in found.silver if one.dataset == "orders")
    assert orders.partitions == {business_today().isoformat()}
    assert (orders.files.total, orders.files.rows_total) == (3, 240)
    assert all(len(file.sha256) == 64 and file.uri.startswith("s3://") for file in orders.files.listed)
    assert orders.step is not None


def test_a_window_widens_what_is_read_upstream() -> None:
    pages_world.world()
    found = selectors_trail.trail(key="inventory_risk", day=business_today())
    assert found is not None
    facts = next(one for one in found.datasets if one.dataset == "fact_order")
    assert facts.partitions is not None
    assert len(facts.partitions) == 28
    assert business_today().isoformat() not in facts.partitions


def test_files_that_came_later_than_the_figure_are_no_part_of_it() -> None:
    pages_world.world()
    later = pages_world.step_made(pages_world.run_made(state="failed"), "orders")
    PartitionSource.objects.create(
        dataset="orders", partition=business_today().isoformat(), bronze_file=pages_world.file_made(), step=later, rows=5
    )
    found = selectors_trail.trail(key="net_revenue", day=business_today())
    assert found is not None
    assert next(one for one in found.silver if one.dataset == "orders").files.total == 3


def test_the_figure_as_it_was_known_at_a_moment() -> None:
    pages_world.world()
    today = business_today()
    before = KpiValue.objects.get(kpi="net_revenue", business_date=today)
    KpiValue.objects.filter(pk=before.pk).update(computed_at=timezone.now() - timedelta(hours=1))
    step = Step.objects.filter(dataset="fact_order").latest("id")
    newer = KpiValue.objects.create(
        kpi="net_revenue", business_date=today, value=Decimal(1), as_of=timezone.now(), computed_at=timezone.now(), step=step
    )
    now = selectors_trail.trail(key="net_revenue", day=today)
    then = selectors_trail.trail(key="net_revenue", day=today, at=timezone.now() - timedelta(minutes=30))
    assert now is not None
    assert then is not None
    assert (now.value, then.value) == (newer, before)
    assert selectors_trail.trail(key="net_revenue", day=today, at=timezone.now() - timedelta(hours=2)) is None


def test_a_day_without_a_figure_has_no_trail() -> None:
    pages_world.contracts_ready()
    assert selectors_trail.trail(key="net_revenue", day=business_today()) is None


def test_a_file_counts_with_what_it_had_brought_by_then() -> None:
    """Records let go later come on top; a whole judgement replaces what was before; nothing reaches back to older figures."""
    pages_world.world()
    today = business_today().isoformat()
    file = pages_world.file_made(filename="late.csv")
    expected = []
    for rows, whole, now in ((80, True, 80), (3, False, 83), (70, True, 70), (0, True, 0)):
        run = pages_world.run_made()
        step = pages_world.step_made(run, "orders")
        PartitionSource.objects.create(dataset="orders", partition=today, bronze_file=file, step=step, rows=rows, whole=whole)
        for dataset in ("orders", "fact_order", "mart_daily_revenue"):
            pages_world.writes_made(run.steps.filter(dataset=dataset).first() or pages_world.step_made(run, dataset), days=1)
        expected.append((pages_world.figures_made(run, days=1)["net_revenue"], now))
    for step, rows in expected:
        found = selectors_trail.trail_of(step.kpi_values.get())
        assert found is not None
        orders = next(one for one in found.silver if one.dataset == "orders")
        assert {one.pk: one.rows for one in orders.files.listed}.get(file.pk, 0) == rows
