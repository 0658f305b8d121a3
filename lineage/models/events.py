"""Events as they came, and what retention and forwarding note about them: the records."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Event(models.Model):
    """An accepted event, verbatim.

    Partitioned by ``recorded_at`` (raw SQL in the migration), so retention drops partitions. ``body`` is text, not jsonb:
    jsonb refuses NUL and half surrogate pairs, drops repeated keys and costs a parse per insert. May hold personal data.
    """

    pk = models.CompositePrimaryKey("recorded_at", "id")
    recorded_at = models.DateTimeField()
    id = models.BigIntegerField()
    identity = models.UUIDField()
    kind = models.CharField(max_length=7)
    event_type = models.CharField(max_length=16)
    event_time = models.DateTimeField()
    run_id = models.UUIDField(null=True)
    job_id = models.BigIntegerField(null=True)
    producer = models.CharField(max_length=100)
    body = models.TextField()

    class Meta:
        managed = False
        db_table = "lineage_event"


class EventIdentity(models.Model):
    """Ledger of what was ever accepted: not partitioned, outlives bodies, holds a keyed hash and no content."""

    identity = models.UUIDField(primary_key=True)
    event_id = models.BigIntegerField()
    recorded_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "event identities"


class Pending(models.Model):
    """Events that wait for projection. Projectors claim rows with SKIP LOCKED; a cursor over ids would skip late commits."""

    event_id = models.BigIntegerField(primary_key=True)
    recorded_at = models.DateTimeField()
    size_bytes = models.IntegerField()

    class Meta:
        verbose_name_plural = "pending"


class Quarantine(models.Model):
    """A body that was refused, kept for its producer to see. May hold personal data."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        REPLAYED = "replayed", "Replayed"
        DISMISSED = "dismissed", "Dismissed"

    class Stage(models.TextChoices):
        INGEST = "ingest", "Refused at ingest"
        PROJECTION = "projection", "Accepted, not understood by the projection"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    received_at = models.DateTimeField()
    last_received_at = models.DateTimeField()
    times = models.IntegerField(default=1)
    producer = models.CharField(max_length=100)
    namespace = models.TextField(blank=True)
    stage = models.CharField(max_length=10, choices=Stage.choices, default=Stage.INGEST)
    state = models.CharField(max_length=9, choices=State.choices, default=State.OPEN)
    path = models.TextField()
    reason = models.TextField()
    body = models.TextField()
    body_bytes = models.IntegerField()
    digest = models.UUIDField()
    event_id = models.BigIntegerField(null=True)

    class Meta:
        verbose_name = "refused event"
        constraints = [
            models.UniqueConstraint(fields=["digest", "producer", "stage"], name="lineage_quarantine_once"),
        ]
        indexes = [models.Index(fields=["producer", "-last_received_at"], name="lineage_quarantine_producer")]

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class Retention(models.Model):
    """Events that retention removed: those recorded before ``cut``. What they said stands in the snapshot made then.

    A record, not a projection: it is what provenance cites for an event that is gone.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    cut = models.DateTimeField(unique=True)
    partitions = ArrayField(models.TextField())
    events = models.BigIntegerField()
    first_recorded_at = models.DateTimeField(null=True)
    last_recorded_at = models.DateTimeField(null=True)
    rows = models.JSONField(help_text="rows of the snapshot, by table")
    finished_at = models.DateTimeField()

    class Meta:
        ordering = ["-cut"]

    def __str__(self) -> str:
        return f"events before {self.cut:%Y-%m-%d}"


class ForwardTarget(models.Model):
    """How far another OpenLineage server has been sent our events: everything recorded up to ``position`` went there.

    ``claimed_until`` keeps two senders apart; ``attempts`` and ``due_at`` hold the back-off while it cannot take the next one.
    """

    name = models.CharField(max_length=63, primary_key=True)
    url = models.CharField(max_length=1000)
    started_at = models.DateTimeField()
    position = models.DateTimeField()
    position_id = models.BigIntegerField(default=0)
    sent = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0)
    attempts = models.IntegerField(default=0)
    due_at = models.DateTimeField()
    claimed_until = models.DateTimeField(null=True)
    claim = models.UUIDField(null=True)
    last_sent_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ForwardRefusal(models.Model):
    """An event that another server would not take: a dead letter, until somebody sends it again."""

    target = models.ForeignKey(ForwardTarget, on_delete=models.CASCADE, related_name="refusals")
    event_id = models.BigIntegerField()
    recorded_at = models.DateTimeField()
    refused_at = models.DateTimeField()
    status = models.IntegerField()
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["target", "event_id"], name="lineage_forward_refusal_once")]

    def __str__(self) -> str:
        return f"{self.target_id} {self.event_id}"
