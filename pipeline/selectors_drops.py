"""Reads of the pages about drops."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Count, Q, QuerySet

from pipeline.models import Drop, DropState
from pipeline.selectors_kpi import business_today


def drops_matching(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    if len(text) >= 8 and all(letter in "0123456789abcdef" for letter in text.lower()):
        return rows.filter(Q(sha256__startswith=text.lower()) | Q(filename__icontains=text))
    return rows.filter(filename__icontains=text)


def changed_today(*, now: datetime | None = None) -> list[tuple[str, int, str]]:
    """What came in on this business day, as (what, how many, state of the drops). One query."""
    start = datetime.combine(business_today(now), datetime.min.time(), ZoneInfo(settings.BUSINESS_TIME_ZONE))
    rows = Drop.objects.filter(received_at__gte=start).values("state").annotate(count=Count("id")).order_by("state")
    return [(str(DropState(row["state"]).label), row["count"], row["state"]) for row in rows]
