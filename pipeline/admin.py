"""The plain tables behind the pipeline's pages: read-only, since they change through services alone.

Rows held back have no table here: their records hold personal data, which the pages mask and reveal with a reason.
"""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from controlplane.ui.admin import TouchstoneAdmin, copyable_column, state_column, time_column
from controlplane.ui.pages import STAFF_ROLES
from pipeline.models import BronzeFile, DatasetState, Drop, KpiValue, Run, Step, StopSwitch, Work


class PipelineAdmin(TouchstoneAdmin):
    read_roles = STAFF_ROLES


@admin.register(Run)
class RunAdmin(PipelineAdmin):
    list_display = (
        state_column("state"),
        "trigger",
        time_column("started_at"),
        time_column("finished_at"),
        copyable_column("uuid"),
    )
    list_filter = ("state", "environment")
    search_fields = ("uuid", "correlation_id")
    search_help_text = "Run id or correlation id"


@admin.register(Step)
class StepAdmin(PipelineAdmin):
    list_display = (
        state_column("state"),
        "dataset",
        "layer",
        "run",
        "attempts",
        "rows_in",
        "rows_out",
        "rows_rejected",
        time_column("started_at"),
    )
    list_filter = ("state", "layer", "dataset")
    list_select_related = ("run",)
    exclude = ("bronze_files",)
    ordering = ("-id",)


@admin.register(Drop)
class DropAdmin(PipelineAdmin):
    list_display = (
        state_column("state"),
        "dataset",
        "filename",
        "source",
        time_column("received_at"),
        copyable_column("sha256"),
    )
    list_filter = ("state", "source", "dataset")
    search_fields = ("filename", "sha256", "correlation_id")
    search_help_text = "File name, SHA-256 or correlation id"


@admin.register(BronzeFile)
class BronzeFileAdmin(PipelineAdmin):
    list_display = (
        "dataset",
        "filename",
        "rows",
        "size_bytes",
        time_column("received_at"),
        copyable_column("sha256"),
        copyable_column("uri"),
    )
    list_filter = ("dataset",)
    search_fields = ("logical_id", "filename", "sha256")
    search_help_text = "Logical id, file name or SHA-256"


@admin.register(Work)
class WorkAdmin(PipelineAdmin):
    list_display = ("dataset", "kind", "reason", "upstream", "run", time_column("created_at", "waiting since"))
    list_filter = ("kind", "reason", "dataset")
    list_select_related = ("run",)
    ordering = ("-id",)


@admin.register(DatasetState)
class DatasetStateAdmin(PipelineAdmin):
    list_display = ("dataset", "layer", time_column("refreshed_at"), "failures", "table_version", time_column("maintained_at"))
    list_filter = ("layer",)


@admin.register(KpiValue)
class KpiValueAdmin(PipelineAdmin):
    list_display = ("kpi", "business_date", "value", "numerator", "denominator", time_column("computed_at", "published"))
    list_filter = ("kpi",)
    date_hierarchy = "business_date"

    def get_queryset(self, request: HttpRequest) -> QuerySet[KpiValue]:
        found: QuerySet[KpiValue] = super().get_queryset(request)
        return found.select_related("step")


@admin.register(StopSwitch)
class StopSwitchAdmin(PipelineAdmin):
    list_display = ("scope", "reason", "stopped_by", time_column("stopped_at"))
