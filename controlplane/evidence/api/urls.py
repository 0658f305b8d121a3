"""Addresses of the evidence API, below /api/."""

from django.urls import path

from controlplane.evidence.api import provenance, reproductions

urlpatterns = [
    path("v1/evidence/kpis/<slug:key>/<str:day>", provenance.ProvenanceView.as_view(), name="api_provenance"),
    path(
        "v1/evidence/kpis/<slug:kpi>/<str:day>/reproductions",
        reproductions.ReproductionsView.as_view(),
        name="api_reproductions",
    ),
    path("v1/evidence/kpis/<slug:kpi>/<str:day>/bundle", reproductions.BundleView.as_view(), name="api_evidence_bundle"),
    path("v1/evidence/reproductions/<uuid:uuid>", reproductions.ReproductionView.as_view(), name="api_reproduction"),
]
