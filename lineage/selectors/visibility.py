"""Which edges are in the graph: now, or as it was known at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class View:
    """The graph as known at ``as_of`` (recorded at or before); None is now.

    A dropped dataset hides its edges; when it comes back, those last stated before its end stay hidden. Names are merged by
    the symlinks known now.
    """

    as_of: datetime | None = None

    def edges(self, edge: str, dataset: str) -> tuple[str, list[Any]]:
        """Condition on a row of ``lineage_edge`` joined to its dataset."""
        if self.as_of is None:
            return self._alive_now(dataset, f"{edge}.last_time > {dataset}.drop_time"), []
        last = (
            f"(SELECT CASE WHEN l.alive THEN 'infinity'::timestamptz ELSE l.event_time END FROM lineage_life l"  # noqa: S608
            f" WHERE l.dataset_id = {dataset}.id AND l.known_from <= %s ORDER BY l.known_from DESC LIMIT 1)"
        )
        ended = (
            f"(SELECT max(l.event_time) FROM lineage_life l"  # noqa: S608
            f" WHERE l.dataset_id = {dataset}.id AND l.known_from <= %s AND NOT l.alive)"
        )
        return (
            f"({edge}.known_from <= %s AND coalesce({last} = 'infinity', true) AND coalesce({edge}.last_time > {ended}, true))",
            [self.as_of, self.as_of, self.as_of],
        )

    def claims(self, claim: str) -> tuple[str, list[Any]]:
        """Condition on a row of ``lineage_edgeclaim``: it rules."""
        if self.as_of is None:
            return f"{claim}.known_to IS NULL", []
        return (
            f"{claim}.known_from <= %s AND ({claim}.known_to IS NULL OR {claim}.known_to > %s)",
            [self.as_of, self.as_of],
        )

    def datasets(self, dataset: str, claim: str) -> tuple[str, list[Any]]:
        """Condition on a dataset at the end of an explicit edge: it is there, and the edge was stated after its last end."""
        if self.as_of is None:
            return self._alive_now(dataset, f"{claim}.event_time > {dataset}.drop_time"), []
        return (
            f"coalesce((SELECT l.alive FROM lineage_life l WHERE l.dataset_id = {dataset}.id AND l.known_from <= %s"  # noqa: S608
            f" ORDER BY l.known_from DESC LIMIT 1), true)",
            [self.as_of],
        )

    @staticmethod
    def _alive_now(dataset: str, stated_later: str) -> str:
        return (
            f"({dataset}.drop_time IS NULL OR (({dataset}.write_time, {dataset}.write_identity)"
            f" > ({dataset}.drop_time, {dataset}.drop_identity) AND {stated_later}))"
        )
