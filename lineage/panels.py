"""What the lineage app adds to the frame: sidebar entry, search, and the picture on the pages of datasets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.http import HttpRequest

from controlplane.accounts.permissions import user_has_role
from controlplane.accounts.roles import Role
from controlplane.ui import registry
from controlplane.ui.pages import STAFF_ROLES
from lineage import selectors
from lineage.errors import NodeUnknown
from lineage.views.picture import picture
from lineage.views.state import State, node_url

registry.nav("Catalog", "Lineage", "lineage", "graph", roles=STAFF_ROLES, order=30)
registry.nav("Catalog", "Jobs in events", "lineage_jobs", "flow", roles=STAFF_ROLES, order=40)
registry.nav("Catalog", "Runs in events", "lineage_runs", "play", roles=STAFF_ROLES, order=50)
registry.nav("Administration", "Refused events", "lineage_refused", "reject", roles=("oncall", "steward", "dpo"), order=60)


@registry.search_provider("lineage", order=30)
def search(request: HttpRequest, term: str, limit: int) -> Iterable[registry.Hit]:
    """Jobs and datasets of the graph whose name contains the term."""
    if not user_has_role(request.user, *STAFF_ROLES, Role.AUDITOR):
        return []
    return [
        registry.Hit(hit.name, node_url(hit.node_id), f"Lineage of a {hit.kind}", "graph")
        for hit in selectors.search(term, limit=limit)
    ]


@registry.panel("dataset", title="Lineage", key="lineage", tab="lineage", order=10)
def dataset_panel(_request: HttpRequest, dataset: Any) -> tuple[str, Mapping[str, Any]] | None:
    """One step around the dataset of a catalog entry; nothing while no event has named it."""
    node_id = f"dataset:{dataset.namespace}:{dataset.name}"
    try:
        found = selectors.node_resolve(node_id)
    except NodeUnknown:
        return None
    drawn = picture(found, State(node=node_id, depth=1), limit=80, controls=False)
    return "lineage/panel.html", {"picture": drawn, "href": node_url(node_id)}
