"""Addresses of the lineage app."""

from __future__ import annotations

from django.urls import URLPattern, path

from lineage.api import ingest

urlpatterns: list[URLPattern] = [
    path("api/v1/lineage", ingest.event, name="lineage_ingest"),
    path("api/v1/lineage/batch", ingest.batch, name="lineage_ingest_batch"),
]
