"""Read-only lists of what events said, and the refused ones."""

from __future__ import annotations

from django.contrib import admin

from controlplane.ui.admin import TouchstoneAdmin, copyable_column, state_column, time_column
from controlplane.ui.pages import STAFF_ROLES
from lineage.models import Dataset, Job, Quarantine, Run


@admin.register(Dataset)
class DatasetAdmin(TouchstoneAdmin):
    read_roles = STAFF_ROLES
    list_display = ("name", "namespace", time_column("last_event_at", "Last event"), time_column("known_from", "Known since"))
    search_fields = ("name",)
    ordering = ("-last_event_at",)


@admin.register(Job)
class JobAdmin(TouchstoneAdmin):
    read_roles = STAFF_ROLES
    list_display = (
        "name",
        "namespace",
        time_column("last_event_at", "Last event"),
        copyable_column("latest_run_id", "Last run"),
    )
    search_fields = ("name",)
    ordering = ("-last_event_at",)


@admin.register(Run)
class RunAdmin(TouchstoneAdmin):
    read_roles = STAFF_ROLES
    list_display = (
        copyable_column("run_id", "Run"),
        "state",
        time_column("first_time", "Started"),
        time_column("last_time", "Last event"),
    )
    list_filter = ("state",)
    search_fields = ("run_id",)
    ordering = ("-first_time",)


@admin.register(Quarantine)
class QuarantineAdmin(TouchstoneAdmin):
    """Bodies may hold personal data: they are shown to on-call engineers, who have to mend the producer, and to stewards."""

    read_roles = ("oncall", "steward", "dpo")
    list_display = (
        state_column("state"),
        "path",
        "reason",
        "producer",
        "namespace",
        "times",
        time_column("last_received_at", "Last sent"),
    )
    list_filter = ("state", "stage", "producer")
    search_fields = ("reason", "path")
    ordering = ("-last_received_at",)
