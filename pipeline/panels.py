"""What the pipeline adds to the frame: sidebar entries and search."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.http import HttpRequest
from django.urls import reverse

from controlplane.accounts.permissions import user_has_role
from controlplane.accounts.roles import Role
from controlplane.ui import registry
from controlplane.ui.pages import EVERY_ROLE, STAFF_ROLES
from pipeline import selectors_drops
from pipeline.models import Drop, Run

registry.nav("Data plane", "Runs", "runs", "flow", roles=STAFF_ROLES, order=10)
registry.nav("Data plane", "Drops", "drops", "inbox", roles=EVERY_ROLE, order=20)
registry.nav("Data plane", "Rejects", "rejects", "reject", roles=STAFF_ROLES, order=30)
registry.nav("Data plane", "Quarantine", "quarantine", "quarantine", roles=STAFF_ROLES, order=40)
registry.nav("Data plane", "Limits and switches", "limits", "gauge", roles=STAFF_ROLES, order=50)


@registry.search_provider("pipeline", order=40)
def search(request: HttpRequest, term: str, limit: int) -> Iterable[registry.Hit]:
    """Runs by the beginning of their id, drops by file name or the beginning of their SHA-256."""
    if not user_has_role(request.user, *EVERY_ROLE):
        return []
    hits = [
        registry.Hit(
            f"{drop.filename} ({drop.dataset})",
            reverse("drop", args=[drop.uuid]),
            f"Drop, {drop.get_state_display().lower()}",
            "inbox",
        )
        for drop in selectors_drops.drops_matching(Drop.objects.all(), term)[:limit]
    ]
    if user_has_role(request.user, *STAFF_ROLES, Role.AUDITOR):
        hits += [
            registry.Hit(f"{run}: {run.trigger}", reverse("run", args=[run.uuid]), "Run", "flow") for run in _runs(term, limit)
        ]
    return hits


def _runs(term: str, limit: int) -> list[Run]:
    """Runs whose id starts with the term; a range over the index instead of a cast of every row."""
    digits = term.lower().replace("-", "")
    if len(digits) < 4 or len(digits) > 32 or any(letter not in "0123456789abcdef" for letter in digits):
        return []
    low, high = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    return list(Run.objects.filter(uuid__gte=low, uuid__lte=high)[:limit])
