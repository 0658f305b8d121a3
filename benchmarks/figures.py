"""What a benchmark answers: figures with their target, and the reference of the same run."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Figure:
    """One measured value. ``target`` None: shown beside the others, judged by nobody.

    ``runs`` are the single measurements of which ``ours`` is the median (or another rank, as ``title`` says).
    ``reference`` is what was measured in the same run, or what ``note`` names as its source.
    """

    title: str
    ours: float
    unit: str
    target: float | None = None
    target_on_ratio: bool = False
    reference: float | None = None
    note: str = ""
    runs: list[float] = field(default_factory=list)
    exact: bool = False  # the target must be met exactly, such as rows lost: 0

    @property
    def ratio(self) -> float | None:
        return self.ours / self.reference if self.reference else None

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        value = self.ratio if self.target_on_ratio else self.ours
        if value is None or math.isnan(value):
            return False
        return value == self.target if self.exact else value <= self.target

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank: the least value that ``share`` of all values do not exceed. NaN when there are none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else math.nan


def number(value: float | None) -> str:
    """Four significant digits, without an exponent."""
    if value is None:
        return "–"
    if math.isnan(value):
        return "none"
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    digits = max(0, 3 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{min(digits, 4)}f}"


def lines(name: str, figures: Sequence[Figure]) -> list[str]:
    """The block that one benchmark prints."""
    rows = [("", "ours", "reference", "ratio", "target", "")]
    for one in figures:
        target = "–"
        if one.target is not None:
            mark = "=" if one.exact else "≤"
            target = f"ratio {mark} {number(one.target)}" if one.target_on_ratio else f"{mark} {number(one.target)} {one.unit}"
        ratio = "–" if one.ratio is None else f"{one.ratio:.2f}"
        reference = "–" if one.reference is None else f"{number(one.reference)} {one.unit}"
        verdict = {None: "", True: "pass", False: "FAIL"}[one.met]
        rows.append((one.title, f"{number(one.ours)} {one.unit}", reference, ratio, target, verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    found = [name]
    for at, row in enumerate(rows):
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:5], widths[1:5], strict=True)),
            row[5],
        ]
        found.append(("  " + "  ".join(cells)).rstrip())
        if at:
            one = figures[at - 1]
            if len(one.runs) > 1:
                found.append(f"      runs: {', '.join(number(value) for value in one.runs)}")
            if one.note:
                found.append(f"      {one.note}")
    return found
