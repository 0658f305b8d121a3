"""Addresses of the lineage app. Names and namespaces hold slashes, so the patterns take them whole."""

from __future__ import annotations

from django.urls import URLPattern, path

from lineage.api.urls import urlpatterns as api
from lineage.views.urls import pages

urlpatterns: list[URLPattern] = [
    *pages,
    *api,
]
