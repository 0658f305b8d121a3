"""Addresses of the lineage app: pages and API."""

from __future__ import annotations

from django.urls import URLPattern

from lineage.api.urls import urlpatterns as api
from lineage.views.urls import pages

urlpatterns: list[URLPattern] = [
    *pages,
    *api,
]
