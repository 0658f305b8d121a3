"""Drops as they arrived, and the Bronze files they became."""

import uuid

from django.db import models
from django.utils import timezone


class DropState(models.TextChoices):
    LANDED = "landed", "Landed"  # bytes are safe, not yet checked
    ACCEPTED = "accepted", "Accepted"
    REFUSED = "refused", "Refused"
    DUPLICATE = "duplicate", "Duplicate"


class BronzeFile(models.Model):
    """The manifest of one accepted drop: verbatim bytes, write-once.

    ``logical_id`` stays when an erasure supersedes the bytes; rows of Silver refer to it. ``decoded_uri`` names the same
    records as text columns in Parquet with their ordinals, which both engines read. May hold personal data (in the bytes).
    """

    logical_id = models.CharField(max_length=120, unique=True)
    dataset = models.CharField(max_length=100)
    uri = models.CharField(max_length=1000)
    decoded_uri = models.CharField(max_length=1000)
    sha256 = models.CharField(max_length=64, help_text="SHA-256 of the drop as it was received")
    size_bytes = models.BigIntegerField()
    rows = models.BigIntegerField()
    columns = models.JSONField(help_text="column names in the drop's order")
    unknown_columns = models.JSONField(default=list, help_text="columns that the contract does not know")
    schema_hash = models.CharField(max_length=64)
    contract_version = models.CharField(max_length=40)
    source = models.CharField(max_length=40)
    filename = models.CharField(max_length=500)
    received_at = models.DateTimeField()
    correlation_id = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["dataset", "sha256"], name="bronze_file_once_per_content")]
        indexes = [models.Index(fields=["dataset", "-received_at"], name="bronze_dataset_received")]
        ordering = ["-received_at", "-id"]

    def __str__(self) -> str:
        return self.logical_id


class Drop(models.Model):
    """One delivery by a source, whatever became of it. Refused bytes are kept at ``kept_uri`` for the sender."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    dataset = models.CharField(max_length=100)
    filename = models.CharField(max_length=500)
    source = models.CharField(max_length=40, help_text="how it came: folder, http, demo")
    received_by = models.CharField(max_length=150, blank=True, help_text="user or API key that sent it")
    received_at = models.DateTimeField(default=timezone.now)
    checked_at = models.DateTimeField(null=True, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    size_bytes = models.BigIntegerField(default=0)
    rows = models.BigIntegerField(null=True, blank=True)
    state = models.CharField(max_length=12, choices=DropState.choices, default=DropState.LANDED)
    faults = models.JSONField(default=list, help_text="[{place, reason, mend}], empty when accepted")
    spool_path = models.CharField(max_length=1000, help_text="where the bytes wait until they are checked")
    kept_uri = models.CharField(max_length=1000, blank=True, help_text="where refused bytes are kept")
    bronze_file = models.ForeignKey(BronzeFile, null=True, blank=True, on_delete=models.PROTECT, related_name="drops")
    correlation_id = models.CharField(max_length=64)
    identity = models.CharField(max_length=200, unique=True, help_text="recognises the same delivery seen twice")

    class Meta:
        indexes = [
            models.Index(fields=["-received_at"], name="drop_received"),
            models.Index(fields=["state", "-received_at"], name="drop_state_received"),
            models.Index(fields=["dataset", "-received_at"], name="drop_dataset_received"),
        ]
        ordering = ["-received_at", "-id"]

    def __str__(self) -> str:
        return f"{self.dataset}/{self.filename}"
