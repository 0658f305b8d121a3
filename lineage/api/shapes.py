"""The JSON shapes of Marquez, from our rows. What Marquez has no word for stands beside, under names it does not use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from lineage.models import Dataset, Job, Run

Json = dict[str, Any]
RUN_STATES = {"START": "RUNNING", "RUNNING": "RUNNING", "COMPLETE": "COMPLETED", "FAIL": "FAILED", "ABORT": "ABORTED"}
DATASET_FACETS = ("schema", "dataSource", "documentation", "lifecycleStateChange", "tags", "datasetType")
JOB_FACETS = ("jobType", "documentation", "sourceCodeLocation", "sql", "tags")


def moment(value: datetime | None) -> str | None:
    return value.isoformat().replace("+00:00", "Z") if value else None


def run_state(state: str) -> str:
    return RUN_STATES.get(state, "NEW")


def dataset(row: Dataset, facets: Mapping[str, Any], *, all_facets: bool = False) -> Json:
    change = str(_text(facets, "lifecycleStateChange", "lifecycleStateChange") or "")
    shown: Json = {
        "id": {"namespace": row.namespace, "name": row.name},
        "type": _text(facets, "datasetType", "datasetType") or "DB_TABLE",
        "name": row.name,
        "physicalName": row.name,
        "createdAt": moment(row.known_from),
        "updatedAt": moment(row.last_event_at),
        "namespace": row.namespace,
        "sourceName": _text(facets, "dataSource", "name") or "default",
        "fields": fields(facets),
        "tags": tags(facets),
        "lastModifiedAt": moment(row.write_time),
        "lastLifecycleState": change,
        "description": _text(facets, "documentation", "description"),
        "deleted": not row.alive,
    }
    if all_facets:
        shown["facets"] = dict(facets)
    return shown


def fields(facets: Mapping[str, Any]) -> list[Json]:
    """Columns of the schema facet, nested ones as ``parent.child``."""
    found: list[Json] = []

    def walk(items: Any, prefix: str) -> None:
        for item in items if isinstance(items, list) else ():
            if not isinstance(item, dict) or not isinstance(item.get("name"), str):
                continue
            name = prefix + item["name"]
            found.append({"name": name, "type": item.get("type"), "tags": [], "description": item.get("description")})
            walk(item.get("fields"), f"{name}.")

    walk(_body(facets, "schema").get("fields"), "")
    return found


def tags(facets: Mapping[str, Any]) -> list[str]:
    items = _body(facets, "tags").get("tags")
    return [str(item["key"]) for item in items if isinstance(item, dict) and "key" in item] if isinstance(items, list) else []


def job(
    row: Job,
    facets: Mapping[str, Any],
    *,
    inputs: Iterable[Dataset],
    outputs: Iterable[Dataset],
    latest: Run | None,
    all_facets: bool = False,
) -> Json:
    streaming = _text(facets, "jobType", "processingType") == "STREAMING"
    shown: Json = {
        "id": {"namespace": row.namespace, "name": row.name},
        "type": "STREAM" if streaming else "BATCH",
        "name": row.name,
        "simpleName": row.name.rsplit(".", 1)[-1],
        "parentJobName": row.parent_name,
        "parentJobNamespace": row.parent_namespace,
        "createdAt": moment(row.known_from),
        "updatedAt": moment(row.last_event_at),
        "namespace": row.namespace,
        "inputs": [{"namespace": item.namespace, "name": item.name} for item in inputs],
        "outputs": [{"namespace": item.namespace, "name": item.name} for item in outputs],
        "location": _text(facets, "sourceCodeLocation", "url"),
        "description": _text(facets, "documentation", "description"),
        "latestRun": run(latest) if latest else None,
        "latestRuns": [run(latest)] if latest else [],
        "tags": tags(facets),
        "labels": [],
    }
    if all_facets:
        shown["facets"] = dict(facets)
    return shown


def run(row: Run) -> Json:
    ended = row.state_time if row.state_final == 1 else None
    started = row.started_at or row.first_time
    return {
        "id": row.run_id,
        "createdAt": moment(row.known_from),
        "updatedAt": moment(row.last_time),
        "nominalStartTime": moment(row.nominal_start),
        "nominalEndTime": moment(row.nominal_end),
        "state": run_state(row.state),
        "startedAt": moment(started),
        "endedAt": moment(ended),
        "durationMs": round((ended - started).total_seconds() * 1000) if ended else None,
        "parentRunId": str(row.parent_run_id) if row.parent_run_id else None,
        "args": {},
    }


def _body(facets: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    body = facets.get(name)
    return body if isinstance(body, dict) else {}


def _text(facets: Mapping[str, Any], name: str, key: str) -> str | None:
    value = _body(facets, name).get(key)
    return value if isinstance(value, str) else None
