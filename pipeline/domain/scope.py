"""Which partitions a change touches, and which part of its inputs a refresh needs.

Partition values travel as text: ISO dates (``2026-11-24``; the first of the month for months) or hash buckets (``0`` … ``f``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from catalog.domain.contract import Contract, Input, Partition

Touched = Mapping[str, Sequence[str]]  # column of the upstream → values


def outputs_touched(contract: Contract, one: Input, touched: Touched, *, today: date) -> set[str]:
    """Output partitions of ``contract`` that an upstream's touched values reach.

    A window reaches forward from an old value to no later than ``today``: the days to come have no figures yet.
    """
    partition = contract.partition
    if partition is None or one.trigger is None:
        return set()
    values = touched.get(one.trigger, ())
    if partition.kind == "hash":
        return set(values)
    reached: set[str] = set()
    lowest, highest = one.trigger_window
    for text in values:
        origin = date.fromisoformat(text)
        for offset in range(lowest, highest + 1):
            day = origin + timedelta(days=offset)
            if offset <= 0 or day <= today:
                reached.add(_partition_of(partition, day))
    return reached


def outputs_within_reach(contract: Contract, one: Input, values: Iterable[str], *, today: date) -> set[str]:
    """Output partitions whose reading window covers one of the upstream's partitions; none for an input that is read whole."""
    if contract.partition is None or contract.partition.kind == "hash" or one.read == "all":
        return set()
    _, lowest, highest = one.read
    reached: set[str] = set()
    for text in values:
        origin = date.fromisoformat(text)
        days = (origin - timedelta(days=offset) for offset in range(lowest, highest + 1))
        reached.update(_partition_of(contract.partition, day) for day in days if day <= max(today, origin))
    return reached


def _partition_of(partition: Partition, day: date) -> str:
    return (day.replace(day=1) if partition.kind == "month" else day).isoformat()


def read_values(one: Input, outputs: Iterable[str]) -> list[str] | None:
    """Upstream partition values that the output partitions need; None for the whole upstream."""
    if one.read == "all":
        return None
    _, lowest, highest = one.read
    values: set[str] = set()
    for text in outputs:
        if lowest == highest == 0:
            values.add(text)
            continue
        origin = date.fromisoformat(text)
        values.update((origin + timedelta(days=offset)).isoformat() for offset in range(lowest, highest + 1))
    return sorted(values)


def literal(partition: Partition, value: str) -> str:
    """The value as a literal of the portable SQL dialect."""
    if partition.kind == "hash":
        return "'" + value.replace("'", "''") + "'"
    return f"DATE '{date.fromisoformat(value).isoformat()}'"


def predicate(partition: Partition, values: Iterable[str]) -> str:
    """``column IN (…)`` over a table's partition column."""
    items = ", ".join(literal(partition, value) for value in sorted(values))
    return f"{partition.column} IN ({items})" if items else "1 = 0"


def chunks(values: Iterable[str], size: int) -> list[list[str]]:
    """Sorted values in slices of at most ``size``: what one write replaces at a time."""
    ordered = sorted(values)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]
