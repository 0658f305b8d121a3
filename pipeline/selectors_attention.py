"""What may need a person, for the home pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Count, Min
from django.utils import timezone

from pipeline.models import DatasetState, Drop, DropState, HeldState, QuarantinedRow, SilverReject, StopSwitch, Work
from pipeline.selectors_held import COUNT_LIMIT


@dataclass(frozen=True)
class Held:
    """Rows held back, by dataset; ``count`` stops at COUNT_LIMIT."""

    dataset: str
    count: int


@dataclass(frozen=True)
class Attention:
    """Everything that may need a person, from few bounded queries."""

    failing: Sequence[DatasetState] = ()
    refused: Sequence[Drop] = ()
    refused_count: int = 0
    rejects: Sequence[Held] = ()
    quarantine: Sequence[Held] = ()
    switches: Sequence[StopSwitch] = ()
    waiting_files: int = 0
    oldest_waiting_at: datetime | None = None


def attention(*, now: datetime | None = None, since: timedelta = timedelta(hours=24)) -> Attention:
    """Queries: six."""
    now = now or timezone.now()
    refused = Drop.objects.filter(state=DropState.REFUSED, received_at__gte=now - since)
    waiting = Work.objects.filter(run__isnull=True, kind="file").aggregate(count=Count("id"), oldest=Min("created_at"))
    newest = list(refused[:3])
    return Attention(
        failing=list(DatasetState.objects.filter(failures__gt=0).select_related("last_step__run").order_by("-failures")[:10]),
        refused=newest,
        refused_count=len(newest) if len(newest) < 3 else refused.count(),
        rejects=_held(SilverReject),
        quarantine=_held(QuarantinedRow),
        switches=list(StopSwitch.objects.order_by("scope")),
        waiting_files=waiting["count"],
        oldest_waiting_at=waiting["oldest"],
    )


def _held(model: type[SilverReject] | type[QuarantinedRow]) -> list[Held]:
    """Open rows by dataset, counted over at most COUNT_LIMIT rows of the index."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT dataset, count(*) FROM (SELECT dataset FROM {table} WHERE state = %s LIMIT %s) AS held"  # noqa: S608
            " GROUP BY dataset ORDER BY count(*) DESC",
            [HeldState.OPEN, COUNT_LIMIT],
        )
        return [Held(dataset, count) for dataset, count in cursor.fetchall()]
