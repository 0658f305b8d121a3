"""The publishing gate of a Gold table: one pass over the candidate, one verdict per rule.

A table is held back when a critical rule fails: a null rate above 0.5 % in a required column, a business key that is not
unique, or a row rule of the contract with severity ``error``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from catalog.domain.contract import Contract

MAX_NULL_RATIO = 0.005  # source document: a Gold table is blocked above it

Status = Literal["passing", "failing", "error"]


@dataclass(frozen=True)
class Verdict:
    """One rule's outcome. ``observed`` and ``limit`` are ratios (0 to 1) or counts, as ``unit`` says."""

    rule: str
    column: str
    status: Status
    observed: float
    limit: float
    unit: Literal["ratio", "rows"]
    critical: bool

    @property
    def blocks(self) -> bool:
        return self.critical and self.status == "failing"

    def __str__(self) -> str:
        shown = f"{self.observed:.2%}" if self.unit == "ratio" else f"{self.observed:.0f} rows"
        limit = f"{self.limit:.2%}" if self.unit == "ratio" else f"{self.limit:.0f} rows"
        return f"{self.rule}: {shown}, allowed {limit}"


def gate_sql(contract: Contract, *, table: str) -> str:
    """One aggregate SELECT over ``table``: rows, nulls per column, duplicate keys, rows that break each row rule."""
    parts = ["COUNT(*) AS row_count"]
    parts += [f"COUNT(*) - COUNT(c.{one.name}) AS nulls_{one.name}" for one in contract.fields]
    parts += [
        f"COALESCE(SUM(CASE WHEN COALESCE(({rule.sql}), TRUE) THEN 0 ELSE 1 END), 0) AS broken_{rule.name}"
        for rule in contract.rules
    ]
    if contract.key:
        keys = ", ".join(f"d.{name}" for name in contract.key)
        parts.append(
            f"(SELECT COUNT(*) FROM (SELECT {keys} FROM {table} AS d GROUP BY {keys} HAVING COUNT(*) > 1) AS x)"
            " AS duplicate_keys"
        )
    return f"SELECT {', '.join(parts)} FROM {table} AS c"


def judge(contract: Contract, measured: Mapping[str, float]) -> list[Verdict]:
    """Verdicts from the row that ``gate_sql`` yields."""
    rows = float(measured["row_count"] or 0)
    verdicts = []
    for one in contract.fields:
        if one.required:
            ratio = float(measured[f"nulls_{one.name}"]) / rows if rows else 0.0
            verdicts.append(
                Verdict(
                    f"null_ratio:{one.name}", one.name, _status(ratio, MAX_NULL_RATIO), ratio, MAX_NULL_RATIO, "ratio", True
                )
            )
    for rule in contract.rules:
        broken = float(measured[f"broken_{rule.name}"])
        verdicts.append(Verdict(f"rule:{rule.name}", "", _status(broken, 0), broken, 0, "rows", rule.severity == "error"))
    if contract.key:
        duplicates = float(measured["duplicate_keys"])
        verdicts.append(Verdict("unique:" + ",".join(contract.key), "", _status(duplicates, 0), duplicates, 0, "rows", True))
    return verdicts


def null_ratios(contract: Contract, measured: Mapping[str, float]) -> dict[str, float]:
    """Column → share of NULLs (0 to 1); empty for an empty table."""
    rows = float(measured["row_count"] or 0)
    return {one.name: float(measured[f"nulls_{one.name}"]) / rows for one in contract.fields} if rows else {}


def _status(observed: float, limit: float) -> Status:
    return "failing" if observed > limit else "passing"
