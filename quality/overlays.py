"""What quality says over the lineage graph: the newest verdict of every rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from catalog.selectors_nodes import datasets_of_nodes
from controlplane.ui import registry
from controlplane.ui.registry import Mark
from quality.models import QualityResult, ResultStatus


@registry.overlay(
    "quality",
    title="Quality",
    legend="The newest verdict of each rule. Datasets without a mark have not been judged.",
    order=20,
)
def quality(node_ids: Iterable[str]) -> Mapping[str, Mark]:
    """Marks of datasets with a contract; two queries."""
    entries = {node_id: row for node_id, row in datasets_of_nodes(node_ids).items() if row.contract_name}
    names = [row.contract_name for row in entries.values()]
    newest = (
        QualityResult.objects.filter(dataset__in=names).order_by("dataset", "rule", "-evaluated_at").distinct("dataset", "rule")
    )
    verdicts: dict[str, list[str]] = {}
    for dataset, status in newest.values_list("dataset", "status"):
        verdicts.setdefault(dataset, []).append(status)
    marks = {}
    for node_id, row in entries.items():
        found = verdicts.get(str(row.contract_name), [])
        if found:
            marks[node_id] = _mark(found, row.get_absolute_url())
    return marks


def _mark(found: list[str], url: str) -> Mark:
    failing, error = found.count(ResultStatus.FAILING), found.count(ResultStatus.ERROR)
    if failing:
        return Mark("failing", f"{failing} of {len(found)} rules failing", url)
    if error:
        return Mark("error", f"{error} of {len(found)} rules not evaluated", url)
    return Mark("passing", f"{len(found)} rules passing", url)
