"""Reads of the pages about rows held back: rejects and quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

from catalog.selectors import contracts_current
from pipeline.models import BronzeFile, HeldState, QuarantinedRow, SilverReject

COUNT_LIMIT = 10_000  # counts stop here: "10,000+" says enough, and the page stays fast


def held_of_file(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    return rows.filter(Q(bronze_file__logical_id=text) | Q(bronze_file__filename__icontains=text))


def rejects() -> QuerySet[SilverReject]:
    return SilverReject.objects.select_related("bronze_file").defer("record", "bronze_file__columns")


def quarantined() -> QuerySet[QuarantinedRow]:
    return QuarantinedRow.objects.select_related("bronze_file").defer("record", "bronze_file__columns")


def reject_rules(dataset: str = "", limit: int = 12) -> list[tuple[str, int]]:
    """The rules that hold back most of the newest COUNT_LIMIT open rows, as (rule, rows)."""
    where, values = ("AND dataset = %s", [dataset]) if dataset else ("", [])
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT rule, count(*) FROM (SELECT rules FROM silver_rejects WHERE state = 'open' {where}"  # noqa: S608
            f" LIMIT {COUNT_LIMIT}) AS held, unnest(held.rules) AS rule GROUP BY rule ORDER BY count(*) DESC, rule LIMIT %s",
            [*values, limit],
        )
        return list(cursor.fetchall())


def personal_columns(dataset: str, columns: Sequence[str]) -> set[str]:
    """Columns of a record that are shown masked: those a contract calls personal, and those no contract knows."""
    contract = contracts_current().get(dataset)
    if contract is None:
        return set(columns)
    open_columns = {one.source_name for one in contract.fields if not one.pii} | {
        one.name for one in contract.fields if not one.pii
    }
    return {name for name in columns if name not in open_columns}


_RULE_WORDS = {
    "required": "{} is empty, though the contract requires it",
    "type": "{} does not read as the contract's type",
    "enum": "{} is not one of the values the contract allows",
    "pattern": "{} does not have the form the contract asks for",
    "minimum": "{} is below the contract's minimum",
    "maximum": "{} is above the contract's maximum",
    "max_length": "{} is longer than the contract allows",
    "reference": "{} names something that the referenced dataset does not hold",
    "rule": "the row breaks the contract's rule {}",
}


def rule_words(rule: str) -> str:
    """A rule's id in a sentence: ``required:total_amount`` → "total_amount is empty, though …"."""
    kind, _, name = rule.partition(":")
    return _RULE_WORDS.get(kind, "{}").format(name or rule)


@dataclass(frozen=True)
class HeldByFile:
    rejected: int
    quarantined: int


def held_by_file(file: BronzeFile) -> HeldByFile:
    """Open rows of a Bronze file. Two queries."""
    return HeldByFile(
        SilverReject.objects.filter(bronze_file=file).exclude(state=HeldState.RESOLVED).count(),
        QuarantinedRow.objects.filter(bronze_file=file).exclude(state=HeldState.RESOLVED).count(),
    )
