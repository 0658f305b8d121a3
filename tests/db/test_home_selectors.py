"""What the home page says."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from controlplane.home import selectors
from pipeline import selectors_kpi
from pipeline.models import DatasetState, KpiValue, StopSwitch
from tests import pages_world

pytestmark = pytest.mark.django_db


def home(role: str = "oncall") -> selectors.Home:
    return selectors.home(username="somebody", roles=frozenset({role}))


def test_six_tiles_stand_in_the_order_of_the_requirements() -> None:
    pages_world.contracts_ready()
    pages_world.figures_made(pages_world.run_made())
    assert [tile.key for tile in home().tiles] == selectors_kpi.KPI_ORDER


def test_a_tile_shows_the_newest_figure_of_a_day_and_compares_it_with_yesterday() -> None:
    pages_world.contracts_ready()
    run = pages_world.run_made()
    step = pages_world.figures_made(run, days=2)["net_revenue"]
    today = selectors_kpi.business_today()
    again = pages_world.step_made(pages_world.run_made(state="failed"), step.dataset)
    for back, value in ((0, 110), (1, 100)):
        KpiValue.objects.create(
            kpi="net_revenue",
            business_date=today - timedelta(days=back),
            value=Decimal(value),
            as_of=timezone.now(),
            computed_at=timezone.now(),
            step=again,
        )
    tile = next(one for one in home().tiles if one.key == "net_revenue")
    assert tile.value == Decimal(110)
    assert tile.change.startswith("+10.0")
    assert (tile.change_kind, tile.change_against) == ("better", "so far, against yesterday")


def test_days_to_come_are_not_shown() -> None:
    pages_world.contracts_ready()
    tomorrow = selectors_kpi.business_today() + timedelta(days=1)
    pages_world.figures_made(pages_world.run_made(), days=3, until=tomorrow)
    for tile in home().tiles:
        assert tile.points_newest[0].day < tomorrow


def test_a_figure_older_than_its_cadence_is_late_and_needs_attention() -> None:
    pages_world.contracts_ready()
    pages_world.figures_made(pages_world.run_made())
    DatasetState.objects.filter(dataset="kpi_net_revenue").update(refreshed_at=timezone.now() - timedelta(minutes=3))
    content = home()
    tile = next(one for one in content.tiles if one.key == "net_revenue")
    assert (tile.freshness, tile.freshness_word) == ("late", "Late by 1 min")
    assert [item.title for item in content.attention if item.state == "late"] == ["Net Revenue is older than promised"]


def test_a_figure_that_was_never_refreshed_is_unknown() -> None:
    pages_world.contracts_ready()
    assert {tile.freshness for tile in home().tiles} == {"unknown"}


def test_everything_that_waits_for_a_person_is_listed() -> None:
    pages_world.world()
    DatasetState.objects.create(dataset="fact_shipment", layer="gold", failures=2)
    StopSwitch.objects.create(scope="returns", reason="the source sends nonsense", stopped_by="ola")
    titles = " | ".join(item.title for item in home().attention)
    for part in (
        "fact_shipment failed 2 times in a row",
        "returns is stopped",
        "1 drop refused in the last 24 hours",
        "12 rejected rows wait",
        "4 rows carry a column no contract knows",
    ):
        assert part in titles


@pytest.mark.parametrize(
    ("role", "question"),
    [
        ("owner", "Are my promises kept?"),
        ("oncall", "What is broken, since when, and what do I press?"),
        ("dpo", "What is due?"),
        ("auditor", "What can I verify?"),
        ("steward", "Which rows wait for me?"),
        ("producer", "Did my drops get in?"),
        ("admin", "What is broken, since when, and what do I press?"),
    ],
)
def test_each_role_finds_the_answer_to_its_first_question(role: str, question: str) -> None:
    pages_world.world(runs=2, rejects=1, quarantined=1)
    block = home(role).block
    assert block is not None
    assert block.question == question
    assert block.rows


def test_the_fingerprint_changes_with_a_figure_and_not_with_the_clock() -> None:
    pages_world.contracts_ready()
    steps = pages_world.figures_made(pages_world.run_made())
    first, second = home().fingerprint(), home().fingerprint()
    assert first == second
    DatasetState.objects.filter(dataset=steps["net_revenue"].dataset).update(refreshed_at=timezone.now())
    assert home().fingerprint() != first
