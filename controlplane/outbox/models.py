"""Messages saved with the change they announce, and the relays that deliver them."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class OutboxMessage(models.Model):
    """A message inserted in the caller's transaction and delivered at least once after its commit.

    Waiting while ``delivered_at`` and ``dead_at`` are empty. ``due_at`` is also the claim: a relay that takes a message
    moves it ahead, so that a relay which dies leaves the message to the next one. Delivered messages are purged after a
    day. Payloads are references and parameters, never personal data.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    topic = models.CharField(max_length=100)
    key = models.CharField(max_length=300, null=True, blank=True)  # noqa: DJ001  (null: no idempotency key)
    payload = models.JSONField()
    headers = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(db_default=Now())
    attempts = models.PositiveIntegerField(default=0)
    delivered_at = models.DateTimeField(null=True, blank=True)
    dead_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True, default="")

    class Meta:
        verbose_name = "outbox message"
        constraints = [
            models.UniqueConstraint(fields=["topic", "key"], name="outbox_outboxmessage_topic_key"),
            models.CheckConstraint(
                condition=Q(delivered_at__isnull=True) | Q(dead_at__isnull=True), name="outbox_outboxmessage_one_end"
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at", "id"],
                condition=Q(delivered_at__isnull=True, dead_at__isnull=True),
                name="outbox_outboxmessage_due",
            ),
            models.Index(
                fields=["delivered_at"], condition=Q(delivered_at__isnull=False), name="outbox_outboxmessage_delivered"
            ),
            models.Index(fields=["dead_at"], condition=Q(dead_at__isnull=False), name="outbox_outboxmessage_dead"),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.uuid}"

    @property
    def correlation_id(self) -> str:
        return str(self.headers.get("correlation_id", ""))


class Relay(models.Model):
    """A relay process that is at work; its row goes when it stops."""

    name = models.CharField(max_length=200, unique=True)
    started_at = models.DateTimeField(db_default=Now())
    beat_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name
