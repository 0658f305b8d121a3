"""Addresses of reproductions and bundles."""

from django.urls import path

from controlplane.evidence import views_reproduce as views

urlpatterns = [
    path("evidence/figures/<int:value_id>/reproduce/", views.reproduce, name="reproduce"),
    path("evidence/figures/<int:value_id>/bundle/", views.bundle, name="evidence_bundle"),
    path("evidence/reproductions/", views.reproductions_list, name="reproductions"),
    path("evidence/reproductions/<uuid:uuid>/", views.reproduction, name="reproduction"),
    path("evidence/reproductions/<uuid:uuid>/live/", views.reproduction_live, name="reproduction_live"),
]
