"""The home page's own entries in the sidebar, and the search over pages."""

from __future__ import annotations

from collections.abc import Iterable

from django.http import HttpRequest

from controlplane.accounts.roles import Role
from controlplane.home.unfold import navigation
from controlplane.ui import registry
from controlplane.ui.pages import EVERY_ROLE, STAFF_ROLES

registry.nav("", "Home", "admin:index", "home", roles=EVERY_ROLE, order=10)
registry.nav("Administration", "People", "admin:accounts_user_changelist", "users", roles=(Role.ADMIN,), order=20)
registry.nav("Administration", "API keys", "admin:accounts_apikey_changelist", "key", roles=(Role.ADMIN,), order=30)
registry.nav("Administration", "Audit log", "admin:audit_auditentry_changelist", "log", roles=(Role.DPO,), order=40)
registry.nav("Administration", "System", "system", "server", roles=STAFF_ROLES, order=10)
registry.nav("Administration", "All records", "admin:records", "table", roles=STAFF_ROLES, order=90)


@registry.search_provider("pages", order=10)
def pages(request: HttpRequest, term: str, limit: int) -> Iterable[registry.Hit]:
    """Entries of the reader's own sidebar."""
    wanted = term.lower()
    return [
        registry.Hit(item["title"], item["link"], group["title"] or "Page", item["icon"])
        for group in navigation(request)
        for item in group["items"]
        if wanted in item["title"].lower()
    ][:limit]
