"""Trend lines drawn on the server: SVG that scales, with a sentence for those who do not see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from controlplane.ui import formats

WIDTH, HEIGHT, PAD = 240, 56, 4


@dataclass(frozen=True)
class Point:
    """One day of a trend. ``value`` None: not defined; the line is broken there."""

    day: date
    value: Decimal | None
    provisional: bool = False  # the day is not over


@dataclass(frozen=True)
class Spark:
    """What the template draws: SVG path data in a box of WIDTH × HEIGHT."""

    line: str
    area: str
    provisional: str
    dot: tuple[float, float] | None
    summary: str
    points: Sequence[Point]
    width: int = WIDTH
    height: int = HEIGHT


def spark(points: Sequence[Point], unit: str) -> Spark:
    """A trend over days, oldest first. The last stretch is dashed when its day is still running."""
    places = _places(points)
    solid = [run for run in _runs(places, points, provisional=False) if run]
    dashed = _tail(places, points)
    known = [place for place in places if place is not None]
    return Spark(
        line=" ".join(_path(run) for run in solid),
        area=" ".join(_area(run) for run in solid if len(run) > 1),
        provisional=_path(dashed) if len(dashed) > 1 else "",
        dot=known[-1] if known else None,
        summary=summary(points, unit),
        points=points,
    )


def summary(points: Sequence[Point], unit: str) -> str:
    """The trend in a sentence, for screen readers and as the picture's title."""
    known = [point for point in points if point.value is not None]
    if not known:
        return "No values yet."
    values = [point.value for point in known if point.value is not None]
    low, high = min(values), max(values)
    last = known[-1]
    text = (
        f"{len(points)} days to {formats.day(points[-1].day)}: lowest {formats.with_unit(low, unit)}, "
        f"highest {formats.with_unit(high, unit)}, last {formats.with_unit(last.value, unit)}"
    )
    missing = len(points) - len(known)
    return text + (f", {missing} without a value." if missing else ".")


def _places(points: Sequence[Point]) -> list[tuple[float, float] | None]:
    values = [float(point.value) for point in points if point.value is not None]
    if not values:
        return [None] * len(points)
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = (WIDTH - 2 * PAD) / max(len(points) - 1, 1)
    flat = high == low
    return [
        None
        if point.value is None
        else (
            round(PAD + index * step, 1),
            round(HEIGHT / 2 if flat else HEIGHT - PAD - (float(point.value) - low) / span * (HEIGHT - 2 * PAD), 1),
        )
        for index, point in enumerate(points)
    ]


def _runs(
    places: list[tuple[float, float] | None], points: Sequence[Point], *, provisional: bool
) -> list[list[tuple[float, float]]]:
    """Stretches without a gap, over the days that are over."""
    runs: list[list[tuple[float, float]]] = [[]]
    for place, point in zip(places, points, strict=True):
        if place is None or point.provisional != provisional:
            runs.append([])
        else:
            runs[-1].append(place)
    return runs


def _tail(places: list[tuple[float, float] | None], points: Sequence[Point]) -> list[tuple[float, float]]:
    """From the last finished day to the running one."""
    if len(points) < 2 or not points[-1].provisional:
        return []
    return [place for place in places[-2:] if place is not None]


def _path(run: Sequence[tuple[float, float]]) -> str:
    if len(run) == 1:
        x, y = run[0]
        return f"M{x} {y}h.01"  # a lone day is a dot: a zero-length line with round caps
    return "M" + "L".join(f"{x} {y}" for x, y in run)


def _area(run: Sequence[tuple[float, float]]) -> str:
    return f"M{run[0][0]} {HEIGHT}L" + "L".join(f"{x} {y}" for x, y in run) + f"L{run[-1][0]} {HEIGHT}Z"
