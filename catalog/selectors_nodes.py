"""Entries of the catalog for nodes of the lineage graph, which are named ``dataset:<namespace>:<name>``."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q

from catalog.models import Dataset, Field

__all__ = ["datasets_of_nodes", "fields_of_nodes"]

DATASET, COLUMN = "dataset:", "datasetField:"


def datasets_of_nodes(node_ids: Iterable[str]) -> dict[str, Dataset]:
    """{node id: entry} for those the catalog knows. One query.

    Namespaces hold colons ("s3://a:1"), so an id can be read in several ways; the catalog knows which one exists.
    """
    pairs: dict[tuple[str, str], str] = {}
    for node_id in node_ids:
        if node_id.startswith(DATASET):
            rest = node_id.removeprefix(DATASET)
            cuts = [index for index, char in enumerate(rest) if char == ":"][:64]
            pairs |= {(rest[:cut], rest[cut + 1 :]): node_id for cut in cuts if 0 < cut < len(rest) - 1}
    if not pairs:
        return {}
    namespaces, names = {pair[0] for pair in pairs}, {pair[1] for pair in pairs}
    rows = Dataset.objects.filter(namespace__in=namespaces, name__in=names)
    return {pairs[row.namespace, row.name]: row for row in rows if (row.namespace, row.name) in pairs}


def fields_of_nodes(entries: dict[str, Dataset]) -> dict[str, list[Field]]:
    """{node id: columns that are classified or personal}, one query."""
    by_id = {row.pk: node_id for node_id, row in entries.items()}
    found: dict[str, list[Field]] = {}
    told = ~Q(pii="") | ~Q(classification="")
    for field in Field.objects.filter(told, dataset_id__in=list(by_id)):
        found.setdefault(by_id[field.dataset_id], []).append(field)
    return found
