"""The shape of an OpenLineage event (core spec 2-0-2), checked by hand.

Strict about what the graph stands on (time, run, names), tolerant about the rest: facets are objects, and nothing inside
them is refused. The generic JSON Schema validators cost ten times as much per event.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, NoReturn

Kind = Literal["run", "job", "dataset"]
EVENT_TYPES = frozenset({"START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"})
NAME_MAX = 4096
RUN_ID_MAX = 256
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_MISSING = object()


class Fault(Exception):
    """Why an event is refused. ``path`` is a JSON path such as ``$.inputs[0].name``."""

    def __init__(self, path: str, reason: str, *, status: int = 422) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason
        self.status = status


def event_check(event: Any) -> Kind:
    """The kind of a well-formed event; raises ``Fault`` with the first fault found."""
    if not isinstance(event, dict):
        raise Fault("$", f"an event is an object, this is {_named(event)}", status=400)
    parse_time(event.get("eventTime", _MISSING), "$.eventTime")
    _text(event.get("producer", _MISSING), "$.producer")
    if event.get("schemaURL") is not None:
        _text(event["schemaURL"], "$.schemaURL")
    kind = event_kind(event)
    if kind == "dataset":
        _dataset(event.get("dataset", _MISSING), "$.dataset")
        return kind
    if kind == "run":
        _run(event.get("run", _MISSING))
        event_type = event.get("eventType")
        if event_type is not None and (not isinstance(event_type, str) or event_type.upper() not in EVENT_TYPES):
            raise Fault("$.eventType", f"must be one of {', '.join(sorted(EVENT_TYPES))}")
    _named_thing(event.get("job", _MISSING), "$.job")
    for side in ("inputs", "outputs"):
        items = event.get(side)
        if items is None:
            continue
        if not isinstance(items, list):
            raise Fault(f"$.{side}", f"must be an array, this is {_named(items)}")
        for index, item in enumerate(items):
            _dataset(item, f"$.{side}[{index}]", facets=("facets", f"{side[:-1]}Facets"))
    return kind


def event_kind(event: Mapping[str, Any]) -> Kind:
    """By the end of ``schemaURL``; by shape when that is missing or names something else."""
    suffix = str(event.get("schemaURL") or "").rsplit("/", 1)[-1]
    if suffix == "RunEvent" or (suffix not in {"JobEvent", "DatasetEvent"} and "run" in event):
        return "run"
    if suffix == "DatasetEvent" or (suffix != "JobEvent" and "dataset" in event and "job" not in event):
        return "dataset"
    if suffix != "JobEvent" and "job" not in event:
        raise Fault("$", "neither run, job nor dataset: not a RunEvent, JobEvent or DatasetEvent")
    # A run event that merely lost its run must not be taken for a declaration of a job.
    if suffix != "JobEvent" and event.get("eventType") is not None:
        raise Fault("$.run", "is missing although eventType says that this is a RunEvent")
    return "job"


@lru_cache(maxsize=4096)
def _time(value: str) -> datetime:
    parsed = datetime.fromisoformat(value)
    if parsed.tzinfo is None:
        raise ValueError("has no time zone")
    return parsed.astimezone(UTC)


def parse_time(value: Any, path: str = "$.eventTime") -> datetime:
    """An ISO 8601 date-time with zone, as UTC."""
    text = _text(value, path)
    if len(text) > 64 or "T" not in text.upper():
        raise Fault(path, "must be an ISO 8601 date-time with a time zone")
    try:
        return _time(text.upper())
    except (ValueError, OverflowError) as error:
        raise Fault(path, f"must be an ISO 8601 date-time with a time zone ({error})") from None


def _run(run: Any) -> None:
    if run is _MISSING or run is None:
        raise Fault("$.run", "is missing")
    if not isinstance(run, dict):
        raise Fault("$.run", f"must be an object, this is {_named(run)}")
    # The spec's format is UUID, but JSON Schema does not enforce formats and real producers send others ("run_id"):
    # they are kept under their own name, see run_uuid().
    _text(run.get("runId", _MISSING), "$.run.runId", limit=RUN_ID_MAX)
    _facets(run.get("facets"), "$.run.facets")


def _named_thing(item: Any, path: str) -> None:
    if item is _MISSING or item is None:
        raise Fault(path, "is missing")
    if not isinstance(item, dict):
        raise Fault(path, f"must be an object, this is {_named(item)}")
    _text(item.get("namespace", _MISSING), f"{path}.namespace", limit=NAME_MAX)
    _text(item.get("name", _MISSING), f"{path}.name", limit=NAME_MAX)
    _facets(item.get("facets"), f"{path}.facets")


def _dataset(item: Any, path: str, *, facets: tuple[str, ...] = ()) -> None:
    _named_thing(item, path)
    for key in facets[1:]:
        _facets(item.get(key), f"{path}.{key}")


def _facets(facets: Any, path: str) -> None:
    if facets is None:
        return
    if not isinstance(facets, dict):
        raise Fault(path, f"must be an object, this is {_named(facets)}")
    for name, facet in facets.items():
        if facet is not None and not isinstance(facet, dict):
            raise Fault(f"{path}.{name}", f"a facet is an object, this is {_named(facet)}")


def _text(value: Any, path: str, *, limit: int | None = None) -> str:
    if value is _MISSING or value is None:
        raise Fault(path, "is missing")
    if not isinstance(value, str):
        raise Fault(path, f"must be a string, this is {_named(value)}")
    if not value.strip():
        raise Fault(path, "is empty")
    if limit is not None:
        if len(value) > limit:
            raise Fault(path, f"has {len(value)} characters, at most {limit} are kept")
        if not storable(value):
            raise Fault(path, "holds a NUL character or half of a surrogate pair")
    return value


def storable(text: str) -> bool:
    """Whether PostgreSQL's ``text`` can hold it."""
    if text.isascii():
        return "\0" not in text
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def run_uuid(value: Any) -> uuid.UUID | None:
    """The run's UUID; for an id that is none, one made from it (the run keeps its own id beside it). None: no id at all."""
    if not isinstance(value, str) or not value.strip() or len(value) > RUN_ID_MAX or not storable(value):
        return None
    if is_uuid(value):
        return uuid.UUID(value)
    return uuid.UUID(bytes=hashlib.blake2b(value.encode(), digest_size=16, person=b"run").digest())


def is_uuid(value: str) -> bool:
    return _UUID.fullmatch(value) is not None


def _named(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "an array", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def refuse_constant(name: str) -> NoReturn:
    """``parse_constant`` of the JSON parser: NaN and Infinity are no JSON."""
    raise ValueError(f"{name} is not JSON")
