"""The ground truth of a set of drops, computed independently of the pipeline and of the order in which drops arrive.

Silver here; Gold and the KPIs in ``truth_gold``; how a record is read and judged in ``truth_rules``. Of the accepted rows of a
key the newest ``updated_at`` wins, ties by ``source_seq``, then the drop's SHA-256, then the row's place in it; datasets that
keep history do so per key and ``updated_at``. ``rows_superseded`` = accepted − silver. ``rows_left_behind`` counts the older
rows of a key that stand under another business day than its newest: a Silver that de-duplicates within a day's partition still
holds those (Gold leaves them out, since a line counts only on its order's day).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from pipeline.demo.clock import paris_day
from pipeline.demo.files import Drop
from pipeline.demo.truth_rules import DATASETS, Dataset, Refused, broken, records

Row = dict[str, Any]
Silver = dict[str, dict[tuple[Any, ...], Row]]


@dataclass
class DatasetTruth:
    """What must have happened to one dataset's drops and rows in the end."""

    drops_accepted: int = 0
    drops_refused: int = 0
    drops_duplicate: int = 0
    rows_landed: int = 0
    rows_accepted: int = 0
    rows_rejected: int = 0
    rows_superseded: int = 0
    rows_silver: int = 0
    rows_left_behind: int = 0
    rejects_by_rule: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, int] = field(default_factory=dict)


@dataclass
class Kpi:
    """One KPI on one business day; ``value`` is None when the denominator is zero ("not defined")."""

    value: Decimal | None
    numerator: Decimal
    denominator: Decimal


@dataclass
class Truth:
    """Dates are ISO text, amounts EUR. ``refused`` and ``duplicates`` name the drops' files."""

    as_of: str
    datasets: dict[str, DatasetTruth]
    refused: list[str]
    gold_rows: dict[str, int]
    gold_by_date: dict[str, dict[str, dict[str, Decimal | int]]]
    """fact → date → measure → value."""
    kpis: dict[str, dict[str, Kpi]]
    """KPI → business date → value."""
    daily_revenue: dict[str, dict[str, Decimal | int]]
    """``date|channel|region`` → measure → value."""
    planted: dict[str, int] = field(default_factory=dict)
    """How often the world planted each fault (not computed from the drops)."""

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), default=_plain, ensure_ascii=False, indent=1, sort_keys=True) + "\n")

    @classmethod
    def load(cls, path: Path) -> Truth:
        """Read a truth.json back; amounts become Decimal again."""
        data = json.loads(path.read_text())
        data["datasets"] = {name: DatasetTruth(**value) for name, value in data["datasets"].items()}
        data["kpis"] = {
            name: {
                day: Kpi(*(_number(value[part]) for part in ("value", "numerator", "denominator")))
                for day, value in days.items()
            }
            for name, days in data["kpis"].items()
        }
        data["gold_by_date"] = {
            fact: {day: {name: _number(value) for name, value in measures.items()} for day, measures in days.items()}
            for fact, days in data["gold_by_date"].items()
        }
        data["daily_revenue"] = {
            cell: {name: _number(value) for name, value in measures.items()} for cell, measures in data["daily_revenue"].items()
        }
        return cls(**data)


def _number(value: Any) -> Any:
    return Decimal(value) if isinstance(value, str) else value


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date | datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} has no JSON form")


def compute(drops: Iterable[Drop], *, as_of: datetime) -> Truth:
    """The truth of ``drops`` as of an instant: parcels whose promise lies after it are not due yet."""
    from pipeline.demo import truth_gold

    found, silver, refused = read(drops)
    gold = truth_gold.compute(silver, as_of=int(as_of.timestamp()))
    return Truth(as_of=as_of.isoformat(), datasets=found, refused=refused, **gold)


def read(drops: Iterable[Drop]) -> tuple[dict[str, DatasetTruth], Silver, list[str]]:
    """Counts per dataset, the rows of Silver (instants are UTC seconds), and the names of the refused drops."""
    by_dataset: dict[str, list[Drop]] = {}
    for drop in drops:
        by_dataset.setdefault(drop.dataset, []).append(drop)
    found: dict[str, DatasetTruth] = {}
    refused: list[str] = []
    silver: Silver = {}
    keys: dict[str, set[str]] = {}
    for spec in DATASETS:
        found[spec.name], silver[spec.name] = _silver(spec, by_dataset.get(spec.name, []), keys, refused)
        keys[spec.name] = {key[0] for key in silver[spec.name]}
    return found, silver, sorted(refused)


def _silver(
    spec: Dataset, drops: list[Drop], keys: dict[str, set[str]], refused: list[str]
) -> tuple[DatasetTruth, dict[tuple[Any, ...], Row]]:
    """One dataset's counts and its rows by key (with ``updated_at`` for datasets that keep history)."""
    truth = DatasetTruth()
    rules: Counter[str] = Counter()
    quarantined: Counter[str] = Counter()
    winners: dict[tuple[Any, ...], tuple[tuple[Any, ...], Row]] = {}
    days: set[tuple[Any, ...]] = set()
    seen: set[str] = set()
    for drop in drops:
        content = drop.read()
        sha = hashlib.sha256(content).hexdigest()
        if sha in seen:
            truth.drops_duplicate += 1
            continue
        try:
            unknown, rows = records(spec, drop.path.suffix[1:], content)
        except Refused:
            truth.drops_refused += 1
            refused.append(drop.path.name)
            continue
        seen.add(sha)
        truth.drops_accepted += 1
        for ordinal, (raw, others) in enumerate(rows):
            truth.rows_landed += 1
            for name, value in zip(unknown, others, strict=True):
                quarantined[name] += value is not None and bool(str(value).strip())
            failures, row = broken(spec, raw, keys)
            if failures:
                truth.rows_rejected += 1
                rules.update(failures)
                continue
            truth.rows_accepted += 1
            key = tuple(row[name] for name in spec.key)
            if spec.history:
                key = (*key, row["updated_at"])
            if spec.day is not None:
                days.add((key, paris_day(row[spec.day])))
            rank = (row["updated_at"], row["source_seq"], sha, ordinal)
            best = winners.get(key)
            if best is None or rank > best[0]:
                winners[key] = (rank, row)
    truth.rows_silver = len(winners)
    truth.rows_superseded = truth.rows_accepted - truth.rows_silver
    truth.rows_left_behind = max(0, len(days) - len(winners))
    truth.rejects_by_rule = dict(sorted(rules.items()))
    truth.quarantined = dict(sorted((name, count) for name, count in quarantined.items() if count))
    return truth, {key: row for key, (_, row) in winners.items()}
