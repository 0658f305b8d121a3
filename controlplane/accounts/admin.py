"""People, roles and keys, for administrators (auditors see them). Changes go through the services, which keep the audit log."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from controlplane.accounts import services
from controlplane.accounts.errors import AccountError
from controlplane.accounts.models import ApiKey, User
from controlplane.accounts.roles import Role

if admin.site.is_registered(Group):
    admin.site.unregister(Group)  # roles take the place of groups


class UserForm(forms.ModelForm):  # type: ignore[type-arg]
    roles = forms.MultipleChoiceField(choices=Role.choices, required=False, widget=forms.CheckboxSelectMultiple)
    new_password = forms.CharField(
        required=False, widget=forms.PasswordInput, help_text="Sets a password for a new person; left empty, none can be used."
    )
    reason = forms.CharField(required=False, help_text="Kept in the audit log.")

    class Meta:
        model = User
        fields = ("username", "first_name", "last_name", "email", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and "roles" in self.fields:
            self.fields["roles"].initial = list(self.instance.role_grants.values_list("role", flat=True))


@admin.register(User)
class UserAdmin(ModelAdmin):  # type: ignore[misc]
    form = UserForm
    list_display = ("username", "held_roles", "is_active", "last_login")
    list_filter = ("is_active", "role_grants__role")
    search_fields = ("username",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return User.objects.prefetch_related("role_grants").order_by("username")

    def get_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        common = ["username", "first_name", "last_name", "email", "is_active"]
        if not self.has_change_permission(request, obj):
            return [*common, "held_roles"]
        return [*common, "roles", "reason"] if obj else ["username", "email", "new_password", "roles"]

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        return ("username", "held_roles") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False  # disabling keeps what they did attributed

    # Django's action log would keep names; the audit log keeps them where they can be erased.
    def log_addition(self, request: HttpRequest, obj: User, message: object) -> None:
        return None

    def log_change(self, request: HttpRequest, obj: User, message: object) -> None:
        return None

    @admin.display(description="Roles")
    def held_roles(self, user: User) -> str:
        return ", ".join(sorted(grant.get_role_display() for grant in user.role_grants.all())) or "none"

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        data = form.cleaned_data
        try:
            if change:
                services.user_update(user=obj, values=data, roles=data["roles"], actor=_actor(request), reason=data["reason"])
                return
            made = services.user_create(
                username=data["username"],
                password=data["new_password"] or None,
                roles=data["roles"],
                actor=_actor(request),
                email=data["email"],
            )
            obj.pk = made.pk
        except AccountError as fault:
            self.message_user(request, f"Nothing was saved: {fault}", messages.ERROR)


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):  # type: ignore[misc]
    """Keys are made on the command line, which shows the secret once; here they are seen and revoked."""

    list_display = ("name", "shown", "role", "namespaces", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_filter = ("role",)
    search_fields = ("name", "prefix")
    actions = ("revoke",)
    fields = readonly_fields = list_display

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    @admin.display(description="Key")
    def shown(self, key: ApiKey) -> str:
        return f"ts_{key.prefix}_…"

    @admin.action(description="Revoke", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset:
            services.apikey_revoke(name=key.name, actor=_actor(request))
        self.message_user(request, "The keys are refused from now on.", messages.SUCCESS)


def _actor(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user
