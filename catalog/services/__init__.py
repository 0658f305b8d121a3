"""Writes of the catalog. Each public function is one transaction and is audited when a person acts."""

from catalog.services.contracts import (
    Imported,
    SyncReport,
    SyncResult,
    contract_edit,
    contract_import,
    contract_offer,
    contracts_sync,
)
from catalog.services.datasets import EventField, dataset_upsert_from_event
from catalog.services.products import people_link, product_update

__all__ = [
    "EventField",
    "Imported",
    "SyncReport",
    "SyncResult",
    "contract_edit",
    "contract_import",
    "contract_offer",
    "contracts_sync",
    "dataset_upsert_from_event",
    "people_link",
    "product_update",
]
