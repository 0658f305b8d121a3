"""Addresses of the lineage app. Names and namespaces hold slashes, so the patterns take them whole."""

from __future__ import annotations

from django.urls import URLPattern, path, re_path

from lineage.api import graph, ingest, lists
from lineage.views.urls import pages

NAMESPACE = r"^api/v1/namespaces/(?P<namespace>.+?)"

urlpatterns: list[URLPattern] = [
    *pages,
    path("api/v1/lineage", graph.lineage, name="lineage_api"),
    path("api/v1/lineage/batch", ingest.batch, name="lineage_ingest_batch"),
    path("api/v1/lineage/path", graph.PathView.as_view(), name="lineage_api_path"),
    path("api/v1/lineage/quarantine", lists.QuarantineList.as_view(), name="lineage_api_quarantine"),
    path("api/v1/column-lineage", graph.ColumnLineageView.as_view(), name="lineage_api_columns"),
    path("api/v1/events/lineage", lists.Events.as_view(), name="lineage_api_events"),
    path("api/v1/search", lists.Search.as_view(), name="lineage_api_search"),
    path("api/v1/namespaces", lists.Namespaces.as_view(), name="lineage_api_namespaces"),
    path("api/v1/jobs", lists.AllJobs.as_view(), name="lineage_api_all_jobs"),
    path("api/v1/jobs/runs/<str:run_id>", lists.RunDetail.as_view(), name="lineage_api_run"),
    path("api/v1/jobs/runs/<str:run_id>/facets", lists.RunFacets.as_view(), name="lineage_api_run_facets"),
    re_path(NAMESPACE + r"/datasets$", lists.Datasets.as_view(), name="lineage_api_datasets"),
    re_path(NAMESPACE + r"/datasets/(?P<name>.+)/versions$", lists.DatasetVersions.as_view(), name="lineage_api_versions"),
    re_path(NAMESPACE + r"/datasets/(?P<name>.+)$", lists.DatasetDetail.as_view(), name="lineage_api_dataset"),
    re_path(NAMESPACE + r"/jobs$", lists.Jobs.as_view(), name="lineage_api_jobs"),
    re_path(NAMESPACE + r"/jobs/(?P<name>.+)/runs$", lists.JobRuns.as_view(), name="lineage_api_job_runs"),
    re_path(NAMESPACE + r"/jobs/(?P<name>.+)$", lists.JobDetail.as_view(), name="lineage_api_job"),
]
