"""Reads of reproductions."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from django.db.models import QuerySet

from controlplane.evidence.models import Reproduction

__all__ = ["reproduction_by_uuid", "reproductions", "reproductions_of_value"]


def reproductions(*, kpi: str = "", day: date | None = None) -> QuerySet[Reproduction]:
    """Newest first, with who started them."""
    found = Reproduction.objects.select_related("started_by", "value__step__run")
    if kpi:
        found = found.filter(kpi=kpi)
    return found.filter(business_date=day) if day else found


def reproductions_of_value(value_id: int) -> QuerySet[Reproduction]:
    return reproductions().filter(value_id=value_id)


def reproduction_by_uuid(uuid: UUID) -> Reproduction | None:
    return reproductions().filter(uuid=uuid).first()
