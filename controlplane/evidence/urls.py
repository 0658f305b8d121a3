"""Addresses of the evidence pages."""

from django.urls import include, path

from controlplane.evidence import views, views_rows

DAY = "evidence/kpi/<slug:key>/<str:day>/"

urlpatterns = [
    path("", include("controlplane.evidence.urls_reproduce")),
    path("evidence/", views.evidence, name="evidence"),
    path("evidence/code/<slug:sha256>/", views.evidence_code, name="evidence_code"),
    path("evidence/kpi/<slug:key>/", views.evidence_kpi, name="evidence_kpi"),
    path(DAY, views.evidence_kpi_day, name="evidence_kpi_day"),
    path(DAY + "history/", views.evidence_history, name="evidence_history"),
    path(DAY + "change/", views.evidence_change, name="evidence_change"),
    path(DAY + "row/", views_rows.evidence_row, name="evidence_row"),
    path(DAY + "rows/<slug:side>/", views_rows.evidence_rows, name="evidence_rows"),
]
