"""Old events go, what they said stays: a snapshot is folded out of them before their partitions are dropped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from controlplane.accounts.models import ApiKey, User
from controlplane.audit import services as audit
from lineage.errors import ShadowBusy
from lineage.models import ForwardTarget, Retention
from lineage.services import shadow
from lineage.services.forwarding import targets
from lineage.services.partitions import WEEK, monday, partition_name
from lineage.services.projection import Projected, cursor_open
from lineage.services.rebuild import shadow_fold
from lineage.services.upsert import Cursor

__all__ = ["Expired", "events_expire"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Expired:
    """What retention did, or would do. ``held_back``: why nothing was dropped, though something is old enough."""

    cut: datetime | None = None
    partitions: tuple[str, ...] = ()
    events: int = 0
    held_back: str = ""


def events_expire(
    *,
    actor: User | ApiKey | str,
    days: int | None = None,
    now: datetime | None = None,
    dry_run: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Expired:
    """Drop the weekly partitions whose every event is older than ``days`` (default: the setting; unset: nothing is dropped).

    First a snapshot of everything the graph knows from these and earlier events is made, from which a rebuild starts; it, the
    record (``Retention``), the audit entry and the removal are one transaction. Identities stay, so an old event that is sent
    again is recognised. Held back while events before the cut wait for projection or for another server. Killed at any
    point, nothing has changed. Raises ``ShadowBusy`` when a rebuild is at work.
    """
    age = settings.ENV.lineage_retention_days if days is None else days
    if not age:
        return Expired()
    with shadow.exclusive() as held:
        if not held:
            raise ShadowBusy
        plan = _plan(monday((now or timezone.now()) - timedelta(days=age)))
        if dry_run or plan.held_back or plan.cut is None:
            return plan
        last = Retention.objects.order_by("-cut").first()
        with transaction.atomic(), cursor_open() as cursor:
            shadow.make(cursor)
        shadow_fold(Projected(), after=(last.cut, 0) if last else None, before=plan.cut, progress=progress)
        with transaction.atomic(), cursor_open() as cursor:
            _drop(cursor, plan, plan.cut, actor)
    log.info("lineage.events_expired", cut=plan.cut.isoformat(), events=plan.events)
    return plan


def _plan(cut: datetime) -> Expired:
    with cursor_open() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = 'lineage_event'::regclass AND c.relname ~ '^lineage_event_[0-9]{8}$' AND c.relname <= %b"
            " ORDER BY 1",
            [partition_name(cut - WEEK)],
        )
        names = tuple(row[0] for row in cursor.fetchall())
        if not names:
            return Expired()
        events, _, _ = _extent(cursor, names)
        cursor.execute("SELECT count(*) FROM lineage_pending WHERE recorded_at < %b", [cut])
        (waiting,) = cursor.fetchone() or (0,)
    if waiting:
        return Expired(cut, names, events, f"{waiting} events before the cut wait for projection")
    behind = ForwardTarget.objects.filter(name__in=[target.name for target in targets()], position__lt=cut).first()
    # A server that has been sent everything keeps the position of the last event it got, however old that is.
    if behind is not None and _unsent(behind, cut):
        return Expired(cut, names, events, f"{behind.name} has not been sent every event before the cut")
    return Expired(cut, names, events)


def _unsent(target: ForwardTarget, cut: datetime) -> bool:
    with cursor_open() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM lineage_event WHERE (recorded_at, id) > (%b, %b) AND recorded_at < %b)",
            [target.position, target.position_id, cut],
        )
        return bool((cursor.fetchone() or (False,))[0])


def _extent(cursor: Cursor, names: tuple[str, ...]) -> tuple[int, datetime | None, datetime | None]:
    parts = " UNION ALL ".join(f"SELECT recorded_at FROM {name}" for name in names)  # noqa: S608  (names of our making)
    cursor.execute(f"SELECT count(*), min(recorded_at), max(recorded_at) FROM ({parts}) e")  # noqa: S608
    row: tuple[Any, ...] = cursor.fetchone() or (0, None, None)
    return int(row[0]), row[1], row[2]


def _drop(cursor: Cursor, plan: Expired, cut: datetime, actor: User | ApiKey | str) -> None:
    # Ingest waits for the length of a catalogue update, or this gives up and the next round tries again.
    cursor.execute("SET LOCAL lock_timeout = '5s'")
    events, first, last = _extent(cursor, plan.partitions)
    counted = shadow.rows(cursor, shadow.SHADOW)
    shadow.keep(cursor)
    for name in plan.partitions:
        cursor.execute(f"DROP TABLE {name}")
    record = Retention.objects.create(
        cut=cut,
        partitions=list(plan.partitions),
        events=events,
        first_recorded_at=first,
        last_recorded_at=last,
        rows=counted,
        finished_at=timezone.now(),
    )
    payload = {"cut": cut.isoformat(), "partitions": list(plan.partitions), "events": events}
    audit.record(action="lineage.events_expire", actor=actor, target=f"lineage.retention:{record.uuid}", payload=payload)
