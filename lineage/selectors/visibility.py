"""Which edges are in the graph: now, or as it was known at a moment. The one place that knows how edges end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

__all__ = ["View"]


@dataclass(frozen=True)
class View:
    """The graph as known at ``as_of`` (recorded at or before); None is now.

    Edges, claims and places are intervals of knowledge, so each moment's graph is that of the events recorded by then.
    Conditions are SQL that takes ``values`` as named parameters; ``parameter`` is the moment's name.
    """

    as_of: datetime | None = None
    parameter: str = "as_of"

    @property
    def values(self) -> dict[str, Any]:
        return {} if self.as_of is None else {self.parameter: self.as_of}

    def _known(self, row: str) -> str:
        if self.as_of is None:
            return f"{row}.known_to IS NULL"
        moment = f"%({self.parameter})s"
        return f"({row}.known_from <= {moment} AND ({row}.known_to IS NULL OR {row}.known_to > {moment}))"

    def edges(self, edge: str) -> str:
        """Condition on a row of ``lineage_edge``: it holds."""
        return self._known(edge)

    def claims(self, claim: str) -> str:
        """Condition on a row of ``lineage_edgeclaim``: it rules, and its job still names the dataset it is about.

        Edges that a ``lineage`` facet states stand only while the job's output is one whose sources such a facet states.
        """
        return (
            f"({self._known(claim)} AND ({claim}.job_id = 0 OR EXISTS (SELECT FROM lineage_edge held"
            f" WHERE held.job_id = {claim}.job_id AND held.dataset_id = {claim}.dataset_id AND {self._known('held')}"
            f" AND ({claim}.source = 1 OR held.direction = 1 OR held.explicit))))"
        )

    def places(self, place: str, claim: str = "") -> str:
        """Condition on a row of ``lineage_place``: it holds, and (with a claim) it is where the claim's names lead."""
        if not claim:
            return self._known(place)
        said = f"({claim}.event_time, {claim}.identity)"
        return (
            f"({self._known(place)} AND ({place}.after_time IS NULL OR {said} > ({place}.after_time, {place}.after_identity))"
            f" AND ({place}.until_time IS NULL OR {said} <= ({place}.until_time, {place}.until_identity)))"
        )

    def alive(self, dataset: str) -> str:
        """Condition on a row of ``lineage_dataset``: its name stands for something (again, if it ever ended)."""
        return (
            f"EXISTS (SELECT FROM lineage_place stands WHERE stands.dataset_id = {dataset}.id"
            f" AND stands.until_time IS NULL AND {self._known('stands')})"
        )
