"""What the catalog says over the lineage graph: where personal data is, by the contracts' classifications."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from catalog.selectors_nodes import COLUMN, DATASET, datasets_of_nodes, fields_of_nodes
from controlplane.ui import registry
from controlplane.ui.registry import Mark


@registry.overlay(
    "personal",
    title="Personal data",
    legend="As the contracts in force declare it. Datasets without a mark have no contract that says anything about them.",
    order=40,
)
def personal(node_ids: Iterable[str]) -> Mapping[str, Mark]:
    """Marks of datasets, and of the columns of those that are opened. Two queries."""
    wanted = set(node_ids)
    entries = datasets_of_nodes(wanted)
    fields = fields_of_nodes(entries)
    marks: dict[str, Mark] = {}
    for node_id, entry in entries.items():
        held = [field for field in fields.get(node_id, ()) if field.pii]
        if held:
            high = [field for field in held if field.classification == "high"]
            words = f"{len(held)} personal column{'s' if len(held) != 1 else ''}" + (f", {len(high)} sensitive" if high else "")
            marks[node_id] = Mark("sensitive" if high else "personal", words, entry.get_absolute_url())
        elif entry.current_version_id:
            marks[node_id] = Mark("not_personal", "No personal data declared", entry.get_absolute_url())
        for field in held:
            column = f"{COLUMN}{node_id.removeprefix(DATASET)}:{field.name}"
            if column in wanted:
                marks[column] = Mark("sensitive" if field.classification == "high" else "personal", field.pii)
    return marks
