"""Events in: checked, recognised when sent before, durable before the answer."""

from __future__ import annotations

import hashlib
import json
import re
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import psycopg
from django.db import connection, transaction

from controlplane.accounts.models import ApiKey
from controlplane.accounts.selectors import apikey_allows
from controlplane.keys.services import token
from controlplane.telemetry.metrics import counter
from lineage.domain.ids import event_identity, job_id
from lineage.domain.spec import Fault, Kind, event_check, parse_time, refuse_constant, run_uuid
from lineage.errors import Overloaded

__all__ = ["Failure", "Ingested", "Parsed", "events_ingest", "json_array", "json_parse", "quarantine"]

ACCEPTED = counter("lineage_events_accepted_total", "Events stored", "kind")
DUPLICATES = counter("lineage_events_duplicate_total", "Events that had been stored before")
REFUSED = counter("lineage_events_refused_total", "Events refused, by answer", "status")

MAX_PENDING = 200_000
RETRY_AFTER_S = 5
BODY_KEPT_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Parsed:
    """An event as it was sent, and what its text says (so that it is parsed once)."""

    text: str
    event: Any


Body = str | Parsed | Mapping[str, Any]

_STORE = """
WITH input AS (
    SELECT * FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::timestamptz[], %b::uuid[], %b::bigint[], %b::text[])
        AS i(identity, kind, event_type, event_time, run_id, job_id, body)
), ledger AS (
    INSERT INTO lineage_eventidentity (identity, event_id, recorded_at)
    SELECT identity, nextval('lineage_event_seq'), clock_timestamp() FROM input
    ON CONFLICT DO NOTHING RETURNING identity, event_id, recorded_at
), stored AS (
    INSERT INTO lineage_event (recorded_at, id, identity, kind, event_type, event_time, run_id, job_id, producer, body)
    SELECT l.recorded_at, l.event_id, i.identity, i.kind, i.event_type, i.event_time, i.run_id, i.job_id, %s, i.body
    FROM ledger l JOIN input i USING (identity)
)
INSERT INTO lineage_pending (event_id, recorded_at, size_bytes)
SELECT l.event_id, l.recorded_at, octet_length(i.body) FROM ledger l JOIN input i USING (identity)
"""


_SPACE = re.compile(r"[ \t\n\r]*")
_STORE_ONE = "SELECT lineage_event_store(%b, %b, %b, %b, %b, %b, %b, %b)"


@dataclass(frozen=True)
class Failure:
    """An event that was not accepted. ``index`` is its place in the batch, ``path`` the JSON path of the fault."""

    index: int
    path: str
    reason: str
    status: int
    retriable: bool = False


@dataclass
class Ingested:
    """What became of a batch: ``accepted`` new events, ``duplicates`` known before, and the failures."""

    received: int
    accepted: int = 0
    duplicates: int = 0
    failed: list[Failure] = field(default_factory=list)


@dataclass(slots=True)
class _Row:
    identity: uuid.UUID
    kind: Kind
    event_type: str
    event_time: Any
    run_id: uuid.UUID | None
    job_id: int | None
    body: str


def events_ingest(*, bodies: Sequence[Body], producer: ApiKey | str) -> Ingested:
    """Store OpenLineage events; the one way in, for the API and for our own pipeline.

    ``bodies``: JSON texts (kept verbatim), texts with what they parse to, or events. ``producer``: the key that sent them,
    which is held to its namespaces, or the name of a part of Touchstone. Good events of a batch are stored whatever the others
    are; refused ones stand in ``failed`` and in the quarantine. When this returns outside a transaction, events are durable.
    Raises ``Overloaded`` before anything is stored when projection is too far behind.
    """
    _shed_load()
    result = Ingested(received=len(bodies))
    rows: dict[uuid.UUID, _Row] = {}
    refused: list[tuple[str, str, Fault]] = []
    for index, body in enumerate(bodies):
        event: Any = None
        try:
            text, event = _parsed(body)
            row = _row(event, text)
            _check_namespace(event, producer)
        except Fault as fault:
            refused.append((_text(body), _namespace(event), fault))
            result.failed.append(Failure(index, fault.path, fault.reason, fault.status))
            continue
        rows.setdefault(row.identity, row)
    name = producer.name if isinstance(producer, ApiKey) else producer
    if refused:
        with transaction.atomic():
            result.accepted = _store(list(rows.values()), name)
            quarantine(items=refused, producer=name)
    else:
        result.accepted = _store(list(rows.values()), name)
    result.duplicates = result.received - result.accepted - len(result.failed)
    _count(result, rows.values())
    return result


def _parsed(body: Body) -> tuple[str | None, Any]:
    if isinstance(body, Parsed):
        return body.text, body.event
    return (body, json_parse(body)) if isinstance(body, str) else (None, body)


def _text(body: Body) -> str:
    if isinstance(body, Parsed):
        return body.text
    return body if isinstance(body, str) else json.dumps(body, default=str)


def json_parse(text: str) -> Any:
    """JSON as RFC 8259 has it; raises ``Fault`` (400) for anything else."""
    try:
        return json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Fault("$", f"is not JSON: {error}", status=400) from None


