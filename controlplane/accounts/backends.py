"""Django's permissions from roles, for the admin of apps that stand below this one and of third parties."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser

from controlplane.accounts.models import User
from controlplane.accounts.roles import Role
from controlplane.accounts.selectors import roles_of

# Administrators are superusers, to whom Django grants everything before it asks a backend.
GRANTED: dict[str, frozenset[str]] = {
    Role.ONCALL: frozenset({"outbox.view_outboxmessage", "outbox.change_outboxmessage", "audit.view_auditentry"}),
    Role.DPO: frozenset({"audit.view_auditentry"}),
}


class RoleBackend(ModelBackend):
    """Signs people in by password, and grants what their roles allow; an auditor may view everything."""

    def has_perm(self, user_obj: User | AnonymousUser, perm: str, obj: Any = None) -> bool:
        held = roles_of(user_obj)
        if Role.AUDITOR in held and perm.split(".", 1)[-1].startswith("view_"):
            return True
        return any(perm in GRANTED.get(role, ()) for role in held)

    def has_module_perms(self, user_obj: User | AnonymousUser, app_label: str) -> bool:
        held = roles_of(user_obj)
        if Role.AUDITOR in held:
            return True
        return any(perm.startswith(f"{app_label}.") for role in held for perm in GRANTED.get(role, ()))
