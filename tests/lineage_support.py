"""Small OpenLineage events of our own, and the graph's rows as plain values, for the lineage tests."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import connection

from lineage.models import PROJECTED, Edge, EdgeClaim, Life, Place, SymlinkWord

PRODUCER = "https://example.org/tests"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/"
FACET = {"_producer": PRODUCER, "_schemaURL": "https://openlineage.io/spec/facets/1-0-0/Any.json"}


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat()


def run_uuid(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def dataset(name: str, *, namespace: str = "shop", fields: Sequence[str] = (), **facets: Any) -> dict[str, Any]:
    made: dict[str, Any] = {key: {**FACET, **value} for key, value in facets.items()}
    if fields:
        made["schema"] = {**FACET, "fields": [{"name": name, "type": "string"} for name in fields]}
    return {"namespace": namespace, "name": name, "facets": made}


def run_event(
    job: str,
    event_type: str = "COMPLETE",
    *,
    time: float = 0,
    run: str = "",
    inputs: Sequence[dict[str, Any]] = (),
    outputs: Sequence[dict[str, Any]] = (),
    namespace: str = "etl",
    job_facets: dict[str, Any] | None = None,
    run_facets: dict[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        "eventTime": at(time),
        "eventType": event_type,
        "producer": PRODUCER,
        "schemaURL": SCHEMA + "RunEvent",
        "run": {"runId": run_uuid(run or f"{job} run"), "facets": run_facets or {}},
        "job": {"namespace": namespace, "name": job, "facets": job_facets or {}},
        "inputs": list(inputs),
        "outputs": list(outputs),
    }


def dataset_event(item: dict[str, Any], *, time: float = 0) -> dict[str, Any]:
    return {"eventTime": at(time), "producer": PRODUCER, "schemaURL": SCHEMA + "DatasetEvent", "dataset": item}


def job_event(job: str, *, time: float = 0, namespace: str = "etl", **rest: Any) -> dict[str, Any]:
    made = {"eventTime": at(time), "producer": PRODUCER, "schemaURL": SCHEMA + "JobEvent"}
    return {**made, "job": {"namespace": namespace, "name": job, "facets": rest.pop("facets", {})}, **rest}


def columns(**targets: list[tuple[Any, ...]]) -> dict[str, Any]:
    """``columns(total=[("orders", "amount")])``: a columnLineage facet; a third item is the transformation."""
    fields = {}
    for target, sources in targets.items():
        fields[target] = {
            "inputFields": [
                {"namespace": "shop", "name": item[0], "field": item[1], "transformations": list(item[2:])} for item in sources
            ]
        }
    return {"fields": fields}


def scenario(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "openlineage" / f"{name}.jsonl").read_text().splitlines()]


def sample_events() -> list[dict[str, Any]]:
    """A small world that uses every rule of the fold, with event times that tie."""
    direct = {"type": "DIRECT", "subtype": "IDENTITY", "masking": False}
    masked = {"type": "DIRECT", "subtype": "TRANSFORMATION", "masking": True}
    orders = dataset("orders", fields=["id", "amount"])
    totals = dataset("totals", fields=["total"], columnLineage=columns(total=[("orders", "amount", direct)]))
    totals2 = dataset("totals", fields=["total", "who"], columnLineage=columns(who=[("orders", "id", masked)]))
    linked = dataset(
        "/lake/orders", namespace="file", symlinks={"identifiers": [{"namespace": "shop", "name": "orders", "type": "TABLE"}]}
    )
    return [
        run_event("sum", "START", time=0, run="a", inputs=[orders]),
        run_event("sum", "COMPLETE", time=5, run="a", outputs=[totals]),
        run_event("sum", "START", time=5, run="b", inputs=[orders]),
        run_event("sum", "FAIL", time=5, run="b", outputs=[totals2]),
        run_event("sum", "COMPLETE", time=5, run="b", outputs=[totals2]),
        run_event("load", "COMPLETE", time=7, run="c", outputs=[linked]),
        run_event("publish", "RUNNING", time=8, run="d", inputs=[dataset("totals")], outputs=[dataset("report")]),
        run_event("drop", "COMPLETE", time=9, run="e", outputs=[dataset("report", lifecycleStateChange=_change("DROP"))]),
        run_event("publish", "RUNNING", time=9, run="d", inputs=[dataset("totals")], outputs=[dataset("report")]),
        run_event(
            "rename",
            time=10,
            run="f",
            outputs=[dataset("totals_v2", lifecycleStateChange=_change("RENAME", namespace="shop", name="totals"))],
        ),
        job_event("declared", time=3, inputs=[dataset("orders")], outputs=[dataset("copy")]),
        dataset_event(dataset("copy", fields=["id"], documentation={"description": "A copy"}), time=4),
        dataset_event(dataset("copy", documentation={"_deleted": True}), time=4),
        run_event("sum", "OTHER", time=1, run="a", run_facets={"parent": _parent("dag", "root run")}),
    ]


def _change(kind: str, **previous: str) -> dict[str, Any]:
    return {"lifecycleStateChange": kind, **({"previousIdentifier": previous} if previous else {})}


def _parent(job: str, run: str) -> dict[str, Any]:
    return {**FACET, "run": {"runId": run_uuid(run)}, "job": {"namespace": "etl", "name": job}}


# What depends on when events became known, not only on what they say.
_KNOWN = {"known_from", "known_to", "recorded_at"}
_AFTER = {f"{name}_{part}" for name in ("run_first", "run_done", "base", "floor") for part in ("time", "identity", "run_id")}
_OPEN = {Edge, EdgeClaim, Place}
_HISTORY = {Life, SymlinkWord}


def graph(*, times: bool = False) -> dict[str, list[tuple[Any, ...]]]:
    """Every projected row. Without ``times``, less when things became known, which depends on when they were sent."""
    found = {}
    for model in PROJECTED:
        if not times and model in _HISTORY:
            continue  # a history of knowledge through and through; what it ends in stands on the places
        names = [field.column for field in model._meta.local_concrete_fields if field.column]
        if not times:
            names = [name for name in names if name not in _KNOWN | _AFTER and (model, name) != (Place, "id")]
        # Only what holds in the end: earlier holders depend on the order in which events became known.
        where = "WHERE known_to IS NULL" if not times and model in _OPEN else ""
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {', '.join(names)} FROM {model._meta.db_table} {where}")
            found[model._meta.db_table] = sorted(cursor.fetchall(), key=repr)
    return found


def graph_clear() -> None:
    """Forget every event and everything folded out of them, inside a test."""
    with connection.cursor() as cursor:
        for table in ("lineage_event", "lineage_eventidentity", "lineage_pending", "lineage_quarantine"):
            cursor.execute(f"DELETE FROM {table}")
        for model in PROJECTED:
            cursor.execute(f"DELETE FROM {model._meta.db_table}")
