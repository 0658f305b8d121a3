"""Events in: checked, recognised when sent before, durable before the answer."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.db import connection, transaction

from controlplane.accounts.models import ApiKey
from controlplane.accounts.selectors import apikey_allows
from controlplane.keys.services import token
from controlplane.telemetry.metrics import counter
from lineage.domain.ids import job_id
from lineage.domain.spec import Fault, event_check, parse_time, run_uuid
from lineage.domain.wire import Parsed, identity, json_array, parse
from lineage.errors import Overloaded
from lineage.services.store import Row, execute, store

__all__ = ["Failure", "Ingested", "Parsed", "events_ingest", "json_array", "json_parse", "quarantine"]

ACCEPTED = counter("lineage_events_accepted_total", "Events stored", "kind")
DUPLICATES = counter("lineage_events_duplicate_total", "Events that had been stored before")
REFUSED = counter("lineage_events_refused_total", "Events refused, by answer", "status")

MAX_PENDING = 200_000
RETRY_AFTER_S = 5
BODY_KEPT_BYTES = 2**20

_KEEP = """
INSERT INTO lineage_quarantine (uuid, producer, namespace, stage, path, reason, body, body_bytes, digest, event_id,
    received_at, last_received_at, times, state)
SELECT i.*, clock_timestamp(), clock_timestamp(), 1, 'open' FROM unnest(
    %b::uuid[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::int[], %b::uuid[], %b::bigint[]
) AS i
ON CONFLICT (digest, producer, stage) DO UPDATE SET last_received_at = excluded.last_received_at,
    times = lineage_quarantine.times + 1, path = excluded.path, reason = excluded.reason,
    state = CASE WHEN lineage_quarantine.state = 'replayed' THEN 'open' ELSE lineage_quarantine.state END
"""

Body = str | Parsed | Mapping[str, Any]


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


def events_ingest(*, bodies: Sequence[Body], producer: ApiKey | str) -> Ingested:
    """Store OpenLineage events; the one way in, for the API and for our own pipeline.

    ``bodies``: JSON texts (kept verbatim), texts with what they parse to, or events. ``producer``: the key that sent them,
    which is held to its namespaces, or the name of a part of Touchstone. Good events of a batch are stored whatever the others
    are; refused ones stand in ``failed`` and in the quarantine. When this returns outside a transaction, events are durable.
    Raises ``Overloaded`` before anything is stored when projection is too far behind.
    """
    _shed_load()
    result = Ingested(received=len(bodies))
    rows: dict[uuid.UUID, Row] = {}
    refused: list[tuple[str, str, Fault]] = []
    for index, body in enumerate(bodies):
        event: Any = body if isinstance(body, Mapping) else None
        try:
            parsed = _parsed(body)
            event = parsed.event
            row = _row(parsed)
            _check_namespace(event, producer)
        except Fault as fault:
            refused.append((_text(body), _namespace(event), fault))
            result.failed.append(Failure(index, fault.path, fault.reason, fault.status))
            continue
        rows.setdefault(row.identity, row)
    name = producer.name if isinstance(producer, ApiKey) else producer
    if refused:
        with transaction.atomic():
            result.accepted = store(rows=list(rows.values()), producer=name)
            quarantine(items=refused, producer=name)
    else:
        result.accepted = store(rows=list(rows.values()), producer=name)
    result.duplicates = result.received - result.accepted - len(result.failed)
    _count(result, rows.values())
    return result


def _parsed(body: Body) -> Parsed:
    if isinstance(body, Parsed):
        return body
    if isinstance(body, str):
        return parse(body)
    event_check(body)  # before it is written: what fails here may not even be JSON
    try:
        return Parsed(json.dumps(body, separators=(",", ":")), body)
    except RecursionError:
        raise _too_deep() from None


def _too_deep() -> Fault:
    return Fault("$", "is nested too deeply", status=400)


def _text(body: Body) -> str:
    if isinstance(body, Parsed):
        return body.text
    return body if isinstance(body, str) else json.dumps(body, default=str)


def json_parse(text: str) -> Any:
    """JSON as RFC 8259 has it; raises ``Fault`` (400) for anything else."""
    return parse(text).event


def _row(parsed: Parsed) -> Row:
    event = parsed.event
    kind = event_check(event)
    job = event.get("job") or {}
    try:
        known_by = identity(parsed, key=identity_key())
    except RecursionError:
        raise _too_deep() from None
    return Row(
        identity=known_by,
        kind=kind,
        event_type=str(event.get("eventType") or "").upper(),
        event_time=parse_time(event["eventTime"]),
        run_id=run_uuid(event["run"]["runId"]) if kind == "run" else None,
        job_id=job_id(job["namespace"], job["name"]) if kind != "dataset" else None,
        body=parsed.text,
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


def quarantine(
    *, items: Iterable[tuple[str, str, Fault]], producer: str, stage: str = "ingest", event_id: int | None = None
) -> None:
    """Keep refused bodies for their producer to see; the same body sent again is counted, not kept twice."""
    rows = {}
    statuses: Counter[int] = Counter()
    for body, namespace, fault in items:
        raw = body.encode("utf-8", "replace")
        digest = uuid.UUID(bytes=hashlib.blake2b(raw, digest_size=16, key=identity_key()).digest())
        kept = raw[:BODY_KEPT_BYTES].decode("utf-8", "replace").replace("\0", "\ufffd")
        path, reason = (text.replace("\0", "\ufffd")[:2000] for text in (fault.path, fault.reason))
        spoken_for = namespace.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
        rows[digest] = (uuid.uuid4(), producer, spoken_for, stage, path, reason, kept, len(raw), digest, event_id)
        statuses[fault.status] += 1
    for status, times in statuses.items():
        REFUSED.inc(times, status=str(status))
    if rows:
        # One statement for a batch that is all wrong, in an order that two such batches share.
        execute(_KEEP, [list(column) for column in zip(*(rows[digest] for digest in sorted(rows)), strict=True)])


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


def _count(result: Ingested, rows: Iterable[Row]) -> None:
    kinds = [row.kind for row in rows]
    # A duplicate's kind is not known to the statement; it is counted as accepted only when nothing was a duplicate.
    if not result.duplicates:
        for kind in set(kinds):
            ACCEPTED.inc(kinds.count(kind), kind=kind)
        return
    if result.accepted:
        ACCEPTED.inc(result.accepted, kind="mixed")
    DUPLICATES.inc(result.duplicates)
