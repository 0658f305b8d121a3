"""Which edges are in the graph: now, or as it was known at a moment. The one place that knows how edges end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

__all__ = ["View"]


@dataclass(frozen=True)
class View:
    """The graph as known at ``as_of`` (recorded at or before); None is now.

    A dropped dataset hides its edges; when it comes back, those last stated before its end stay hidden. Names are merged by
    the symlinks known now. Conditions are SQL that takes ``values`` as named parameters; ``parameter`` is the moment's name.
    """

    as_of: datetime | None = None
    parameter: str = "as_of"

    @property
    def values(self) -> dict[str, Any]:
        return {} if self.as_of is None else {self.parameter: self.as_of}

    @property
    def _moment(self) -> str:
        return f"%({self.parameter})s"

    def edges(self, edge: str, dataset: str) -> str:
        """Condition on a row of ``lineage_edge`` joined to its dataset."""
        if self.as_of is None:
            return self._alive_now(dataset, f"{edge}.last_time > {dataset}.drop_time")
        ended = (
            f"(SELECT max(l.event_time) FROM lineage_life l"  # noqa: S608
            f" WHERE l.dataset_id = {dataset}.id AND l.known_from <= {self._moment} AND NOT l.alive)"
        )
        return f"({edge}.known_from <= {self._moment} AND {self.alive(dataset)} AND coalesce({edge}.last_time > {ended}, true))"

    def claims(self, claim: str) -> str:
        """Condition on a row of ``lineage_edgeclaim``: it rules."""
        if self.as_of is None:
            return f"{claim}.known_to IS NULL"
        return f"({claim}.known_from <= {self._moment} AND ({claim}.known_to IS NULL OR {claim}.known_to > {self._moment}))"

    def datasets(self, dataset: str, claim: str) -> str:
        """Condition on a dataset at the end of an explicit edge: it is there, and the edge was stated after its last end."""
        if self.as_of is None:
            return self._alive_now(dataset, f"{claim}.event_time > {dataset}.drop_time")
        return self.alive(dataset)

    def alive(self, dataset: str) -> str:
        """Condition on a dataset: it has not ended."""
        if self.as_of is None:
            return self._alive_now(dataset, "true")
        return (
            f"coalesce((SELECT l.alive FROM lineage_life l WHERE l.dataset_id = {dataset}.id AND l.known_from <= {self._moment}"  # noqa: S608
            f" ORDER BY l.known_from DESC LIMIT 1), true)"
        )

    @staticmethod
    def _alive_now(dataset: str, stated_later: str) -> str:
        return (
            f"({dataset}.drop_time IS NULL OR (({dataset}.write_time, {dataset}.write_identity)"
            f" > ({dataset}.drop_time, {dataset}.drop_identity) AND {stated_later}))"
        )
