"""The six consumer scenarios of the OpenLineage compatibility tests, sent with the real client, end in their counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.producers.conftest import environment
from tests.producers.touchstone import Name, Touchstone, eventually

pytestmark = pytest.mark.e2e

SCENARIOS = {
    # jobs, runs, datasets, edges between datasets, column edges, symlinks
    "CLL": (4, 4, 3, 2, 10, 3),
    "airflow": (16, 16, 13, 12, 16, 0),
    "simple_run_event": (1, 1, 2, 1, 0, 0),
    "spark_dataproc_bigquery_shakespare": (3, 3, 2, 1, 4, 0),
    "spark_dataproc_simple_producer_test": (1, 1, 2, 1, 2, 2),
    "spark_dataproc_simple_producer_test_complete": (5, 6, 2, 0, 0, 4),
}


def apart(value: Any, scenario: str) -> Any:
    """The same events in namespaces of the scenario alone: two of the six speak of the same tables."""
    if isinstance(value, dict):
        return {
            key: f"{scenario}+{item}" if key == "namespace" and isinstance(item, str) else apart(item, scenario)
            for key, item in value.items()
        }
    return [apart(item, scenario) for item in value] if isinstance(value, list) else value


def counts(touchstone: Touchstone, scenario: str) -> tuple[int, ...]:
    """What the graph holds of a scenario, counted over the API."""
    spaces = [name for name in touchstone.namespaces() if name.startswith(f"{scenario}+")]
    jobs = [(space, job["name"]) for space in spaces for job in touchstone.jobs(space)]
    datasets = [(space, item["name"]) for space in spaces for item in touchstone.datasets(space)]
    edges: set[tuple[Name, Name]] = set()
    for job in jobs:
        inputs, outputs = touchstone.edges(*job)
        edges |= {(source, target) for source in inputs for target in outputs}
    columns = {
        (item, field, source)
        for item in datasets
        for field, sources in touchstone.columns(*item).items()
        if field
        for source in sources
    }
    links = {(link["namespace"], link["name"]) for item in datasets for link in touchstone.dataset(*item)["symlinks"]}
    runs = sum(len(touchstone.runs(*job)) for job in jobs)
    return len(jobs), runs, len(datasets), len(edges), len(columns), len(links)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_sent_with_the_real_client_gives_its_counts(
    touchstone: Touchstone, producer_key: str, shared_fixtures: Path, scenario: str
) -> None:
    client = environment("client")
    lines = (shared_fixtures / "openlineage" / f"{scenario}.jsonl").read_text().splitlines()
    events = [apart(json.loads(line), scenario) for line in lines]
    told = {"OPENLINEAGE_URL": touchstone.url, "OPENLINEAGE_API_KEY": producer_key}
    done = client.program("openlineage_client", {"events": events}, variables=told)
    assert done["answers"] == [201] * len(lines)

    def as_listed() -> None:
        assert counts(touchstone, scenario) == SCENARIOS[scenario]

    eventually(as_listed)
