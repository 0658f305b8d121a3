"""Where the lineage app may hold data of persons: what producers wrote into their events, and refused bodies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from controlplane.subjects.protocol import Found, SubjectIdentifiers
from controlplane.subjects.registry import register
from lineage import selectors


class Bodies:
    """Events as producers sent them, their latest facets, and the bodies that were refused."""

    name = "lineage.bodies"
    description = (
        "OpenLineage events, verbatim: facets may name owners, hold SQL with literals, error messages with values. Kept to fold"
        " the graph again and to prove where figures come from."
    )
    population: Literal["both"] = "both"

    def find(self, identifiers: SubjectIdentifiers) -> Iterable[Found]:
        values = [value for kind in identifiers.values for value in identifiers.of(kind) if value.strip()]
        for table, records in selectors.bodies_mentioning(values).items():
            yield Found(f"table:{table}", records, tuple(sorted(set(self.describe().values()))))

    def describe(self) -> Mapping[str, str]:
        return {
            "lineage_event.body": "user",
            "lineage_quarantine.body": "user",
            "lineage_facet.body": "user",
            "lineage_runfacet.body": "user",
        }


register(Bodies())
