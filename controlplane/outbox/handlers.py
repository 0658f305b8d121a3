"""Topics that the outbox itself serves."""

from __future__ import annotations

from typing import Any

from celery import current_app
from kombu.exceptions import OperationalError

from controlplane.outbox.errors import Unavailable
from controlplane.outbox.models import OutboxMessage
from controlplane.outbox.registry import handler


@handler("celery")
def send_celery_task(payload: dict[str, Any], message: OutboxMessage) -> None:
    """Send a task by name. The task id is the message's, so that a second delivery can be recognised as the same task."""
    try:
        current_app.send_task(
            payload["task"],
            kwargs=payload.get("kwargs") or {},
            queue=payload.get("queue") or "default",
            task_id=str(message.uuid),
            retry=False,  # the outbox retries; waiting here would hold up the messages behind
        )
    except (OperationalError, ConnectionError) as fault:
        raise Unavailable(f"the broker does not answer: {type(fault).__name__}") from fault
