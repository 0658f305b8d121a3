"""Which datasets and jobs a reader asked for: by namespace, layer, owner, tag.

Layers, owners and what is personal stand in the catalog's contracts; owners and tags also in the facets that producers send.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from catalog import selectors as catalog
from lineage.domain import ids
from lineage.domain.delta import OUTPUT
from lineage.models import Dataset, Edge, Facet, Job

__all__ = ["PERSONAL", "SENSITIVE", "Filter", "contract_tags"]

# The two tags that Marquez starts with; here they follow from contracts.
PERSONAL, SENSITIVE = "PII", "SENSITIVE"


@dataclass(frozen=True)
class Filter:
    """Empty parts match everything; the others must all match."""

    namespace: str = ""
    layer: str = ""
    owner: str = ""
    tag: str = ""

    def __bool__(self) -> bool:
        return bool(self.namespace or self.layer or self.owner or self.tag)

    def datasets(self, rows: QuerySet[Dataset]) -> QuerySet[Dataset]:
        if self.namespace:
            rows = rows.filter(namespace=self.namespace)
        if self.layer:
            rows = rows.filter(id__in=_ids(catalog.datasets(layer=self.layer)))
        if self.owner:
            held = catalog.datasets().filter(Q(product__owner__username=self.owner) | Q(product__owner_name=self.owner))
            rows = rows.filter(Q(id__in=_ids(held)) | Q(id__in=_owned("dataset", self.owner)))
        if self.tag:
            rows = rows.filter(Q(id__in=_ids(_classified(self.tag))) | Q(id__in=_tagged("dataset", self.tag)))
        return rows

    def jobs(self, rows: QuerySet[Job]) -> QuerySet[Job]:
        """Jobs by their own namespace, owners and tags; by layer, those that write a dataset of it."""
        if self.namespace:
            rows = rows.filter(namespace=self.namespace)
        if self.layer:
            written = Edge.objects.filter(
                known_to=None, direction=OUTPUT, dataset_id__in=_ids(catalog.datasets(layer=self.layer))
            )
            rows = rows.filter(id__in=written.values("job_id"))
        if self.owner:
            rows = rows.filter(id__in=_owned("job", self.owner))
        if self.tag:
            rows = rows.filter(id__in=_tagged("job", self.tag))
        return rows


def _ids(rows: QuerySet[Any]) -> list[int]:
    return [ids.dataset_id(namespace, name) for namespace, name in rows.values_list("namespace", "name")]


def _classified(tag: str) -> QuerySet[Any]:
    found = catalog.datasets()
    if tag == PERSONAL:
        return found.filter(fields__pii__gt="").distinct()
    return found.filter(fields__classification="high").distinct() if tag == SENSITIVE else found.none()


def _owned(kind: str, owner: str) -> QuerySet[Facet]:
    """By the ownership facet; its names may be written ``team:orders``."""
    found = Facet.objects.filter(subject_kind=kind, name="ownership", deleted=False)
    return found.filter(body__owners__contains=[{"name": owner}]).values("subject_id")  # type: ignore[return-value]


def _tagged(kind: str, tag: str) -> QuerySet[Facet]:
    key, _, value = tag.partition(":")
    found = Facet.objects.filter(subject_kind=kind, name="tags", deleted=False)
    wanted = Q(body__tags__contains=[{"key": tag}])
    if value:
        wanted |= Q(body__tags__contains=[{"key": key, "value": value}])
    return found.filter(wanted).values("subject_id")  # type: ignore[return-value]


def contract_tags(datasets: Iterable[Dataset]) -> dict[int, dict[str, list[str]]]:
    """What contracts say of columns, as tags: {id of the dataset: {column: [tags]}}."""
    rows = {(row.namespace, row.name): row.id for row in datasets}
    found: dict[int, dict[str, list[str]]] = {}
    if not rows:
        return found
    named = catalog.datasets().filter(namespace__in={space for space, _ in rows}, name__in={name for _, name in rows})
    wanted = named.exclude(fields__pii="", fields__classification="").values_list(
        "namespace", "name", "fields__name", "fields__pii", "fields__classification"
    )
    for namespace, name, field, pii, classification in wanted:
        key = rows.get((namespace, name))
        tags = [tag for tag, on in ((PERSONAL, pii), (SENSITIVE, classification == "high")) if on]
        if key is not None and field and tags:
            found.setdefault(key, {})[field] = tags
    return found
