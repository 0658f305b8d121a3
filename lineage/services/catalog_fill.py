"""Tell the catalog of datasets that events brought: only new ones and changed schemas, so a busy pipeline costs nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import structlog
from django.db import Error, transaction

from catalog import services as catalog
from catalog.services import EventField
from lineage.domain.delta import Delta

__all__ = ["datasets_announce"]

log = structlog.get_logger(__name__)


def datasets_announce(*, delta: Delta, changed: Iterable[int]) -> None:
    """Within the projector's transaction. What the catalog cannot hold is logged and leaves the graph as it is."""
    for key in sorted(changed):
        dataset = delta.datasets[key]
        try:
            with transaction.atomic():
                catalog.dataset_upsert_from_event(
                    namespace=dataset.namespace,
                    name=dataset.name,
                    fields=_fields(delta, key),
                    description=_text(_body(delta, key, "documentation").get("description")),
                    uri=_text(_body(delta, key, "dataSource").get("uri")),
                    seen_at=dataset.last_event_time,
                )
        except Error as error:
            log.warning("lineage.catalog_refused", dataset_id=key, error=type(error).__name__)


def _fields(delta: Delta, key: int) -> list[EventField]:
    fields = _body(delta, key, "schema").get("fields")
    return [
        EventField(name=item["name"], type=_text(item.get("type")), description=_text(item.get("description")))
        for item in (fields if isinstance(fields, list) else [])
        if isinstance(item, dict) and isinstance(item.get("name"), str) and item["name"]
    ]


def _body(delta: Delta, key: int, name: str) -> dict[str, Any]:
    facet = delta.facets.get(("dataset", key, name))
    body = json.loads(facet.body) if facet and not facet.deleted else {}
    return body if isinstance(body, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
