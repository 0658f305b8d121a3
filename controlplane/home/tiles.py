"""KPI tiles: a figure, what it changed, its trend, and whether it is as fresh as promised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.urls import reverse

from controlplane.ui import formats
from controlplane.ui.sparkline import Point, Spark, spark
from pipeline.selectors_kpi import KpiReading

DATA_DAYS = 14


@dataclass(frozen=True)
class Tile:
    """What ``ui/kpi_tile.html`` draws."""

    key: str
    title: str
    unit: str
    url: str
    value: Decimal | None
    change: str
    change_direction: int
    change_kind: str
    change_word: str
    change_against: str
    spark: Spark
    freshness: str
    freshness_word: str
    as_of: datetime | None
    points_newest: Sequence[Point]

    def fingerprint(self) -> object:
        """All but the words that count minutes."""
        return self.key, self.value, self.change, self.freshness, self.as_of, tuple(self.points_newest)


def tile(kpi: KpiReading, *, today: date) -> Tile:
    # The trend starts with the first day that has a figure: a young installation shows a short line, not a gap.
    first = next((day.day for day in kpi.days if day.known), None)
    points = [Point(day.day, day.value, provisional=day.day >= today) for day in kpi.days if first and day.day >= first]
    latest, before = kpi.last, kpi.previous
    moved = formats.change(latest.value, before.value, kpi.kpi.unit) if latest and before else None
    direction = moved[1] if moved else 0
    kind, word = _judge(direction, kpi.kpi.better)
    return Tile(
        key=kpi.key,
        title=kpi.kpi.title,
        unit=kpi.kpi.unit,
        url=reverse("evidence_kpi", args=[kpi.key]),
        value=latest.value if latest else None,
        change=moved[0] if moved else "",
        change_direction=direction,
        change_kind=kind,
        change_word=word,
        change_against=_against(kpi, today, has_change=moved is not None),
        spark=spark(points, kpi.kpi.unit),
        freshness=kpi.freshness.state,
        freshness_word=_freshness_word(kpi),
        as_of=kpi.refreshed_at,
        points_newest=tuple(reversed(points))[:DATA_DAYS],
    )


def _judge(direction: int, better: str) -> tuple[str, str]:
    if direction == 0:
        return "same", "unchanged"
    good = (direction > 0) == (better == "higher")
    return ("better", "better") if good else ("worse", "worse")


def _against(kpi: KpiReading, today: date, *, has_change: bool) -> str:
    latest = kpi.last
    if latest is None:
        return "No run has published it yet"
    day = "today so far" if latest.business_date == today else formats.day(latest.business_date)
    if has_change:
        return "so far, against yesterday" if latest.business_date == today else f"against the day before · {day}"
    return f"{day[0].upper()}{day[1:]}, nothing to compare with"


def _freshness_word(kpi: KpiReading) -> str:
    promise = formats.duration(kpi.kpi.cadence_s)
    if kpi.freshness.state == "late":
        return f"Late by {formats.age_words(kpi.late_s)}"
    return {"on_time": f"On time, within {promise}", "unknown": "Unknown, never refreshed"}[kpi.freshness.state]
