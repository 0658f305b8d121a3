"""Seeing what waits and what was given up, and sending it again."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from controlplane.outbox import services
from controlplane.outbox.models import OutboxMessage


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [("waiting", "Waiting"), ("dead", "Given up"), ("delivered", "Delivered")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[OutboxMessage]) -> QuerySet[OutboxMessage]:
        match self.value():
            case "waiting":
                return queryset.filter(delivered_at__isnull=True, dead_at__isnull=True)
            case "dead":
                return queryset.filter(dead_at__isnull=False)
            case "delivered":
                return queryset.filter(delivered_at__isnull=False)
        return queryset


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ModelAdmin):  # type: ignore[misc]
    """Read-only, but for sending again what was given up."""

    list_display = ("state", "topic", "key", "created_at", "due_at", "attempts", "last_error")
    list_filter = (StateFilter, "topic")
    search_fields = ("key", "topic")
    ordering = ("-id",)
    show_full_result_count = False
    actions = ("resend",)
    fields = readonly_fields = (
        "state",
        "uuid",
        "topic",
        "key",
        "payload",
        "headers",
        "created_at",
        "due_at",
        "attempts",
        "delivered_at",
        "dead_at",
        "last_error",
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: OutboxMessage | None = None) -> bool:
        return False

    @admin.display(description="State")
    def state(self, message: OutboxMessage) -> str:
        if message.delivered_at:
            return "✓ Delivered"
        return "✕ Given up" if message.dead_at else "… Waiting"

    @admin.action(description="Send again what was given up", permissions=["change"])
    def resend(self, request: HttpRequest, queryset: QuerySet[OutboxMessage]) -> None:
        actor = request.user
        sent = services.messages_resend(
            ids=list(queryset.values_list("id", flat=True)),
            actor_ref=getattr(actor, "audit_ref", "system"),
            actor_name=getattr(actor, "audit_name", ""),
        )
        self.message_user(request, f"{sent} messages are sent again.", messages.SUCCESS if sent else messages.WARNING)
