"""What is accepted as an OpenLineage event, and what is said about the rest."""

from __future__ import annotations

from typing import Any

import pytest

from lineage.domain.spec import Fault, event_check, event_kind, run_uuid
from tests.lineage_support import dataset, dataset_event, job_event, run_event


def changed(path: str, value: Any) -> dict[str, Any]:
    """A sound run event with one value replaced (``...`` removes it); the path is written like ``run.runId``."""
    event = run_event("sum", inputs=[dataset("orders")], outputs=[dataset("totals")])
    *parents, last = path.split(".")
    target: Any = event
    for step in parents:
        target = target[int(step) if step.isdigit() else step]
    key = int(last) if last.isdigit() else last
    if value is ...:
        del target[key]
    else:
        target[key] = value
    return event


def test_the_three_kinds_are_told_apart_by_their_schema() -> None:
    assert event_check(run_event("sum")) == "run"
    assert event_check(job_event("sum")) == "job"
    assert event_check(dataset_event(dataset("orders"))) == "dataset"


def test_the_three_kinds_are_told_apart_by_their_shape_when_the_schema_is_missing() -> None:
    for event, kind in ((run_event("sum"), "run"), (job_event("sum"), "job"), (dataset_event(dataset("a")), "dataset")):
        del event["schemaURL"]
        assert event_kind(event) == kind


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("eventTime", ..., "$.eventTime"),
        ("eventTime", "2026-03-01T12:00:00", "$.eventTime"),
        ("eventTime", "yesterday", "$.eventTime"),
        ("eventTime", 1700000000, "$.eventTime"),
        ("eventTime", "0001-01-01T00:00:00+14:00", "$.eventTime"),
        ("eventType", "FINISHED", "$.eventType"),
        ("producer", ..., "$.producer"),
        ("run", ..., "$.run"),
        ("run", [], "$.run"),
        ("run.runId", ..., "$.run.runId"),
        ("run.runId", "", "$.run.runId"),
        ("run.facets", [], "$.run.facets"),
        ("job", None, "$.job"),
        ("job.namespace", ..., "$.job.namespace"),
        ("job.name", " ", "$.job.name"),
        ("job.name", "a\0b", "$.job.name"),
        ("job.name", "\ud800", "$.job.name"),
        ("job.name", "x" * 5000, "$.job.name"),
        ("job.facets", {"sql": "select 1"}, "$.job.facets.sql"),
        ("inputs", {}, "$.inputs"),
        ("inputs.0", "orders", "$.inputs[0]"),
        ("inputs.0.namespace", 7, "$.inputs[0].namespace"),
        ("outputs.0.name", ..., "$.outputs[0].name"),
        ("outputs.0.facets", {"schema": []}, "$.outputs[0].facets.schema"),
        ("outputs.0.outputFacets", {"outputStatistics": 3}, "$.outputs[0].outputFacets.outputStatistics"),
    ],
)
def test_a_fault_is_named_by_its_path(path: str, value: Any, fault: str) -> None:
    with pytest.raises(Fault) as caught:
        event_check(changed(path, value))
    assert caught.value.path == fault
    assert caught.value.status == 422


@pytest.mark.parametrize("event", [None, 3, "event", [], [{}]])
def test_what_is_no_object_is_a_bad_request(event: Any) -> None:
    with pytest.raises(Fault) as caught:
        event_check(event)
    assert (caught.value.path, caught.value.status) == ("$", 400)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("eventTime", "2026-03-01T12:00:00.123456789Z"),
        ("eventTime", "2026-03-01T12:00:00+01:00"),
        ("eventType", "complete"),
        ("eventType", ...),
        ("schemaURL", ...),
        ("inputs", None),
        ("run.runId", "run_id"),
        ("run.facets", {"unknown": {"anything": [1, None]}, "nothing": None}),
        ("job.facets", {"sql": {}}),
    ],
)
def test_what_real_producers_send_is_accepted(path: str, value: Any) -> None:
    assert event_check(changed(path, value)) == "run"


def test_a_run_event_that_lost_its_run_is_no_declaration_of_a_job() -> None:
    event = changed("run", ...)
    del event["schemaURL"]
    with pytest.raises(Fault, match=r"\$\.run"):
        event_check(event)


def test_a_run_id_that_is_no_uuid_gives_the_same_run_each_time() -> None:
    assert run_uuid("run_id") == run_uuid("run_id") != run_uuid("another")
    assert str(run_uuid("019127DE-fd25-7707-bfa4-3ec02693a531")) == "019127de-fd25-7707-bfa4-3ec02693a531"
    assert run_uuid("") is run_uuid(None) is run_uuid("x" * 300) is None
