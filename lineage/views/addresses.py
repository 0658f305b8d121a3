"""Permanent addresses of what the graph holds. Keys are the identifiers of the rows, a function of their names."""

from __future__ import annotations

from django.http import Http404
from django.urls import reverse

from lineage.models import Dataset, DatasetVersion, Job
from lineage.selectors import Resolved


def key_of(number: int) -> str:
    return f"{number:016x}"


def number_of(key: str) -> int:
    """Raises Http404 for what is no key."""
    try:
        return int(key, 16) if len(key) == 16 else -1
    except ValueError:
        raise Http404("no such address") from None


def dataset_url(row: Dataset | int, part: str = "") -> str:
    key = key_of(row if isinstance(row, int) else row.id)
    return reverse("lineage_dataset_part", args=[key, part]) if part else reverse("lineage_dataset", args=[key])


def job_url(row: Job | int) -> str:
    return reverse("lineage_job", args=[key_of(row if isinstance(row, int) else row.id)])


def version_url(row: DatasetVersion) -> str:
    return reverse("lineage_version", args=[key_of(row.dataset_id), key_of(row.id)])


def object_url(found: Resolved) -> str:
    """The page of the dataset or job that a node id names."""
    return job_url(found.key) if found.name.kind == "job" else dataset_url(found.key)
