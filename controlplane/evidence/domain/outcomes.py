"""What came of a reproduction: exactly one of four outcomes, with the reason in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

REPRODUCED = "reproduced"
EXCEPT_ERASURE = "reproduced_except_erasure"
DIFFERS = "differs"
NOT_REPRODUCIBLE = "not_reproducible"

FigureRow = tuple[Decimal | None, Decimal | None, Decimal | None]  # value, numerator, denominator


@dataclass(frozen=True)
class Verdict:
    """``outcome`` is one of the four; ``reason`` a sentence or two that stand alone."""

    outcome: str
    reason: str


def judge(
    *, published: FigureRow, computed: FigureRow | None, tables: Sequence[Mapping[str, Any]], erasures: Sequence[int]
) -> Verdict:
    """Compare a figure with what came out again.

    ``computed`` None: no row for the day came out. ``tables``: {dataset, layer, rows, kept_rows, equal}, where ``equal`` None
    means that nothing is kept to compare with. ``erasures``: numbers of those that took records out of the raw files read.
    """
    same = computed == published
    others = [one for one in tables if one["equal"] is False]
    if erasures:
        names = ", ".join(map(str, sorted(set(erasures))))
        left = "the same figure" if same else f"{figure_text(computed)} instead of {figure_text(published)}"
        return Verdict(
            EXCEPT_ERASURE,
            f"Erasure {names} took records out of the raw files on purpose. What is left gives {left}.",
        )
    if same and not others:
        return Verdict(REPRODUCED, _reproduced(tables))
    parts = []
    if not same:
        parts.append(f"Computed again it is {figure_text(computed)}; published was {figure_text(published)}.")
    else:
        parts.append("The figure itself came out the same.")
    if others:
        parts.append(f"What the lake keeps differs in {', '.join(map(_table_text, others))}.")
        parts.append(f"The first that differs is {_name(others[0])}: look there.")
    elif any(one["equal"] for one in tables):
        parts.append(
            "Every table that the lake still keeps came out the same, so the published row was changed after it was computed."
        )
    return Verdict(DIFFERS, " ".join(parts))


def figure_text(row: FigureRow | None) -> str:
    if row is None:
        return "no figure"
    value, numerator, denominator = row
    text = "not defined" if value is None else f"{value.normalize():f}"
    if numerator is None or denominator is None or denominator == 1:
        return text
    return f"{text} ({numerator.normalize():f} / {denominator.normalize():f})"


def _reproduced(tables: Sequence[Mapping[str, Any]]) -> str:
    compared = sum(one["equal"] is True for one in tables)
    text = "Value, numerator and denominator came out the same."
    if compared == len(tables):
        return f"{text} So did every row of all {compared} tables on the way."
    return (
        f"{text} So did every row of {compared} of {len(tables)} tables on the way; of the others the lake keeps that version"
        " no more."
    )


def _name(one: Mapping[str, Any]) -> str:
    return f"{one['layer']}.{one['dataset']}"


def _table_text(one: Mapping[str, Any]) -> str:
    if one["rows"] == one["kept_rows"]:
        return f"{_name(one)} (as many rows, other content)"
    return f"{_name(one)} ({one['kept_rows']} rows, {one['rows']} computed again)"
