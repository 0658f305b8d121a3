"""Sizes of the benchmarks, from the environment: ``make bench ONLY=kpi_refresh MINUTES=2``."""

from __future__ import annotations

import os


def whole(name: str, default: int) -> int:
    """A whole number; raises SystemExit with the name of a variable that holds none."""
    return int(fraction(name, default))


def fraction(name: str, default: float) -> float:
    text = os.environ.get(name, "").strip()
    try:
        return float(text) if text else float(default)
    except ValueError:
        raise SystemExit(f"{name} must be a number, not {text!r}") from None
