"""The ingest addresses in the API's description: they are plain views, for speed, which the generator does not see."""

from __future__ import annotations

from typing import Any

_EVENT = {"type": "object", "description": "an OpenLineage RunEvent, JobEvent or DatasetEvent (core spec 2-0-2)"}
_FAULT = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "path": {"type": "string", "description": "place of the fault in the body"}},
}
_SUMMARY = {
    "type": "object",
    "properties": {
        "status": {"type": "string", "enum": ["partial_success", "failure"]},
        "summary": {"type": "object", "additionalProperties": {"type": "integer"}},
        "failed_events": {"type": "array", "items": {"type": "object"}},
    },
}


def _answer(text: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"description": text} | ({"content": {"application/json": {"schema": schema}}} if schema else {})


_REFUSALS = {
    "400": _answer("Not JSON; kept for the producer to see", _FAULT),
    "401": _answer("No key, or one that does not hold", _FAULT),
    "403": _answer("Not a producer's key, or not bound to the namespace", _FAULT),
    "413": _answer("Too large", _FAULT),
    "422": _answer("JSON, but no valid event; kept for the producer to see", _FAULT),
    "503": _answer("Overloaded: send it again after Retry-After seconds", _FAULT),
}


def _operation(name: str, text: str, body: dict[str, Any], answers: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": name,
        "description": text,
        "tags": ["lineage"],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "security": [{"apiKey": []}],
        "responses": answers | _REFUSALS,
    }


def add_ingest(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:  # noqa: ARG001  (the hook's signature)
    """Post-processing hook of drf-spectacular."""
    paths = result["paths"]
    paths.setdefault("/api/v1/lineage", {})["post"] = _operation(
        "lineage_send",
        "Send one event. An accepted event is durable before the answer; the same event again is recognised. gzip is welcome.",
        _EVENT,
        {"201": _answer("Stored"), "200": _answer("Stored before")},
    )
    paths.setdefault("/api/v1/lineage/batch", {})["post"] = _operation(
        "lineage_send_batch",
        "Send a bare array of events.",
        {"type": "array", "items": _EVENT},
        {"204": _answer("All are stored"), "200": _answer("Each event that is not stored, with the reason", _SUMMARY)},
    )
    result["paths"] = dict(sorted(paths.items()))
    return result
