"""Checked events into the tables: ledger of identities, event, pending row, in one statement and one commit.

Single events that arrive at the same time share a commit. Each producer is answered after the commit that holds its event, so
what was answered is durable; a commit costs the server the same whether it holds one event or eight.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from django.db import Error, InterfaceError, OperationalError, connection

from lineage.domain.spec import Kind

__all__ = ["Row", "execute", "store"]

# More than this in one call is a batch, which gains nothing from company.
SINGLE_ROWS = 8
GROUP_ROWS = 64

_STORE = """
WITH input AS (
    SELECT * FROM unnest(
        %b::uuid[], %b::text[], %b::text[], %b::timestamptz[], %b::uuid[], %b::bigint[], %b::text[], %b::text[]
    ) AS i(identity, kind, event_type, event_time, run_id, job_id, body, producer)
), ledger AS (
    INSERT INTO lineage_eventidentity (identity, event_id, recorded_at)
    SELECT identity, nextval('lineage_event_seq'), clock_timestamp() FROM input
    ON CONFLICT DO NOTHING RETURNING identity, event_id, recorded_at
), stored AS (
    INSERT INTO lineage_event (recorded_at, id, identity, kind, event_type, event_time, run_id, job_id, producer, body)
    SELECT l.recorded_at, l.event_id, i.identity, i.kind, i.event_type, i.event_time, i.run_id, i.job_id, i.producer, i.body
    FROM ledger l JOIN input i USING (identity)
), waiting AS (
    INSERT INTO lineage_pending (event_id, recorded_at, size_bytes)
    SELECT l.event_id, l.recorded_at, octet_length(i.body) FROM ledger l JOIN input i USING (identity)
)
SELECT RESULT FROM ledger
"""
_STORE_COUNTED = _STORE.replace("RESULT", "count(*)")
_STORE_NAMED = _STORE.replace("RESULT", "identity")
_STORE_ONE = "SELECT lineage_event_store(%b, %b, %b, %b, %b, %b, %b, %b)"


@dataclass(slots=True)
class Row:
    """An event as the tables hold it, but for its number and time of recording."""

    identity: uuid.UUID
    kind: Kind
    event_type: str
    event_time: datetime
    run_id: uuid.UUID | None
    job_id: int | None
    body: str


@dataclass(slots=True)
class _Request:
    """Rows of one caller that wait for a commit; ``ready`` is released when there is an outcome, or when it is to lead."""

    rows: Sequence[Row]
    producer: str
    stored: int | None = None
    error: BaseException | None = None
    ready: threading.Lock = field(default_factory=threading.Lock)


def store(*, rows: Sequence[Row], producer: str) -> int:
    """Store the rows, of which no two share an identity; returns how many were new. Durable on return outside a transaction."""
    if not rows:
        return 0
    # Inside a transaction of the caller the commit is the caller's.
    if len(rows) > SINGLE_ROWS or connection.in_atomic_block:
        return _write(rows, producer)
    return _group.store(_Request(rows, producer))


def _write(rows: Sequence[Row], producer: str) -> int:
    if len(rows) == 1:
        row = rows[0]
        values = (row.identity, row.kind, row.event_type, row.event_time, row.run_id, row.job_id, row.body, producer)
        return int(execute(_STORE_ONE, values)[0][0])
    return int(execute(_STORE_COUNTED, _columns([(row, producer) for row in rows]))[0][0])


def _columns(rows: list[tuple[Row, str]]) -> list[list[object]]:
    # Concurrent statements that share events must meet them in the same order, or each would wait for the other.
    rows.sort(key=lambda item: item[0].identity)
    values = [
        (row.identity, row.kind, row.event_type, row.event_time, row.run_id, row.job_id, row.body, producer)
        for row, producer in rows
    ]
    return [list(column) for column in zip(*values, strict=True)]


def execute(statement: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
    """Run a statement whose parameters are ``%b``; its rows. psycopg's own cursor binds them on the server, arrays in binary.

    Django's cursors write values into the statement, and escaping the quotes of JSON in the text form of an array costs five
    times as much as everything else here.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(statement, parameters, prepare=True)
        return cursor.fetchall() if cursor.description else []


class _Group:
    """Group commit among the threads of a process: one leads and writes for all that wait, then hands the lead on.

    The leader is a caller with a request of its own, so there is no thread that could die unnoticed and no delay when nobody
    else is there.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Request] = []
        self._led = False

    def store(self, request: _Request) -> int:
        request.ready.acquire()
        with self._lock:
            self._waiting.append(request)
            leads, self._led = not self._led, True
        if not leads:
            request.ready.acquire()
        if request.stored is None and request.error is None:
            self._lead()
        if request.error is not None:
            raise request.error
        return request.stored or 0

    def _lead(self) -> None:
        with self._lock:
            group: list[_Request] = []
            rows = 0
            while self._waiting and (not group or rows + len(self._waiting[0].rows) <= GROUP_ROWS):
                group.append(self._waiting.pop(0))
                rows += len(group[-1].rows)
        try:
            _write_group(group)
        except BaseException as error:
            for request in group:
                if request.stored is None and request.error is None:
                    request.error = error
            raise
        finally:
            with self._lock:
                heir = self._waiting[0] if self._waiting else None
                self._led = heir is not None
            if heir is not None:
                heir.ready.release()
            # The first is the leader itself.
            for request in group[1:]:
                request.ready.release()


def _write_group(group: Sequence[_Request]) -> None:
    """Write all, and give each its count. An event that the database refuses harms nobody else's."""
    if len(group) > 1:
        owners: dict[uuid.UUID, tuple[_Request, Row]] = {}
        for request in group:
            for row in request.rows:
                owners.setdefault(row.identity, (request, row))
        try:
            found = execute(_STORE_NAMED, _columns([(row, request.producer) for request, row in owners.values()]))
        except (OperationalError, InterfaceError) as error:
            for request in group:
                request.error = _again(error)
            return
        except Error:
            pass  # one of them offends; below, each stands alone
        else:
            for request in group:
                request.stored = 0
            for (identity,) in found:
                owner = owners[identity][0]
                owner.stored = (owner.stored or 0) + 1
            return
    for request in group:
        try:
            request.stored = _write(request.rows, request.producer)
        except Error as error:
            request.error = error


def _again(error: Error) -> Error:
    """One for each thread: raising the same exception in several would mix their tracebacks."""
    return type(error)(*error.args)


_group = _Group()
