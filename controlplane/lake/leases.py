"""Leases in PostgreSQL: one writer per resource, and readers that removal waits for.

Every decision is one statement on the database's clock, committed at once: leases are refused inside a transaction,
where others could not see them. A holder that dies loses its lease after ``ttl_s``; one that lives on after losing it
is stopped by ``check`` (fencing), and at the latest by the table itself, which refuses a commit on a version that is
not the newest.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.db import Error, connection, transaction

from .errors import LeaseHeld, LeaseLost

log = structlog.get_logger(__name__)

# Takes the lease if it is free, in one statement: two takers meet at the row lock and the second sees the first's row.
_ACQUIRE = """
INSERT INTO lake_lease AS held (resource, holder, fencing, acquired_at, heartbeat_at, expires_at)
VALUES (%(resource)s, %(holder)s, 1, clock_timestamp(), clock_timestamp(), clock_timestamp() + %(ttl_s)s * interval '1 second')
ON CONFLICT (resource) DO UPDATE SET
    holder = excluded.holder, fencing = held.fencing + 1,
    acquired_at = excluded.acquired_at, heartbeat_at = excluded.heartbeat_at, expires_at = excluded.expires_at
WHERE held.holder = '' OR held.expires_at <= clock_timestamp()
RETURNING fencing
"""
_RENEW = """
UPDATE lake_lease SET heartbeat_at = clock_timestamp(), expires_at = clock_timestamp() + %(ttl_s)s * interval '1 second'
WHERE resource = %(resource)s AND fencing = %(fencing)s AND holder = %(holder)s
"""
_RELEASE = """
UPDATE lake_lease SET holder = '', expires_at = clock_timestamp()
WHERE resource = %(resource)s AND fencing = %(fencing)s AND holder = %(holder)s
"""
_KEEP = """
SELECT 1 FROM lake_lease
WHERE resource = %(resource)s AND fencing = %(fencing)s AND holder = %(holder)s FOR UPDATE
"""
_ALIVE = "SELECT 1 FROM lake_lease WHERE resource = %(resource)s AND holder = %(holder)s AND expires_at > clock_timestamp()"
_HOLDER = "SELECT holder FROM lake_lease WHERE resource = %(resource)s"
_READ = """
INSERT INTO lake_readerlease (id, resource, holder, acquired_at, expires_at)
SELECT id, resource, %(holder)s, clock_timestamp(), clock_timestamp() + %(ttl_s)s * interval '1 second'
FROM unnest(%(ids)s::uuid[], %(resources)s::text[]) AS wanted (id, resource)
"""
_READ_RENEW = (
    "UPDATE lake_readerlease SET expires_at = clock_timestamp() + %(ttl_s)s * interval '1 second' WHERE id = ANY(%(ids)s)"
)
_READ_END = "DELETE FROM lake_readerlease WHERE id = ANY(%(ids)s)"
# Readers that began before this writer did; later ones opened a snapshot that removal leaves alone.
_READERS = """
SELECT count(*) FROM lake_readerlease AS reader, lake_lease AS writer
WHERE writer.resource = %(resource)s AND reader.resource = writer.resource
  AND reader.acquired_at <= writer.acquired_at AND reader.expires_at > clock_timestamp()
"""


@dataclass
class Lease:
    """A lease that is held. ``fencing`` is greater than that of every earlier holder of the resource."""

    resource: str
    holder: str
    fencing: int
    ttl_s: float
    lost: threading.Event = field(default_factory=threading.Event)

    def parameters(self) -> dict[str, Any]:
        return {"resource": self.resource, "holder": self.holder, "fencing": self.fencing, "ttl_s": self.ttl_s}


@contextmanager
def lease(resource: str, *, holder: str, ttl_s: float = 30) -> Iterator[Lease]:
    """Hold the write lease of ``resource`` while the block runs, renewed in the background.

    Raises LeaseHeld at once when another holder has it. Not inside a transaction (RuntimeError).
    """
    held = _acquire(resource, holder=holder, ttl_s=ttl_s)
    try:
        with _beating(lambda: _renew(held), ttl_s=ttl_s, name=resource):
            yield held
    finally:
        _execute(_RELEASE, held.parameters())


def check(held: Lease) -> None:
    """Renew the lease now; LeaseLost when another holder has taken it, and the work must not be committed."""
    if held.lost.is_set() or not _renew(held):
        raise LeaseLost(f"the lease of {held.resource} (fencing {held.fencing}) went to another holder")


def keep(held: Lease) -> None:
    """Inside the caller's transaction: make sure that the lease is ours and stays so until the commit; LeaseLost otherwise."""
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, held.parameters())
        if cursor.fetchone() is None:
            raise LeaseLost(f"the lease of {held.resource} (fencing {held.fencing}) went to another holder")


def alive(resource: str, *, holder: str) -> bool:
    """Whether this holder has the resource now and was heard of within its time."""
    with connection.cursor() as cursor:
        cursor.execute(_ALIVE, {"resource": resource, "holder": holder})
        return cursor.fetchone() is not None


@contextmanager
def reading(resources: Sequence[str], *, holder: str, ttl_s: float = 60) -> Iterator[None]:
    """Keep the files of these tables' present snapshots from being removed while the block runs. Never waits."""
    ids = [uuid.uuid4() for _ in resources]
    _execute(_READ, {"ids": ids, "resources": list(resources), "holder": holder, "ttl_s": ttl_s})
    try:
        with _beating(lambda: bool(_execute(_READ_RENEW, {"ids": ids, "ttl_s": ttl_s})), ttl_s=ttl_s, name="readers"):
            yield
    finally:
        _execute(_READ_END, {"ids": ids})


def wait_for_readers(held: Lease, *, timeout_s: float) -> bool:
    """Wait until every reader that began before this lease is done; False when the time is up first."""
    deadline = time.monotonic() + timeout_s
    while True:
        with transaction.atomic(durable=True), connection.cursor() as cursor:
            cursor.execute(_READERS, {"resource": held.resource})
            row = cursor.fetchone()
        if not row or not row[0]:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(min(0.2, timeout_s))


def _acquire(resource: str, *, holder: str, ttl_s: float) -> Lease:
    if not holder:
        raise ValueError("a lease needs a holder")
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(_ACQUIRE, {"resource": resource, "holder": holder, "ttl_s": ttl_s})
        row = cursor.fetchone()
        if row is None:
            cursor.execute(_HOLDER, {"resource": resource})
            other = cursor.fetchone()
            raise LeaseHeld(resource, other[0] if other else "")
    return Lease(resource, holder, int(row[0]), ttl_s)


def _renew(held: Lease) -> bool:
    renewed = _execute(_RENEW, held.parameters()) == 1
    if not renewed:
        held.lost.set()
    return renewed


def _execute(sql: str, parameters: dict[str, Any]) -> int:
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return int(cursor.rowcount)


@contextmanager
def _beating(renew: Callable[[], bool], *, ttl_s: float, name: str) -> Iterator[None]:
    """Call ``renew`` every third of the lease's life in a thread of its own, with a connection of its own (opened at need)."""
    stop = threading.Event()

    def beat() -> None:
        try:
            while not stop.wait(ttl_s / 3):
                try:
                    if not renew():
                        return
                except Error as error:
                    # The database may be back before the lease ends; check() decides before a commit.
                    log.warning("lease_heartbeat_failed", resource=name, error=str(error))
                    connection.close()
        finally:
            connection.close()

    thread = threading.Thread(target=beat, name=f"lease {name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
