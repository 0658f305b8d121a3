"""Browsing the audit log: read-only, for whoever may view it."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin

from controlplane.audit import selectors
from controlplane.audit.models import AuditEntry

# A page shows the newest proof; the whole chain is walked by `manage.py audit verify`.
READ_ONLY = (
    "seq",
    "recorded_at",
    "action",
    "actor_shown",
    "target",
    "reason",
    "payload_shown",
    "correlation_id",
    "proof",
    "hash",
)


@admin.register(AuditEntry)
class AuditEntryAdmin(ModelAdmin):  # type: ignore[misc]
    """Nobody adds, changes or deletes here; the database refuses it as well."""

    list_display = ("recorded_at", "action", "actor_shown", "target", "proof", "correlation_id")
    list_filter = (("recorded_at", admin.DateFieldListFilter), "action")
    search_fields = ("action", "target", "actor", "correlation_id")
    search_help_text = "Action, target, actor or correlation id"
    list_select_related = ("payload",)
    show_full_result_count = False
    ordering = ("-id",)
    fields = readonly_fields = READ_ONLY
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        found = selectors.tail()
        state = (
            f"{found.entries} entries wait for their seal (oldest {found.oldest_s:.1f} s). "
            if found.entries
            else "All sealed. "
        )
        subtitle = f"{state}Verify the whole chain with: manage.py audit verify"
        return super().changelist_view(request, {**(extra_context or {}), "subtitle": subtitle})  # type: ignore[no-any-return]

    @admin.display(description="Actor", ordering="actor")
    def actor_shown(self, entry: AuditEntry) -> str:
        return str(_document(entry).get("actor_name") or entry.actor)

    @admin.display(description="Reason")
    def reason(self, entry: AuditEntry) -> str:
        return str(_document(entry).get("reason") or "–")

    @admin.display(description="Details")
    def payload_shown(self, entry: AuditEntry) -> str:
        if _erased(entry):
            return "Erased. The chain holds its salted commitment only."
        return json.dumps(_document(entry).get("payload"), indent=2, ensure_ascii=False)

    @admin.display(description="Seal")
    def proof(self, entry: AuditEntry) -> str:
        return f"✓ Sealed as {entry.seq}" if entry.seq is not None else "… Not sealed yet"


def _erased(entry: AuditEntry) -> bool:
    payload = getattr(entry, "payload", None)
    return payload is None or payload.document is None


def _document(entry: AuditEntry) -> dict[str, Any]:
    if _erased(entry):
        return {}
    found: dict[str, Any] = json.loads(entry.payload.document or "{}")
    return found
