"""Addresses of the evidence pages."""

from django.urls import include, path

from controlplane.evidence import views

urlpatterns = [
    path("", include("controlplane.evidence.urls_reproduce")),
    path("evidence/", views.evidence, name="evidence"),
    path("evidence/kpi/<slug:key>/", views.evidence_kpi, name="evidence_kpi"),
    path("evidence/kpi/<slug:key>/<str:day>/", views.evidence_kpi_day, name="evidence_kpi_day"),
]
