"""Accepted events out again, to other OpenLineage servers: each at its own pace, none in the way of ingest.

Nothing is written when an event comes in. A target has a position in the store, and everything recorded after it is still to
be sent; so a server that is down for a week costs one row. Events arrive in the order of their recording, at least once.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from controlplane.accounts.models import ApiKey, User
from controlplane.audit import services as audit
from controlplane.telemetry.metrics import counter
from lineage.models import ForwardRefusal, ForwardTarget

__all__ = ["Forwarded", "forward", "forward_due", "forward_retry", "targets"]

log = structlog.get_logger(__name__)
FORWARDED = counter("lineage_events_forwarded_total", "Events sent on to other servers, by outcome", "target", "outcome")

BATCH = 200
SLICE_S = 5.0
TIMEOUT_S = 5.0
CLAIM_S = 60.0
BACKOFF_MAX_S = 3600.0
# The server answers, and fails on this one event: so often it is tried before it becomes a dead letter.
POISON_ATTEMPTS = 8
WAIT = frozenset({408, 425, 429, 502, 503, 504})
# A transaction may have begun this long before PostgreSQL shows it.
MARGIN = timedelta(seconds=1)


@dataclass(frozen=True)
class _Waiting:
    id: int
    recorded_at: datetime
    body: str


@dataclass
class Forwarded:
    """What one call did. ``stopped``: why it did not go on; empty when all was sent or the slice was over."""

    sent: int = 0
    refused: int = 0
    stopped: str = ""
    retry_after_s: float | None = None


@dataclass(frozen=True)
class Target:
    """Another OpenLineage server. ``endpoint`` is where events are POSTed, ``key`` is sent as Bearer."""

    name: str
    endpoint: str
    key: str | None


def targets() -> list[Target]:
    """The configured servers; none while the setting cannot be read, which a system check reports."""
    try:
        return [Target(item.name, item.endpoint, item.key) for item in settings.ENV.targets()]
    except ValueError:
        return []


@transaction.atomic
def forward_due() -> list[str]:
    """Names of targets that something waits for and whose back-off is over. A new target begins with what comes from now on."""
    now = timezone.now()
    wanted = targets()
    for target in wanted:
        ForwardTarget.objects.get_or_create(
            name=target.name, defaults={"url": target.endpoint, "started_at": now, "position": now, "due_at": now}
        )
    free = Q(claimed_until=None) | Q(claimed_until__lt=now)
    rows = ForwardTarget.objects.filter(free, name__in=[target.name for target in wanted], due_at__lte=now)
    return [row.name for row in rows if _waiting(row, limit=1)]


def forward(*, name: str) -> Forwarded:
    """Send what waits for a target, for about five seconds. Another call for it meanwhile does nothing.

    An answer of 2xx moves the position on. 4xx (less 408, 425, 429) is for good: the event becomes a dead letter. While the
    server is away or overloaded the position stays and the back-off doubles up to an hour, or is what ``Retry-After`` says.
    """
    target = next((item for item in targets() if item.name == name), None)
    row = _claim(name) if target else None
    if target is None or row is None:
        return Forwarded(stopped="not configured, or another sender is at it")
    done = Forwarded()
    last: _Waiting | None = None
    dead: list[tuple[_Waiting, int, str]] = []
    until = time.monotonic() + SLICE_S
    with _client(target) as client:
        for event in _waiting(row, limit=BATCH):
            status, reason, wait_s = _send(client, target, event)
            if status in range(200, 300):
                done.sent += 1
            elif _final(status) or (status >= 500 and status not in WAIT and row.attempts + 1 >= POISON_ATTEMPTS):
                dead.append((event, status, reason))
            else:
                done.stopped, done.retry_after_s = reason, wait_s
                break
            # What made the server stumble is behind us.
            last, row.attempts = event, 0
            if time.monotonic() > until:
                break
    done.refused = len(dead)
    _settle(row, done, last, dead)
    FORWARDED.inc(done.sent, target=name, outcome="sent")
    FORWARDED.inc(done.refused, target=name, outcome="refused")
    if done.stopped:
        FORWARDED.inc(target=name, outcome="retry")
        log.warning("lineage.forward_waits", target=name, reason=done.stopped)
    return done


def _final(status: int) -> bool:
    return 400 <= status < 500 and status not in WAIT


@contextmanager
def _client(target: Target) -> Iterator[httpx.Client]:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {target.key}"} if target.key else {})
    with httpx.Client(headers=headers, timeout=TIMEOUT_S) as client:
        yield client


def _send(client: httpx.Client, target: Target, event: _Waiting) -> tuple[int, str, float | None]:
    """Status (0 without an answer), the reason as words of ours, and what Retry-After says in seconds."""
    try:
        answer = client.post(target.endpoint, content=event.body.encode("utf-8", "surrogatepass"))
    except httpx.HTTPError as error:
        return 0, type(error).__name__, None
    # The server's text stays out: it may repeat the event, and this reason is logged and shown.
    return answer.status_code, f"answered {answer.status_code}", _retry_after(answer.headers.get("Retry-After"))


def _retry_after(text: str | None) -> float | None:
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(text) - timezone.now()).total_seconds())
    except (ValueError, TypeError):
        return None


@transaction.atomic
def _claim(name: str) -> ForwardTarget | None:
    now = timezone.now()
    claim = uuid.uuid4()
    free = Q(claimed_until=None) | Q(claimed_until__lt=now)
    changed = ForwardTarget.objects.filter(free, name=name, due_at__lte=now).update(
        claimed_until=now + timedelta(seconds=CLAIM_S), claim=claim
    )
    return ForwardTarget.objects.get(name=name) if changed else None


@transaction.atomic
def _settle(row: ForwardTarget, done: Forwarded, last: _Waiting | None, dead: list[tuple[_Waiting, int, str]]) -> None:
    """Keep what was reached. A sender whose claim ran out changes nothing: its events are sent again."""
    now = timezone.now()
    changes: dict[str, object] = {
        "claimed_until": None,
        "claim": None,
        "last_error": done.stopped,
        "attempts": 0,
        "due_at": now,
    }
    if last is not None:
        changes |= {"position": last.recorded_at, "position_id": last.id}
    if done.sent:
        changes |= {"sent": F("sent") + done.sent, "last_sent_at": now}
    if done.stopped:
        attempts = row.attempts + 1
        wait_s = done.retry_after_s if done.retry_after_s is not None else 2.0 ** min(attempts, 20)
        changes |= {"attempts": attempts, "due_at": now + timedelta(seconds=min(wait_s, BACKOFF_MAX_S))}
    changes["refused"] = F("refused") + len(dead)
    if not ForwardTarget.objects.filter(name=row.name, claim=row.claim).update(**changes):
        return
    ForwardRefusal.objects.bulk_create(
        [
            ForwardRefusal(
                target_id=row.name,
                event_id=event.id,
                recorded_at=event.recorded_at,
                refused_at=now,
                status=status,
                reason=reason,
            )
            for event, status, reason in dead
        ],
        ignore_conflicts=True,
    )


def _waiting(row: ForwardTarget, *, limit: int) -> list[_Waiting]:
    """Events after the target's position, oldest first, up to the moment before which every transaction has ended."""
    with connection.cursor() as cursor:
        # An event is recorded after its transaction began, so none can still appear before the oldest that writes. A cursor
        # over ids or times alone would skip what commits late.
        cursor.execute(
            "SELECT coalesce(min(xact_start), clock_timestamp()) FROM pg_stat_activity"
            " WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()"
        )
        horizon = min(cursor.fetchone()[0], timezone.now()) - MARGIN
        cursor.execute(
            "SELECT id, recorded_at, body FROM lineage_event WHERE (recorded_at, id) > (%s, %s) AND recorded_at >= %s"
            " AND recorded_at < %s ORDER BY recorded_at, id LIMIT %s",
            [row.position, row.position_id, row.position, horizon, limit],
        )
        return [_Waiting(*found) for found in cursor.fetchall()]


