"""What the catalog adds to the frame: sidebar entries and search."""

from __future__ import annotations

from collections.abc import Iterable

from django.http import HttpRequest

from catalog import selectors
from controlplane.accounts.permissions import user_has_role
from controlplane.ui import registry
from controlplane.ui.pages import EVERY_ROLE

registry.nav("Catalog", "Data products", "products", "box", roles=EVERY_ROLE, order=10)
registry.nav("Catalog", "Datasets", "datasets", "table", roles=EVERY_ROLE, order=20)


@registry.search_provider("catalog", order=20)
def search(request: HttpRequest, term: str, limit: int) -> Iterable[registry.Hit]:
    """Products and datasets whose name contains the term."""
    if not user_has_role(request.user, *EVERY_ROLE):
        return []
    hits = [
        registry.Hit(one.name, one.get_absolute_url(), "Data product", "box") for one in selectors.products(search=term)[:limit]
    ]
    return hits + [
        registry.Hit(str(one), one.get_absolute_url(), f"Dataset, {one.layer}" if one.layer else "Dataset", "table")
        for one in selectors.datasets(search=term)[:limit]
    ]
