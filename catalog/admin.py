"""The catalog's tables under "All records": read only. Changes go through the pages of products and contracts."""

from __future__ import annotations

from django.contrib import admin

from catalog.models import ContractVersion, DataProduct, Dataset
from controlplane.ui.admin import TouchstoneAdmin, copyable_column, state_column, time_column
from controlplane.ui.pages import EVERY_ROLE


@admin.register(DataProduct)
class DataProductAdmin(TouchstoneAdmin):
    read_roles = EVERY_ROLE
    list_display = (state_column("state"), "name", "domain", "owner", "steward", "tier", time_column("updated_at"))
    list_display_links = ("name",)
    list_filter = ("domain", "state", "tier", "owner")
    search_fields = ("name", "key", "description")
    list_select_related = ("owner", "steward")


@admin.register(Dataset)
class DatasetAdmin(TouchstoneAdmin):
    read_roles = EVERY_ROLE
    list_display = (
        "name",
        "layer",
        "product",
        "source",
        "current_version",
        time_column("last_seen_at"),
        copyable_column("uri"),
    )
    list_filter = ("layer", "source")
    search_fields = ("name", "contract_name", "description")
    list_select_related = ("product", "current_version__dataset")


@admin.register(ContractVersion)
class ContractVersionAdmin(TouchstoneAdmin):
    read_roles = EVERY_ROLE
    list_display = (
        "dataset",
        "version",
        "origin",
        "breaking",
        "imported_by",
        time_column("created_at"),
        copyable_column("sha256"),
    )
    list_filter = ("origin", "breaking")
    search_fields = ("dataset__contract_name", "sha256")
    list_select_related = ("dataset", "imported_by")
