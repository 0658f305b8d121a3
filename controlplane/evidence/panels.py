"""What evidence adds to the frame: its sidebar entry, and KPIs in the search."""

from __future__ import annotations

from collections.abc import Iterable

from django.http import HttpRequest
from django.urls import reverse

from controlplane.accounts.permissions import user_has_role
from controlplane.accounts.roles import Role
from controlplane.ui import registry
from controlplane.ui.pages import STAFF_ROLES
from pipeline import selectors_trail

registry.nav("Evidence", "Trace a figure", "evidence", "trace", roles=STAFF_ROLES, order=10)


@registry.search_provider("kpis", order=20)
def search(request: HttpRequest, term: str, limit: int) -> Iterable[registry.Hit]:
    if not user_has_role(request.user, *STAFF_ROLES, Role.AUDITOR):
        return []
    wanted = term.lower()
    return [
        registry.Hit(contract.kpi.title, reverse("evidence_kpi", args=[contract.kpi.key]), "KPI", "trace")
        for contract in selectors_trail.kpi_contracts()
        if contract.kpi and (wanted in contract.kpi.title.lower() or wanted in contract.kpi.key)
    ][:limit]
