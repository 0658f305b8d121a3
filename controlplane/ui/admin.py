"""The base class of every model's admin pages: read-only and closed unless it says otherwise.

>>> @admin.register(Suite)
... class SuiteAdmin(TouchstoneAdmin):
...     read_roles = ("owner", "oncall")
...     list_display = ("name", state_column("state"), time_column("created_at"))

Auditors read and administrators do everything without being named (``accounts.domain.access.passes``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import label_for_field, lookup_field
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model, QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.html import strip_tags
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from controlplane.accounts.domain.access import passes
from controlplane.accounts.principals import actor_of
from controlplane.accounts.selectors import roles_of
from controlplane.audit import services as audit
from controlplane.ui import components
from controlplane.ui.csv import csv_line, csv_response

Column = Callable[[Any], Any]


class TouchstoneAdmin(ModelAdmin):  # type: ignore[misc]
    """Roles are declared; everything not declared is denied. Changes are written to the audit log."""

    read_roles: tuple[str, ...] = ()
    change_roles: tuple[str, ...] = ()
    add_roles: tuple[str, ...] = ()
    delete_roles: tuple[str, ...] = ()
    csv_fields: tuple[str, ...] = ()

    list_per_page = 50
    show_full_result_count = False
    list_filter_submit = True
    actions = ("export_csv",)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return passes(roles_of(request.user), self.read_roles + self.change_roles, method="GET")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._may_write(request, self.change_roles)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._may_write(request, self.add_roles)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._may_write(request, self.delete_roles)

    def _may_write(self, request: HttpRequest, roles: tuple[str, ...]) -> bool:
        # An empty tuple is read-only for everybody, administrators too: those models change through services alone.
        return bool(roles) and passes(roles_of(request.user), roles, method="POST")

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        fields = sorted(getattr(form, "changed_data", []))
        self._record(request, obj, "change" if change else "add", {"fields": fields})

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        self._record(request, obj, "delete", {})
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for obj in queryset:
            self._record(request, obj, "delete", {})
        super().delete_queryset(request, queryset)

    def _record(self, request: HttpRequest, obj: Model, verb: str, payload: dict[str, Any]) -> None:
        audit.record(
            action=f"{obj._meta.app_label}.{obj._meta.model_name}_{verb}",
            actor=actor_of(request),
            target=f"{obj._meta.app_label}.{obj._meta.model_name}:{obj.pk}",
            payload=payload,
        )

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        found: dict[str, Any] = super().get_actions(request)
        if not self.has_delete_permission(request):
            found.pop("delete_selected", None)
        return found

    @admin.action(description="Export the selected rows as CSV")
    def export_csv(self, request: HttpRequest, queryset: QuerySet[Any]) -> StreamingHttpResponse:
        names = list(self.csv_fields or self.get_list_display(request))

        def lines() -> Iterator[str]:
            yield csv_line([strip_tags(str(label_for_field(name, self.model, self))) for name in names])
            for row in queryset.iterator(chunk_size=2000):
                yield csv_line([self._csv_value(name, row) for name in names])

        return csv_response(lines(), str(self.model._meta.verbose_name_plural))

    def _csv_value(self, name: Any, row: Model) -> Any:
        raw = getattr(name, "csv_field", None) or name
        try:
            _, _, value = lookup_field(raw, row, self)
        except ObjectDoesNotExist:
            return ""
        return strip_tags(value) if isinstance(value, SafeString) else value


def state_column(field: str, description: str = "State") -> Column:
    """A list column that shows a state as icon, word and colour."""

    @admin.display(description=description, ordering=field)
    def column(row: Any) -> SafeString:
        return components.state(getattr(row, field))

    return _named(column, field)


def time_column(field: str, description: str = "") -> Column:
    """A list column that shows a moment as relative time, with exact UTC and local time behind it."""

    @admin.display(description=description or field.removesuffix("_at").replace("_", " "), ordering=field)
    def column(row: Any) -> SafeString:
        return components.time(getattr(row, field))

    return _named(column, field)


def copyable_column(field: str, description: str = "") -> Column:
    """A list column with a short id or a path, and a button that copies the whole of it."""

    @admin.display(description=description or field.replace("_", " "), ordering=field)
    def column(row: Any) -> SafeString:
        return components.copyable(str(getattr(row, field) or ""))

    return _named(column, field)


def _named(column: Column, field: str) -> Column:
    column.__name__ = f"column_{field}"
    column.csv_field = field  # type: ignore[attr-defined]
    return column
