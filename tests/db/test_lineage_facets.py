"""All standard facets of OpenLineage, and unknown ones, are there after an event was folded."""

from __future__ import annotations

from typing import Any

import pytest

from lineage import selectors, services
from lineage.models import Facet, RunFacet
from tests.lineage_support import FACET, dataset, run_event

pytestmark = pytest.mark.django_db

RUN = [
    "environmentVariables",
    "errorMessage",
    "executionParameters",
    "externalQuery",
    "extractionError",
    "jobDependencies",
    "nominalTime",
    "parent",
    "processing_engine",
    "tags",
    "test",
]
JOB = ["documentation", "jobType", "lineage", "ownership", "sourceCode", "sourceCodeLocation", "sql", "tags"]
DATASET = [
    "catalog",
    "columnLineage",
    "dataQualityMetrics",
    "dataSource",
    "datasetType",
    "documentation",
    "hierarchy",
    "lifecycleStateChange",
    "lineage",
    "ownership",
    "schema",
    "storage",
    "symlinks",
    "tags",
    "version",
]
INPUT = ["dataQualityAssertions", "dataQualityMetrics", "inputStatistics", "subset"]
OUTPUT = ["outputStatistics", "subset"]


def facets(names: list[str]) -> dict[str, Any]:
    return {name: {**FACET, "kept": name} for name in [*names, "acme_unknown"]}


def test_every_standard_facet_and_an_unknown_one_is_kept() -> None:
    source, target = dataset("a", **facets(DATASET)), dataset("b", **facets(DATASET))
    source["inputFacets"], target["outputFacets"] = facets(INPUT), facets(OUTPUT)
    event = run_event("j", inputs=[source], outputs=[target], job_facets=facets(JOB), run_facets=facets(RUN))
    services.events_ingest(bodies=[event], producer="tests")
    assert services.pending_project().events == 1
    wanted = {("job", name) for name in [*JOB, "acme_unknown"]} | {("dataset", name) for name in [*DATASET, "acme_unknown"]}
    rows = Facet.objects.all()
    assert {(row.subject_kind, row.name) for row in rows} == wanted
    assert all(row.body["kept"] == row.name for row in rows)
    measured = {(row.direction, row.name) for row in RunFacet.objects.all()}
    assert measured == {(1, name) for name in [*INPUT, "acme_unknown"]} | {(2, name) for name in [*OUTPUT, "acme_unknown"]}
    (run,) = selectors.runs()
    (stored,) = selectors.events_of_run(run.id)
    assert set(stored.event["run"]["facets"]) == {*RUN, "acme_unknown"}
