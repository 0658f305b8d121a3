"""Numbers, times and states as people read them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from controlplane.ui import formats
from controlplane.ui.csv import cell
from controlplane.ui.sparkline import Point, spark
from controlplane.ui.states import STATES, look


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (Decimal("184220.55"), "EUR", "€ 184,221"),
        (Decimal("9.5"), "EUR", "€ 9.50"),
        (Decimal("0.031234"), "ratio", "3.12 %"),
        (Decimal("0.943"), "ratio", "94.3 %"),
        (Decimal("78.4"), "index", "78.4"),
        (Decimal(3), "files", "3 files"),
        (None, "EUR", "not defined"),
    ],
)
def test_a_figure_carries_its_unit_and_none_is_not_defined(value: Decimal | None, unit: str, shown: str) -> None:
    assert formats.with_unit(value, unit).replace(formats.THIN, " ") == shown


def test_shares_change_in_points_and_money_in_per_cent() -> None:
    assert formats.change(Decimal("0.0332"), Decimal("0.0319"), "ratio") == (f"+0.13{formats.THIN}pp", 1)
    assert formats.change(Decimal(99), Decimal(100), "EUR") == (f"−1.0{formats.THIN}%", -1)
    assert formats.change(Decimal(100), Decimal(100), "EUR") == (f"±0.0{formats.THIN}%", 0)


def test_there_is_no_change_against_nothing() -> None:
    assert formats.change(Decimal(1), None, "EUR") is None
    assert formats.change(Decimal(1), Decimal(0), "EUR") is None


def test_a_moment_is_told_in_utc_and_local_time_with_the_day_when_it_differs() -> None:
    moment = datetime(2026, 11, 24, 23, 30, 5, tzinfo=UTC)
    assert formats.exact(moment, "Europe/Paris") == "2026-11-24 23:30:05 UTC · 2026-11-25 00:30:05 Europe/Paris"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0 s"), (4.21, "4.2 s"), (75, "1 min 15 s"), (3600, "1 h"), (90_061, "1 d 1 h"), (9.97, "10 s")]
)
def test_durations_use_two_units_at_most(seconds: float, shown: str) -> None:
    assert formats.duration(seconds) == shown
    assert formats.duration(timedelta(seconds=seconds)) == shown


def test_a_trend_breaks_where_a_day_has_no_value_and_says_so() -> None:
    days = [Point(date(2026, 11, 1) + timedelta(days=n), Decimal(n) if n != 2 else None) for n in range(5)]
    drawn = spark(days, "EUR")
    assert drawn.line.count("M") == 2
    assert "lowest € 0.00" in drawn.summary.replace(formats.THIN, " ")
    assert "1 without a value" in drawn.summary


def test_the_running_day_is_drawn_dashed() -> None:
    days = [Point(date(2026, 11, n), Decimal(n), provisional=n == 3) for n in (1, 2, 3)]
    drawn = spark(days, "EUR")
    assert drawn.provisional
    assert drawn.line.count("L") == 1


def test_a_trend_of_nothing_draws_nothing() -> None:
    drawn = spark([Point(date(2026, 11, 1), None)], "EUR")
    assert drawn.dot is None
    assert drawn.summary == "No values yet."


def test_unknown_is_never_green() -> None:
    assert look("unknown").tone == "idle"
    assert look("a state nobody has named").tone == "idle"


def test_every_state_has_an_icon_and_a_word() -> None:
    from controlplane.ui.icons import PATHS

    assert all(one.icon in PATHS and one.word for one in STATES.values())


def test_a_spreadsheet_cannot_be_tricked_into_a_formula() -> None:
    assert cell("=HYPERLINK(1)") == "'=HYPERLINK(1)"
    assert cell(-3) == -3
