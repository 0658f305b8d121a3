"""Writes of quality."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from quality.domain.gate import Verdict
from quality.models import QualityResult


@transaction.atomic
def results_record(
    *, dataset: str, run_key: str, verdicts: Sequence[Verdict], evaluated_at: datetime, source: str = "gate"
) -> None:
    """Keep verdicts; the same (run, dataset, rule) again replaces the earlier one."""
    QualityResult.objects.bulk_create(
        [
            QualityResult(
                dataset=dataset,
                rule=one.rule,
                column=one.column,
                status=one.status,
                observed=one.observed,
                limit=one.limit,
                unit=one.unit,
                critical=one.critical,
                run_key=run_key,
                evaluated_at=evaluated_at,
                source=source,
            )
            for one in verdicts
        ],
        update_conflicts=True,
        unique_fields=["run_key", "dataset", "rule"],
        update_fields=["status", "observed", "limit", "unit", "critical", "evaluated_at"],
    )
