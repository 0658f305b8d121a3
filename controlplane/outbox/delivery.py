"""Delivery of due messages: claim a batch, call the handlers outside any transaction, mark the outcome."""

from __future__ import annotations

import time
from collections.abc import Sequence

import structlog
from django.db import InterfaceError, OperationalError, connection

from controlplane.outbox.domain.backoff import UNAVAILABLE_S, delay_s, is_dead
from controlplane.outbox.errors import Unavailable
from controlplane.outbox.models import OutboxMessage
from controlplane.outbox.registry import handler_of
from controlplane.telemetry.context import bind
from controlplane.telemetry.domain.redaction import redact_text
from controlplane.telemetry.failpoints import failpoint
from controlplane.telemetry.metrics import counter, histogram

log = structlog.get_logger(__name__)

BATCH = 50
CLAIM_S = 60.0
ERROR_CHARS = 2000

DELIVERED = counter("outbox_delivered_total", "Messages delivered", "topic")
FAILED = counter("outbox_failed_total", "Deliveries that failed and are tried again", "topic")
DEAD = counter("outbox_dead_total", "Messages given up after the last attempt", "topic")
LATENCY = histogram("outbox_delivery_seconds", "From publishing (or the end of the wanted delay) to delivery", "topic")

# Oldest first. A message taken by another relay is locked or has moved ahead, so SKIP LOCKED keeps relays apart.
_CLAIM = """
WITH due AS (
    SELECT id, due_at FROM outbox_outboxmessage
    WHERE delivered_at IS NULL AND dead_at IS NULL AND due_at <= clock_timestamp()
    ORDER BY due_at, id
    LIMIT %s
    FOR UPDATE SKIP LOCKED
)
UPDATE outbox_outboxmessage AS message
SET due_at = clock_timestamp() + make_interval(secs => %s), attempts = message.attempts + 1
FROM due WHERE message.id = due.id
RETURNING message.id, message.uuid, message.topic, message.key, message.payload, message.headers, message.created_at,
          message.attempts, extract(epoch FROM clock_timestamp() - due.due_at)::float8 AS lag_s
"""


def deliver_due(*, limit: int = BATCH) -> int:
    """Deliver up to ``limit`` due messages; returns how many were claimed (0: nothing is due).

    At least once: a process that dies in between leaves its messages claimed for a minute, then another delivers them.
    """
    messages = _claim(limit)
    deadline = time.monotonic() + CLAIM_S / 2
    delivered: list[int] = []
    try:
        for place, message in enumerate(messages):
            if time.monotonic() > deadline:
                _release(messages[place:])
                break
            if _deliver(message):
                failpoint("outbox.before_mark", message.topic)
                delivered.append(message.id)
    finally:
        if delivered:
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE outbox_outboxmessage SET delivered_at = clock_timestamp(), last_error = '' WHERE id = ANY(%s)",
                    [delivered],
                )
    return len(messages)


def _claim(limit: int) -> Sequence[OutboxMessage]:
    messages: list[OutboxMessage] = list(OutboxMessage.objects.raw(_CLAIM, [limit, CLAIM_S]))
    return sorted(messages, key=lambda message: message.id)  # RETURNING promises no order


def _deliver(message: OutboxMessage) -> bool:
    started = time.perf_counter()
    with bind(correlation_id=message.correlation_id or None, **message.headers.get("bound", {})):
        try:
            handler_of(message.topic)(message.payload, message)
        except Unavailable as fault:
            _postpone(message, UNAVAILABLE_S, attempts=message.attempts - 1, error=str(fault))
            return False
        except Exception as fault:
            if isinstance(fault, OperationalError | InterfaceError) and not connection.is_usable():
                raise  # our own database went away: the claim runs out, and the message is delivered again
            _failed(message, fault)
            return False
    DELIVERED.inc(topic=message.topic)
    lag_s: float = message.lag_s  # type: ignore[attr-defined]  # a column of the claim
    LATENCY.observe(max(lag_s, 0.0) + time.perf_counter() - started, topic=message.topic)
    return True


def _failed(message: OutboxMessage, fault: Exception) -> None:
    error = redact_text(f"{type(fault).__name__}: {fault}")
    if is_dead(message.attempts):
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE outbox_outboxmessage SET dead_at = clock_timestamp(), last_error = %s WHERE id = %s",
                [error[:ERROR_CHARS], message.id],
            )
        DEAD.inc(topic=message.topic)
        log.error(
            "outbox message given up", topic=message.topic, message=str(message.uuid), attempts=message.attempts, error=error
        )
        return
    wait_s = delay_s(message.attempts)
    _postpone(message, wait_s, attempts=message.attempts, error=error)
    FAILED.inc(topic=message.topic)
    log.warning(
        "outbox delivery failed",
        topic=message.topic,
        message=str(message.uuid),
        attempts=message.attempts,
        retry_in_s=wait_s,
        error=error,
    )


def _postpone(message: OutboxMessage, wait_s: float, *, attempts: int, error: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE outbox_outboxmessage SET due_at = clock_timestamp() + make_interval(secs => %s),"
            " attempts = %s, last_error = %s WHERE id = %s",
            [wait_s, attempts, error[:ERROR_CHARS], message.id],
        )


def _release(messages: Sequence[OutboxMessage]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE outbox_outboxmessage SET due_at = clock_timestamp(), attempts = attempts - 1 WHERE id = ANY(%s)",
            [[message.id for message in messages]],
        )
