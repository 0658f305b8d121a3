"""Addresses of the pipeline's pages."""

from django.urls import path

from pipeline.views import drops, held, limits, runs

urlpatterns = [
    path("runs/", runs.runs, name="runs"),
    path("runs/<uuid:uuid>/", runs.run, name="run"),
    path("runs/<uuid:uuid>/live/", runs.run_live, name="run_live"),
    path("drops/", drops.drops, name="drops"),
    path("drops/upload/", drops.drop_upload, name="drop_upload"),
    path("drops/<uuid:uuid>/", drops.drop, name="drop"),
    path("rejects/", held.rejects, name="rejects"),
    path("rejects/reprocess/", held.rejects_reprocess, name="rejects_reprocess"),
    path("rejects/<int:pk>/", held.reject, name="reject"),
    path("quarantine/", held.quarantine, name="quarantine"),
    path("quarantine/reprocess/", held.quarantine_reprocess, name="quarantine_reprocess"),
    path("quarantine/<int:pk>/", held.quarantined, name="quarantined"),
    path("limits/", limits.limits, name="limits"),
    path("limits/live/", limits.limits_live, name="limits_live"),
    path("limits/switch/", limits.switch, name="switch"),
]
