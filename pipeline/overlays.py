"""What the pipeline says over the lineage graph: whether each dataset keeps its freshness promise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.utils import timezone

from catalog.selectors import contracts_current
from catalog.selectors_nodes import datasets_of_nodes
from controlplane.ui import registry
from controlplane.ui.formats import duration
from controlplane.ui.registry import Mark
from pipeline.selectors import dataset_states
from pipeline.selectors_promises import max_age_s


@registry.overlay(
    "freshness",
    title="Freshness",
    legend="Age of the last good refresh against what the contract promises. Datasets without a mark promise nothing.",
    order=10,
)
def freshness(node_ids: Iterable[str]) -> Mapping[str, Mark]:
    """Marks of datasets whose contract states a maximum age; a fixed number of queries."""
    entries = datasets_of_nodes(node_ids)
    contracts, states, now = contracts_current(), dataset_states(), timezone.now()
    marks = {}
    for node_id, entry in entries.items():
        contract = contracts.get(entry.contract_name or "")
        promised_s = max_age_s(contract) if contract else None
        if promised_s is None:
            continue
        refreshed = getattr(states.get(entry.contract_name or ""), "refreshed_at", None)
        if refreshed is None:
            marks[node_id] = Mark("unknown", "Not refreshed yet", entry.get_absolute_url())
            continue
        age_s = (now - refreshed).total_seconds()
        late = age_s > promised_s
        words = f"Late by {duration(round(age_s - promised_s))}" if late else f"On time, {duration(round(age_s))} old"
        marks[node_id] = Mark("late" if late else "on_time", words, entry.get_absolute_url())
    return marks
