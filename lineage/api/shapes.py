"""The JSON shapes of Marquez, from our rows. What Marquez has no word for stands beside, under names it does not use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from lineage import selectors
from lineage.models import Dataset, DatasetVersion, Job, Run
from lineage.selectors import JobVersion, Source

Json = dict[str, Any]
RUN_STATES = {"START": "RUNNING", "RUNNING": "RUNNING", "COMPLETE": "COMPLETED", "FAIL": "FAILED", "ABORT": "ABORTED"}
DATASET_FACETS = ("schema", "dataSource", "documentation", "lifecycleStateChange", "tags", "datasetType")
JOB_FACETS = ("jobType", "documentation", "sourceCodeLocation", "sql", "tags")


def moment(value: datetime | None) -> str | None:
    return value.isoformat().replace("+00:00", "Z") if value else None


def run_state(state: str) -> str:
    return RUN_STATES.get(state, "NEW")


def namespace(name: str, known_from: datetime) -> Json:
    return {
        "name": name,
        "createdAt": moment(known_from),
        "updatedAt": moment(known_from),
        "ownerName": "",
        "description": None,
        "isHidden": False,
    }


def source(row: Source) -> Json:
    return {
        "type": row.type,
        "name": row.name,
        "createdAt": moment(row.known_from),
        "updatedAt": moment(row.updated_at),
        "connectionUrl": row.uri,
        "description": None,
        "datasets": row.datasets,
    }


def dataset(
    row: Dataset,
    facets: Mapping[str, Any],
    *,
    all_facets: bool = False,
    version: str | None = None,
    classified: Mapping[str, list[str]] | None = None,
    alive: bool | None = None,
) -> Json:
    """``classified``: tags that the contract gives to columns. ``alive``: as known then; None is now."""
    change = str(_text(facets, "lifecycleStateChange", "lifecycleStateChange") or "")
    shown: Json = {
        "id": {"namespace": row.namespace, "name": row.name},
        "type": _dataset_type(facets),
        "name": row.name,
        "physicalName": row.name,
        "createdAt": moment(row.known_from),
        "updatedAt": moment(row.last_event_at),
        "namespace": row.namespace,
        "sourceName": _text(facets, "dataSource", "name") or selectors.DEFAULT_SOURCE,
        "fields": fields(facets, classified or {}),
        "tags": tags(facets),
        "lastModifiedAt": moment(row.write_time),
        "lastLifecycleState": change,
        "description": _text(facets, "documentation", "description"),
        "currentVersion": version,
        "deleted": not (row.alive if alive is None else alive),
    }
    if all_facets:
        shown["facets"] = dict(facets)
        shown["columnLineage"] = _column_lineage(facets)
    return shown


def _dataset_type(facets: Mapping[str, Any]) -> str:
    """Marquez knows two; what the producer says stands in the ``datasetType`` facet."""
    return "STREAM" if (_text(facets, "datasetType", "datasetType") or "").upper() in {"STREAM", "TOPIC"} else "DB_TABLE"


def _column_lineage(facets: Mapping[str, Any]) -> list[Json]:
    listed = _body(facets, "columnLineage").get("fields")
    return (
        [{"name": name, **body} for name, body in listed.items() if isinstance(body, dict)] if isinstance(listed, dict) else []
    )


def fields(facets: Mapping[str, Any], classified: Mapping[str, list[str]] | None = None) -> list[Json]:
    """Columns of the schema facet, nested ones as ``parent.child``."""
    found: list[Json] = []
    tagged, ruled = _field_tags(facets), classified or {}

    def walk(items: Any, prefix: str) -> None:
        for item in items if isinstance(items, list) else ():
            if not isinstance(item, dict) or not isinstance(item.get("name"), str):
                continue
            name = prefix + item["name"]
            given = list(dict.fromkeys([*tagged.get(name, ()), *ruled.get(name, ())])) if tagged or ruled else []
            found.append({"name": name, "type": item.get("type"), "tags": given, "description": item.get("description")})
            if "fields" in item:
                walk(item["fields"], f"{name}.")

    walk(_body(facets, "schema").get("fields"), "")
    return found


def tags(facets: Mapping[str, Any]) -> list[str]:
    """Tags of the whole: those of its columns stand with them."""
    return [text for text, field in _tags(facets) if not field]


def _field_tags(facets: Mapping[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text, field in _tags(facets):
        if field:
            found.setdefault(field, []).append(text)
    return found


def _tags(facets: Mapping[str, Any]) -> list[tuple[str, str]]:
    items = _body(facets, "tags").get("tags")
    named = [item for item in items if isinstance(item, dict) and "key" in item] if isinstance(items, list) else []
    return [(selectors.tag_text(str(item["key"]), item.get("value")), str(item.get("field") or "")) for item in named]


def dataset_version(row: Dataset, item: DatasetVersion, facets: Mapping[str, Any], made_by: Json | None) -> Json:
    """``facets`` are those of the event that made the version; none when retention took it."""
    whole = dataset(row, facets, all_facets=True, version=item.version)
    kept = ("type", "name", "physicalName", "namespace", "sourceName", "fields", "tags", "description", "facets")
    return {
        "id": {"namespace": row.namespace, "name": row.name, "version": item.version},
        **{name: whole[name] for name in kept},
        "createdAt": moment(item.first_time),
        "lastModifiedAt": moment(item.first_time),
        "version": item.version,
        "kind": item.kind,
        "lifecycleState": whole["lastLifecycleState"],
        "createdByRun": made_by,
    }


def job(
    row: Job,
    facets: Mapping[str, Any],
    *,
    inputs: Iterable[Dataset],
    outputs: Iterable[Dataset],
    latest: Run | None,
    latest_runs: Sequence[Run] = (),
    version: str | None = None,
    all_facets: bool = False,
) -> Json:
    streaming = _text(facets, "jobType", "processingType") == "STREAMING"
    newest = run(latest, job=row) if latest else None
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
        "inputs": names(inputs),
        "outputs": names(outputs),
        "location": _text(facets, "sourceCodeLocation", "url"),
        "description": _text(facets, "documentation", "description"),
        "latestRun": newest,
        "latestRuns": [run(item, job=row) for item in latest_runs] or ([newest] if newest else []),
        "tags": tags(facets),
        "labels": [],
        "currentVersion": version or (newest["jobVersion"]["version"] if newest else None),
    }
    if all_facets:
        shown["facets"] = dict(facets)
    return shown


def job_version(
    row: Job, item: JobVersion, facets: Mapping[str, Any], datasets: Mapping[int, Dataset], latest: Run | None
) -> Json:
    whole = job(row, facets, inputs=(), outputs=(), latest=latest, all_facets=True)
    kept = ("type", "name", "namespace", "location", "description", "latestRun", "facets", "tags")
    return {
        "id": {"namespace": row.namespace, "name": row.name, "version": str(item.version)},
        **{name: whole[name] for name in kept},
        "version": str(item.version),
        "createdAt": moment(item.first_time),
        "inputs": names(datasets[key] for key in item.inputs if key in datasets),
        "outputs": names(datasets[key] for key in item.outputs if key in datasets),
        "runs": item.runs,
    }


def _job_version(job_id: int, row: Run) -> str:
    return str(selectors.job_version_id(job_id, row.io_sets))


def run(row: Run, *, job: Job | None = None, known: tuple[str, datetime, bool] | None = None) -> Json:
    """``known``: the state as of an earlier moment (event type, time, whether final)."""
    state, state_time, final = known or (row.state, row.state_time, row.state_final == 1)
    ended = state_time if final else None
    started = row.started_at or row.first_time
    shown: Json = {
        "id": row.run_id,
        "createdAt": moment(row.known_from),
        "updatedAt": moment(row.last_time),
        "nominalStartTime": moment(row.nominal_start),
        "nominalEndTime": moment(row.nominal_end),
        "state": run_state(state),
        "startedAt": moment(started),
        "endedAt": moment(ended),
        "durationMs": round((ended - started).total_seconds() * 1000) if ended else None,
        "parentRunId": str(row.parent_run_id) if row.parent_run_id else None,
        "args": {},
    }
    if job is not None:
        shown["jobName"], shown["jobNamespace"] = job.name, job.namespace
        shown["jobVersion"] = {"namespace": job.namespace, "name": job.name, "version": _job_version(job.id, row)}
    return shown


def names(rows: Iterable[Dataset]) -> list[Json]:
    return [{"namespace": row.namespace, "name": row.name} for row in rows]


def _body(facets: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    body = facets.get(name)
    return body if isinstance(body, dict) else {}


def _text(facets: Mapping[str, Any], name: str, key: str) -> str | None:
    value = _body(facets, name).get(key)
    return value if isinstance(value, str) else None
