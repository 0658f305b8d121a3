"""Addresses of the lineage API. Names and namespaces hold slashes, so the patterns take them whole.

A slash at the end is allowed where Marquez's web UI writes one.
"""

from __future__ import annotations

from django.urls import URLPattern, path, re_path

from lineage.api import events, graph, ingest, jobs, lists, quarantine, targets, ways

NAMESPACE = r"^api/v1/namespaces/(?P<namespace>.+?)"
DATASET = NAMESPACE + r"/datasets/(?P<name>.+?)"
JOB = NAMESPACE + r"/jobs/(?P<name>.+?)"

urlpatterns: list[URLPattern] = [
    path("api/v1/lineage", graph.lineage, name="lineage_api"),
    re_path(r"^api/v1/lineage/$", graph.LineageView.as_view(), name="lineage_api_slash"),
    path("api/v1/lineage/batch", ingest.batch, name="lineage_ingest_batch"),
    path("api/v1/lineage/upstream", ways.UpstreamView.as_view(), name="lineage_api_upstream"),
    path("api/v1/lineage/downstream", ways.DownstreamView.as_view(), name="lineage_api_downstream"),
    path("api/v1/lineage/impact", ways.ImpactView.as_view(), name="lineage_api_impact"),
    path("api/v1/lineage/changes", ways.ChangesView.as_view(), name="lineage_api_changes"),
    path("api/v1/lineage/path", ways.PathView.as_view(), name="lineage_api_path"),
    path("api/v1/lineage/datasets", lists.AllDatasets.as_view(), name="lineage_api_all_datasets"),
    path("api/v1/lineage/quarantine", quarantine.QuarantineList.as_view(), name="lineage_api_quarantine"),
    path("api/v1/lineage/quarantine/replay", quarantine.QuarantineReplays.as_view(), name="lineage_api_quarantine_replays"),
    path(
        "api/v1/lineage/quarantine/dismiss", quarantine.QuarantineDismissals.as_view(), name="lineage_api_quarantine_dismissals"
    ),
    path("api/v1/lineage/quarantine/<uuid:key>", quarantine.QuarantineItem.as_view(), name="lineage_api_quarantine_item"),
    path("api/v1/lineage/quarantine/<uuid:key>/replay", quarantine.QuarantineReplay.as_view(), name="lineage_api_replay"),
    path("api/v1/lineage/quarantine/<uuid:key>/dismiss", quarantine.QuarantineDismiss.as_view(), name="lineage_api_dismiss"),
    path("api/v1/lineage/targets", targets.Targets.as_view(), name="lineage_api_targets"),
    path("api/v1/lineage/targets/<str:name>/retry", targets.TargetRetry.as_view(), name="lineage_api_target_retry"),
    path("api/v1/column-lineage", graph.ColumnLineageView.as_view(), name="lineage_api_columns"),
    path("api/v1/events/lineage", events.Events.as_view(), name="lineage_api_events"),
    # Older clients of Marquez ask here.
    path("api/v1/events", events.OldEvents.as_view(), name="lineage_api_events_old"),
    path("api/v1/events/<path:namespace>", events.OldEvents.as_view(), name="lineage_api_events_of"),
    re_path(r"^api/v1/search/?$", events.Search.as_view(), name="lineage_api_search"),
    path("api/v1/stats/lineage-events", events.EventStats.as_view(), name="lineage_api_stats_events"),
    re_path(r"^api/v1/stats/(?P<asset>jobs|datasets|sources)$", events.AssetStats.as_view(), name="lineage_api_stats"),
    path("api/v1/sources", lists.Sources.as_view(), name="lineage_api_sources"),
    path("api/v1/sources/<path:source>", lists.SourceDetail.as_view(), name="lineage_api_source"),
    path("api/v1/tags", lists.Tags.as_view(), name="lineage_api_tags"),
    path("api/v1/tags/<path:tag>", lists.TagDetail.as_view(), name="lineage_api_tag"),
    path("api/v1/namespaces", lists.Namespaces.as_view(), name="lineage_api_namespaces"),
    path("api/v1/jobs", jobs.AllJobs.as_view(), name="lineage_api_all_jobs"),
    path("api/v1/jobs/runs/<str:run_id>", jobs.RunDetail.as_view(), name="lineage_api_run"),
    path("api/v1/jobs/runs/<str:run_id>/facets", jobs.RunFacets.as_view(), name="lineage_api_run_facets"),
    re_path(
        r"^api/v1/jobs/runs/(?P<run_id>[^/]+)/(?P<state>start|complete|fail|abort)$",
        jobs.RunTransition.as_view(),
        name="lineage_api_run_transition",
    ),
    re_path(NAMESPACE + r"/datasets$", lists.Datasets.as_view(), name="lineage_api_datasets"),
    re_path(
        DATASET + r"(/fields/(?P<field>.+))?/tags/(?P<tag>[^/]+)$", lists.DatasetTag.as_view(), name="lineage_api_dataset_tag"
    ),
    re_path(DATASET + r"/versions$", lists.DatasetVersions.as_view(), name="lineage_api_versions"),
    re_path(DATASET + r"/versions/(?P<version>.+)$", lists.DatasetVersion.as_view(), name="lineage_api_version"),
    re_path(NAMESPACE + r"/datasets/(?P<name>.+)$", lists.DatasetDetail.as_view(), name="lineage_api_dataset"),
    re_path(NAMESPACE + r"/jobs$", jobs.Jobs.as_view(), name="lineage_api_jobs"),
    re_path(JOB + r"/runs$", jobs.JobRuns.as_view(), name="lineage_api_job_runs"),
    re_path(JOB + r"/versions$", jobs.JobVersions.as_view(), name="lineage_api_job_versions"),
    re_path(JOB + r"/versions/(?P<version>[^/]+)$", jobs.JobVersion.as_view(), name="lineage_api_job_version"),
    re_path(NAMESPACE + r"/jobs/(?P<name>.+)$", jobs.JobDetail.as_view(), name="lineage_api_job"),
    re_path(NAMESPACE + r"$", lists.NamespaceDetail.as_view(), name="lineage_api_namespace"),
]
