"""How datasets are named in lineage events: namespace of this installation's lake, ``<layer>.<dataset>``."""

from __future__ import annotations

NAMESPACE = "touchstone"


def event_name(layer: str, dataset: str) -> str:
    """``("silver", "orders")`` → ``silver.orders``."""
    return f"{layer}.{dataset}"
