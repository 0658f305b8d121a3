"""Keeping tables small: files compacted, old versions removed, without stopping readers or writers."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta

import structlog
from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from controlplane.lake import services as lake
from controlplane.lake.errors import CommitConflict, LeaseHeld
from pipeline.models import DatasetState
from pipeline.selectors import contract_of
from pipeline.services.steps import table_of

log = structlog.get_logger(__name__)

COMMITS_PER_ROUND = 100  # each refresh leaves the partition files it replaced behind
AT_LEAST_EVERY = timedelta(hours=12)


def datasets_due() -> list[str]:
    """Datasets whose table has seen enough commits, or has not been looked after for long."""
    long_ago = timezone.now() - AT_LEAST_EVERY
    due = Q(commits_since_maintenance__gte=COMMITS_PER_ROUND) | Q(
        Q(maintained_at__isnull=True) | Q(maintained_at__lt=long_ago), commits_since_maintenance__gt=COMMITS_PER_ROUND // 4
    )
    return list(DatasetState.objects.filter(due).values_list("dataset", flat=True))


def dataset_maintain(*, dataset: str) -> str | None:
    """Compact, vacuum and checkpoint one dataset's table. None when a refresh has the table: the next tick tries again."""
    contract = contract_of(dataset)
    keep = timedelta(minutes=settings.ENV.version_retention_min)
    if not lake.table_exists(table_of(contract)):
        return None
    try:
        done = lake.maintain(table_of(contract), keep)
    except (LeaseHeld, CommitConflict):
        return None
    DatasetState.objects.filter(dataset=dataset).update(commits_since_maintenance=0, maintained_at=timezone.now())
    log.info("table maintained", dataset=dataset, **asdict(done))
    return dataset
