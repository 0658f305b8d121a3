"""Writes of the outbox: what the rest of Touchstone calls."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction
from django.db.models.functions import Now

from controlplane.outbox.errors import NotInTransaction
from controlplane.outbox.models import OutboxMessage
from controlplane.telemetry.context import bound, correlation_id, correlation_id_new

__all__ = ["CHANNEL", "messages_resend", "publish", "purge", "send_task"]

CHANNEL = "touchstone_outbox"
PURGE_BATCH = 5000

# One round trip. The notification leaves with the commit; the relay is woken once per transaction, not per message.
_PUBLISH = """
WITH message AS (
    INSERT INTO outbox_outboxmessage (uuid, topic, key, payload, headers, created_at, due_at, attempts, last_error)
    VALUES (%s, %s, %s, %s::jsonb, %s::jsonb, clock_timestamp(), clock_timestamp() + make_interval(secs => %s), 0, '')
    ON CONFLICT (topic, key) DO NOTHING
    RETURNING id
)
SELECT id, pg_notify(%s, '') FROM message
"""


def publish(*, topic: str, payload: Mapping[str, Any], key: str | None = None, delay_s: float = 0) -> int | None:
    """Save a message in the caller's transaction; the relay delivers it at least once after the commit.

    ``key`` makes it idempotent: while a message of this topic and key exists (delivered ones are kept for a day), another
    is not saved and None is returned; else its id. Raises NotInTransaction outside a transaction.
    """
    if not connection.in_atomic_block:
        raise NotInTransaction(f"{topic}: a message is published in the transaction of the change it announces")
    headers = {"correlation_id": correlation_id() or correlation_id_new(), "bound": dict(bound())}
    with connection.cursor() as cursor:
        cursor.execute(_PUBLISH, [uuid.uuid4(), topic, key, _json(dict(payload)), _json(headers), max(delay_s, 0.0), CHANNEL])
        row = cursor.fetchone()
    return None if row is None else int(row[0])


def send_task(
    *, task: str, kwargs: Mapping[str, Any], queue: str = "default", key: str | None = None, delay_s: float = 0
) -> int | None:
    """Run a Celery task after the commit. The task may be sent twice, with the same task id. Arguments as ``publish``."""
    return publish(topic="celery", payload={"task": task, "kwargs": dict(kwargs), "queue": queue}, key=key, delay_s=delay_s)


def _json(value: object) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder)


@transaction.atomic
def messages_resend(*, ids: Iterable[int], actor_ref: str, actor_name: str) -> int:
    """Give dead messages a fresh start; returns how many. Audited through the topic ``audit.record``: audit stands above."""
    found = list(
        OutboxMessage.objects.select_for_update()
        .filter(id__in=list(ids), dead_at__isnull=False)
        .values_list("id", "uuid", "topic")
    )
    OutboxMessage.objects.filter(id__in=[row[0] for row in found]).update(dead_at=None, attempts=0, due_at=Now())
    for _id, message_uuid, topic in found:
        publish(
            topic="audit.record",
            payload={
                "action": "outbox.resend",
                "actor": actor_ref,
                "actor_name": actor_name,
                "target": f"outbox:{message_uuid}",
                "payload": {"topic": topic},
            },
        )
    return len(found)


def purge(*, older_than_s: float = 86_400.0) -> int:
    """Delete messages delivered longer ago than this, in batches; returns how many. Dead ones stay until a person acts."""
    total = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM outbox_outboxmessage WHERE id IN (SELECT id FROM outbox_outboxmessage"
                " WHERE delivered_at < now() - make_interval(secs => %s) ORDER BY delivered_at LIMIT %s)",
                [older_than_s, PURGE_BATCH],
            )
            deleted: int = cursor.rowcount
            total += deleted
            if deleted < PURGE_BATCH:
                return total
