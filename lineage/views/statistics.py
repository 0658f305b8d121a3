"""Figures of a dataset over time, for charts with their tables, and the newest verdict of each check."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from controlplane.ui.formats import bytes_size, iso, number
from lineage.domain import reading
from lineage.models import RunFacet

WORDS = {
    "rowCount": "Rows",
    "size": "Size",
    "fileCount": "Files",
    "bytes": "Size",
    "lastUpdated": "Last updated",
}
SIDES = {1: "read", 2: "written"}
SIZES = {"size", "bytes"}
POINTS_MAX, CHARTS_MAX = 120, 24


@dataclass(frozen=True)
class Point:
    at: datetime
    value: float
    text: str


@dataclass
class Chart:
    """One figure over time, oldest first. ``data`` is what the drawing script reads."""

    key: str
    title: str
    points: list[Point] = field(default_factory=list)

    @property
    def newest(self) -> list[Point]:
        return self.points[::-1]

    @property
    def summary(self) -> str:
        values = [point.value for point in self.points]
        low, high = min(self.points, key=lambda point: point.value), max(self.points, key=lambda point: point.value)
        return f"{len(values)} values, from {low.text} to {high.text}, the newest {self.points[-1].text}"

    @property
    def data(self) -> dict[str, Any]:
        return {"labels": [iso(point.at) for point in self.points], "values": [point.value for point in self.points]}


@dataclass(frozen=True)
class Check:
    assertion: reading.Assertion
    at: datetime
    run_id: Any


def charts(facets: Iterable[RunFacet]) -> list[Chart]:
    """A chart per figure and side, of statistics and quality metrics; single columns' figures are named after them."""
    found: dict[tuple[int, str], Chart] = {}
    for facet in facets:
        if facet.name == "dataQualityAssertions":
            continue
        named = dict(reading.figures(facet.body))
        for column, metrics in reading.column_figures(facet.body):
            named |= {f"{column} {name}": value for name, value in reading.figures(metrics).items()}
        for name, value in named.items():
            chart = found.setdefault((facet.direction, name), Chart(f"{facet.direction}-{name}", _title(name, facet.direction)))
            chart.points.append(Point(facet.event_time, value, figure(name, value)[1]))
    for chart in found.values():
        chart.points = chart.points[-POINTS_MAX:]
    ordered = sorted(found.items(), key=lambda item: (-item[0][0], " " in item[0][1], item[0][1]))
    return [chart for _, chart in ordered[:CHARTS_MAX]]


def figure(name: str, value: float) -> tuple[str, str]:
    """A figure's word and how its value is written."""
    text = bytes_size(value) if name in SIZES else number(value, 0 if value == int(value) else 3)
    return WORDS.get(name, name), text


def checks(facets: Iterable[RunFacet]) -> list[Check]:
    """The newest verdict of each check, failing ones first."""
    found: dict[tuple[str, str], Check] = {}
    for facet in facets:
        if facet.name == "dataQualityAssertions":
            for one in reading.assertions(facet.body):
                found[one.name, one.column] = Check(one, facet.event_time, facet.run_id)
    return sorted(found.values(), key=lambda item: (item.assertion.success, item.assertion.name, item.assertion.column))


def _title(name: str, direction: int) -> str:
    return f"{WORDS.get(name, name)} {SIDES.get(direction, '')}".strip()
