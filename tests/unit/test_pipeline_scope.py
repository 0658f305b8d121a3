"""Which partitions a change reaches, and what of the inputs they need."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.domain.contract import Contract, Input, Partition
from pipeline.domain import scope

TODAY = date(2026, 11, 24)
DAYS = st.dates(date(2025, 1, 1), TODAY)
WINDOWS = st.tuples(st.integers(-40, 0), st.integers(0, 40))


def contract(kind: str) -> Contract:
    return Contract(
        dataset="kpi", version="1.0.0", layer="gold", domain="d", product="p", title="t", description="", owner="o",
        steward="s", fields=(), key=(), partition=Partition("place", "day", kind),  # type: ignore[arg-type]
    )  # fmt: skip


DAILY, MONTHLY, HASHED = contract("date"), contract("month"), contract("hash")


def touched(by: Contract, one: Input, *values: str) -> list[str]:
    return sorted(scope.outputs_touched(by, one, {"day": values}, today=TODAY))


def test_a_day_touches_its_own_day_and_a_window_those_around_it() -> None:
    assert touched(DAILY, Input("fact", trigger="day"), "2026-11-02") == ["2026-11-02"]
    assert touched(DAILY, Input("fact", trigger="day", trigger_window=(0, 2)), "2026-11-02") == [
        "2026-11-02",
        "2026-11-03",
        "2026-11-04",
    ]


def test_days_to_come_have_no_figures_yet() -> None:
    window = Input("fact", trigger="day", trigger_window=(0, 29))
    assert touched(DAILY, window, "2026-11-23") == ["2026-11-23", "2026-11-24"]
    assert touched(DAILY, window, "2026-12-24") == ["2026-12-24"]  # a promise of a later day still has a row of its own


def test_months_and_buckets() -> None:
    assert touched(MONTHLY, Input("fact", trigger="day"), "2026-10-31", "2026-11-01", "2026-11-30") == [
        "2026-10-01",
        "2026-11-01",
    ]
    assert touched(HASHED, Input("fact", trigger="day"), "0a", "ff") == ["0a", "ff"]


def test_what_does_not_trigger_touches_nothing() -> None:
    assert touched(DAILY, Input("dim"), "2026-11-02") == []
    assert scope.outputs_touched(DAILY, Input("fact", trigger="other"), {"day": ["2026-11-02"]}, today=TODAY) == set()


def test_reads_are_cut_to_a_window_or_are_everything() -> None:
    assert scope.read_values(Input("dim"), ["2026-11-02"]) is None
    assert scope.read_values(Input("fact", read=("day", 0, 0)), ["2026-11-02"]) == ["2026-11-02"]
    assert scope.read_values(Input("fact", read=("day", -1, 0)), ["2026-11-02", "2026-11-03"]) == [
        "2026-11-01",
        "2026-11-02",
        "2026-11-03",
    ]


@given(day=DAYS, window=WINDOWS)
def test_whatever_a_change_reaches_reads_the_change(day: date, window: tuple[int, int]) -> None:
    """The two directions fit: an output that x touches has x among the values it reads."""
    low, high = window
    one = Input("fact", trigger="day", trigger_window=(low, high), read=("day", -high, -low))
    for output in scope.outputs_touched(DAILY, one, {"day": [day.isoformat()]}, today=TODAY):
        assert day.isoformat() in (scope.read_values(one, [output]) or [])
        assert date.fromisoformat(output) <= max(TODAY, day)


@given(st.sets(DAYS, max_size=200), st.integers(1, 62))
def test_slices_cover_every_value_once(days: set[date], size: int) -> None:
    values = {day.isoformat() for day in days}
    slices = scope.chunks(values, size)
    assert [value for one in slices for value in one] == sorted(values)
    assert all(0 < len(one) <= size for one in slices)


def test_predicates_are_typed_and_quoted() -> None:
    assert scope.predicate(Partition("day", "at", "date"), ["2026-11-02", "2026-11-01"]) == (
        "day IN (DATE '2026-11-01', DATE '2026-11-02')"
    )
    assert scope.predicate(Partition("bucket", "id", "hash"), ["a'b"]) == "bucket IN ('a''b')"
    assert scope.predicate(Partition("day", "at", "date"), []) == "1 = 0"
    with pytest.raises(ValueError, match="Invalid isoformat"):
        scope.predicate(Partition("day", "at", "date"), ["2026-11-02'); --"])


@given(DAYS, st.integers(0, 40))
def test_a_window_has_as_many_days_as_it_says(day: date, length: int) -> None:
    old = day - timedelta(days=60)
    one = Input("fact", trigger="day", trigger_window=(0, length))
    assert len(touched(DAILY, one, old.isoformat())) == length + 1
