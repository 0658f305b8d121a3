"""What quality says over the lineage graph: the newest verdict of every rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.db.models import OuterRef, Subquery

from catalog import selectors as catalog
from catalog.selectors_nodes import datasets_of_nodes
from controlplane.ui import registry
from controlplane.ui.registry import Mark
from quality.models import QualityResult, ResultStatus


@registry.overlay(
    "quality",
    title="Quality",
    legend="The verdicts on the newest refresh that was judged. Datasets without a mark have not been judged.",
    order=20,
)
def quality(node_ids: Iterable[str]) -> Mapping[str, Mark]:
    """Marks of datasets that were judged; three queries, each by index however long the history is."""
    entries = datasets_of_nodes(node_ids)
    newest = QualityResult.objects.filter(dataset=OuterRef("name")).order_by("-evaluated_at").values("run_key")[:1]
    judged = catalog.datasets().filter(pk__in=[row.pk for row in entries.values()]).annotate(judged_by=Subquery(newest))
    runs = {name: run for name, run in judged.values_list("name", "judged_by") if run}
    verdicts: dict[str, list[str]] = {}
    results = QualityResult.objects.filter(run_key__in=runs.values(), dataset__in=runs)
    for dataset, run, status in results.values_list("dataset", "run_key", "status"):
        if runs[dataset] == run:
            verdicts.setdefault(dataset, []).append(status)
    found = {node_id: verdicts.get(row.name) for node_id, row in entries.items()}
    return {node_id: _mark(one, entries[node_id].get_absolute_url()) for node_id, one in found.items() if one}


def _mark(found: list[str], url: str) -> Mark:
    failing, error = found.count(ResultStatus.FAILING), found.count(ResultStatus.ERROR)
    if failing:
        return Mark("failing", f"{failing} of {len(found)} rules failing", url)
    if error:
        return Mark("error", f"{error} of {len(found)} rules not evaluated", url)
    return Mark("passing", f"{len(found)} rules passing", url)
