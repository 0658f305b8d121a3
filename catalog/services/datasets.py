"""Datasets and fields as lineage events tell of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Greatest
from django.utils import timezone

from catalog.models import Dataset, Field

_LAYERS = ("bronze", "silver", "gold")


@dataclass(frozen=True, slots=True)
class EventField:
    """One column of a schema facet."""

    name: str
    type: str = ""
    description: str = ""


@transaction.atomic
def dataset_upsert_from_event(
    *,
    namespace: str,
    name: str,
    fields: Sequence[EventField] = (),
    description: str = "",
    uri: str = "",
    seen_at: datetime | None = None,
) -> Dataset:
    """Note that an event mentioned a dataset, with what it said of it.

    What a contract says wins: only ``uri`` and ``last_seen_at`` of a contract's dataset change, and only columns that its
    contract does not have are added. An event that is older than the last one seen adds, but overwrites nothing.
    """
    moment = seen_at or timezone.now()
    layer = name.split(".", 1)[0] if name.startswith(tuple(f"{layer}." for layer in _LAYERS)) else ""
    Dataset.objects.bulk_create(
        [Dataset(namespace=namespace, name=name, source=Dataset.Source.EVENT, layer=layer)], ignore_conflicts=True
    )
    dataset = Dataset.objects.select_for_update(no_key=True).get(namespace=namespace, name=name)
    newest = dataset.last_seen_at is None or moment >= dataset.last_seen_at
    changes: dict[str, object] = {}
    if uri and (newest or not dataset.uri) and uri != dataset.uri:
        changes["uri"] = uri
    if description and dataset.source == Dataset.Source.EVENT and (newest or not dataset.description):
        changes["description"] = description
    # A hundred events a second name the same table; its moment need not be exact to the second.
    if dataset.last_seen_at is None or (moment - dataset.last_seen_at).total_seconds() >= 1:
        changes["last_seen_at"] = Greatest("last_seen_at", moment) if dataset.last_seen_at else moment
    if changes:
        Dataset.objects.filter(pk=dataset.pk).update(**changes)
        dataset.refresh_from_db()
    if fields:
        _upsert_fields(dataset, fields, replace=newest)
    return dataset


def _upsert_fields(dataset: Dataset, fields: Sequence[EventField], *, replace: bool) -> None:
    present = {one.name: one for one in dataset.fields.all()}
    new: list[Field] = []
    changed: list[Field] = []
    for position, told in enumerate(fields, start=1):
        known = present.get(told.name)
        if known is None:
            new.append(
                Field(
                    dataset=dataset,
                    name=told.name,
                    type=told.type,
                    position=position if dataset.source == Dataset.Source.EVENT else 1000 + position,
                    description=told.description,
                    source=Dataset.Source.EVENT,
                )
            )
        elif known.source == Dataset.Source.EVENT and replace and _differs(known, told):
            known.type, known.description = told.type or known.type, told.description or known.description
            changed.append(known)
    if new:
        Field.objects.bulk_create(new, ignore_conflicts=True)
    if changed:
        Field.objects.bulk_update(changed, ["type", "description"])
    if replace and dataset.source == Dataset.Source.EVENT:
        gone = Q(source=Dataset.Source.EVENT) & ~Q(name__in=[one.name for one in fields])
        dataset.fields.filter(gone).delete()


def _differs(known: Field, told: EventField) -> bool:
    return bool((told.type and told.type != known.type) or (told.description and told.description != known.description))
