"""Addresses of the pages."""

from __future__ import annotations

from django.urls import URLPattern, path

from lineage.views import datasets, graph, jobs, lists, refused, runs

pages: list[URLPattern] = [
    path("lineage/", graph.lineage, name="lineage"),
    path("lineage/suggest/", graph.suggest, name="lineage_suggest"),
    path("lineage/events/", runs.events, name="lineage_events"),
    path("lineage/runs/", lists.runs, name="lineage_runs"),
    path("lineage/runs/<path:run_id>", runs.run, name="lineage_run"),
    path("lineage/jobs/", lists.jobs, name="lineage_jobs"),
    path("lineage/jobs/<slug:key>/", jobs.job, name="lineage_job"),
    path("lineage/datasets/", lists.datasets, name="lineage_datasets"),
    path("lineage/datasets/<slug:key>/", datasets.dataset, name="lineage_dataset"),
    path("lineage/datasets/<slug:key>/<slug:name>/", datasets.part, name="lineage_dataset_part"),
    path("lineage/datasets/<slug:key>/versions/<slug:version_key>/", datasets.version, name="lineage_version"),
    path("lineage/refused/", refused.refused, name="lineage_refused"),
    path("lineage/refused/act/", refused.refused_act, name="lineage_refused_act"),
    path("lineage/refused/<uuid:uuid>/", refused.refused_one, name="lineage_refused_one"),
]
