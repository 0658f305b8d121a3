"""Addresses of the pipeline's API, below /api/."""

from django.urls import path
from django.views.generic import RedirectView

from pipeline.api import drops, facets, kpis, marts

urlpatterns = [
    path("v1/kpis", kpis.KpisView.as_view(), name="api_kpis"),
    path("v1/marts/<slug:dataset>", marts.MartView.as_view(), name="api_mart"),
    path("v1/drops/<slug:dataset>", drops.DropView.as_view(), name="api_drop"),
    path("trust/metrics", marts.TrustMetricsView.as_view(), name="api_trust_metrics"),
    path("trust/metrics/export", marts.TrustMetricsExportView.as_view(), name="api_trust_metrics_export"),
    path("facets/1-0-0/<slug:name>.json", facets.facet_schema, name="api_facet"),
    path("", RedirectView.as_view(url="/api/docs"), name="api_root"),
]