def forward_retry(*, name: str, actor: User | ApiKey | str) -> Forwarded:
    """Send the oldest 200 dead letters of a target once more; those that it takes, or that are gone, are forgotten."""
    target = next((item for item in targets() if item.name == name), None)
    if target is None:
        return Forwarded(stopped="not configured")
    done = Forwarded()
    with _client(target) as client:
        for item in ForwardRefusal.objects.filter(target_id=name)[:BATCH]:
            body = _body(item)
            status, reason, _ = _send(client, target, body) if body else (410, "no longer stored", None)
            if status in range(200, 300) or body is None:
                done.sent += int(body is not None)
                _forget(item, sent=body is not None)
            elif _final(status):
                done.refused += 1
            else:
                done.stopped = reason
                break
    with transaction.atomic():
        payload = {"sent": done.sent, "refused": done.refused, "stopped": done.stopped}
        audit.record(action="lineage.forward_retry", actor=actor, target=f"lineage.target:{name}", payload=payload)
    return done


def _body(item: ForwardRefusal) -> _Waiting | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, recorded_at, body FROM lineage_event WHERE recorded_at = %s AND id = %s",
            [item.recorded_at, item.event_id],
        )
        row = cursor.fetchone()
    return _Waiting(*row) if row else None


@transaction.atomic
def _forget(item: ForwardRefusal, *, sent: bool) -> None:
    if item.delete()[0] and sent:
        ForwardTarget.objects.filter(name=item.target_id).update(sent=F("sent") + 1, refused=F("refused") - 1)
