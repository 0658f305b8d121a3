"""Reads of quality."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import QuerySet

from quality.models import QualityResult

__all__ = ["QualityResult", "results_latest", "results_of_run", "results_of_runs"]


def results_of_run(run_key: str) -> QuerySet[QualityResult]:
    return QualityResult.objects.filter(run_key=run_key)


def results_of_runs(run_keys: Sequence[str]) -> QuerySet[QualityResult]:
    """Verdicts on many steps or runs, by rule."""
    return QualityResult.objects.filter(run_key__in=run_keys).order_by("run_key", "rule")


def results_latest(dataset: str) -> list[QualityResult]:
    """The newest verdict of every rule of a dataset."""
    newest = (
        QualityResult.objects.filter(dataset=dataset).order_by("dataset", "rule", "-evaluated_at").distinct("dataset", "rule")
    )
    return sorted(newest, key=lambda result: (result.status != "failing", result.rule))
