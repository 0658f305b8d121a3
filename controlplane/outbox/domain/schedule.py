"""Ticks that do not drift. Plain Python."""

import math


def next_tick(*, started: float, every_s: float, now: float) -> float:
    """The first multiple of the period after ``now``, counted from ``started``; ticks missed meanwhile are left out."""
    return started + (math.floor((now - started) / every_s) + 1) * every_s