def json_array(text: str) -> list[Parsed]:
    """The elements of a JSON array, each with its own text; raises ``Fault`` (400) when it is no array."""
    decoder = json.JSONDecoder(parse_constant=refuse_constant)
    found: list[Parsed] = []
    try:
        at = _space(text, 0)
        if text[at : at + 1] != "[":
            raise Fault("$", "a batch is a JSON array of events", status=400)
        at = _space(text, at + 1)
        while text[at : at + 1] != "]":
            event, end = decoder.raw_decode(text, at)
            found.append(Parsed(text[at:end], event))
            at = _space(text, end)
            if text[at : at + 1] == ",":
                at = _space(text, at + 1)
                if text[at : at + 1] == "]":
                    raise ValueError(f"a value is missing: char {at}")
            elif text[at : at + 1] != "]":
                raise ValueError(f"',' or ']' is missing: char {at}")
        if _space(text, at + 1) != len(text):
            raise ValueError(f"there is more after the array: char {at + 1}")
    except (ValueError, RecursionError) as error:
        raise Fault("$", f"is not JSON: {error}", status=400) from None
    return found


def _space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _row(event: Any, text: str | None) -> _Row:
    kind = event_check(event)
    job = event.get("job") or {}
    try:
        body = text if text is not None else json.dumps(event, separators=(",", ":"))
        identity = event_identity(event, key=identity_key())
    except RecursionError:
        raise Fault("$", "is nested too deeply", status=400) from None
    return _Row(
        identity=identity,
        kind=kind,
        event_type=str(event.get("eventType") or "").upper(),
        event_time=parse_time(event["eventTime"]),
        run_id=run_uuid(event["run"]["runId"]) if kind == "run" else None,
        job_id=job_id(job["namespace"], job["name"]) if kind != "dataset" else None,
        body=body,
    )


@cache
def identity_key() -> bytes:
    """Key of the identities; the same for the life of the installation, since the ledger is compared with it."""
    return token("lineage event identity", "lineage").encode()


def _namespace(event: Any) -> str:
    subject = event.get("job") or event.get("dataset") if isinstance(event, dict) else None
    namespace = subject.get("namespace") if isinstance(subject, dict) else None
    return namespace if isinstance(namespace, str) else ""


def _check_namespace(event: Any, producer: ApiKey | str) -> None:
    if isinstance(producer, str):
        return
    namespace = _namespace(event)
    if not apikey_allows(producer, namespace):
        path = "$.job.namespace" if event.get("job") else "$.dataset.namespace"
        raise Fault(path, f"the key {producer.name!r} may not speak for the namespace {namespace!r}", status=403)


def _store(rows: list[_Row], producer: str) -> int:
    if not rows:
        return 0
    # Concurrent batches that share events must meet them in the same order, or each would wait for the other.
    rows.sort(key=lambda row: row.identity)
    values = [(row.identity, row.kind, row.event_type, row.event_time, row.run_id, row.job_id, row.body) for row in rows]
    connection.ensure_connection()
    # Arrays in binary, bound by the server: Django's cursors write values into the statement, and escaping the quotes of JSON
    # in the text form of an array costs five times as much as everything else here.
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        if len(rows) == 1:
            cursor.execute(_STORE_ONE, [*values[0], producer], prepare=True)
            (stored,) = cursor.fetchone() or (0,)
            return int(stored)
        cursor.execute(_STORE, [*(list(column) for column in zip(*values, strict=True)), producer])
        return cursor.rowcount


def quarantine(
    *, items: Iterable[tuple[str, str, Fault]], producer: str, stage: str = "ingest", event_id: int | None = None
) -> None:
    """Keep refused bodies for their producer to see; the same body sent again is counted, not kept twice."""
    rows = {}
    for body, namespace, fault in items:
        raw = body.encode("utf-8", "replace")
        digest = uuid.UUID(bytes=hashlib.blake2b(raw, digest_size=16, key=identity_key()).digest())
        kept = raw[:BODY_KEPT_BYTES].decode("utf-8", "replace").replace("\0", "\ufffd")
        path, reason = (text.replace("\0", "\ufffd")[:2000] for text in (fault.path, fault.reason))
        spoken_for = namespace.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
        rows[digest] = (uuid.uuid4(), producer, spoken_for, stage, path, reason, kept, len(raw), digest, event_id)
        REFUSED.inc(status=str(fault.status))
    with connection.cursor() as cursor:
        for digest in sorted(rows):
            cursor.execute(
                "INSERT INTO lineage_quarantine (uuid, producer, namespace, stage, path, reason, body, body_bytes, digest,"
                " event_id, received_at, last_received_at, times, state)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, clock_timestamp(), clock_timestamp(), 1, 'open')"
                " ON CONFLICT (digest, producer, stage) DO UPDATE SET last_received_at = excluded.last_received_at,"
                " times = lineage_quarantine.times + 1, path = excluded.path, reason = excluded.reason,"
                " state = CASE WHEN lineage_quarantine.state = 'replayed' THEN 'open' ELSE lineage_quarantine.state END",
                list(rows[digest]),
            )


_load: dict[str, float] = {"at": 0.0, "pending": 0.0}


def _shed_load() -> None:
    """Refuse before storing while too many events wait. The count is at most a second old, so that it costs nothing."""
    now = time.monotonic()
    if now - _load["at"] > 1.0:
        _load["at"] = now
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM (SELECT 1 FROM lineage_pending LIMIT %s) p", [MAX_PENDING + 1])
            _load["pending"] = cursor.fetchone()[0]
    if _load["pending"] > MAX_PENDING:
        raise Overloaded(pending=int(_load["pending"]), retry_after_s=RETRY_AFTER_S)


def _count(result: Ingested, rows: Iterable[_Row]) -> None:
    kinds = [row.kind for row in rows]
    # A duplicate's kind is not known to the statement; it is counted as accepted only when nothing was a duplicate.
    if not result.duplicates:
        for kind in set(kinds):
            ACCEPTED.inc(kinds.count(kind), kind=kind)
        return
    if result.accepted:
        ACCEPTED.inc(result.accepted, kind="mixed")
    DUPLICATES.inc(result.duplicates)
