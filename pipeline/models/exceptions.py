"""Rows that Silver held back: rejected rows, and values of columns that no contract knows."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils import timezone


class HeldState(models.TextChoices):
    OPEN = "open", "Open"
    QUEUED = "queued", "Queued"  # a reprocess was asked for
    RESOLVED = "resolved", "Resolved"


class HeldRow(models.Model):
    """The original record, why it was held back, and where it came from. Holds personal data (``record``)."""

    dataset = models.CharField(max_length=100)
    bronze_file = models.ForeignKey("pipeline.BronzeFile", on_delete=models.CASCADE, related_name="+")
    row = models.BigIntegerField(help_text="0-based ordinal of the record in the drop")
    record = models.JSONField(help_text="the record as text, by source column")
    state = models.CharField(max_length=10, choices=HeldState.choices, default=HeldState.OPEN)
    step = models.ForeignKey("pipeline.Step", null=True, on_delete=models.SET_NULL, related_name="+")
    first_seen_at = models.DateTimeField(default=timezone.now)
    last_tried_at = models.DateTimeField(default=timezone.now)
    tries = models.IntegerField(default=1)
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


class SilverReject(HeldRow):
    """A row that breaks at least one rule of its contract."""

    rules = ArrayField(models.CharField(max_length=150), help_text="ids of every rule it breaks, e.g. required:total_amount")

    class Meta:
        db_table = "silver_rejects"
        constraints = [models.UniqueConstraint(fields=["bronze_file", "row"], name="silver_reject_once")]
        indexes = [
            models.Index(fields=["dataset", "state", "-id"], name="silver_reject_dataset"),
            GinIndex(fields=["rules"], name="silver_reject_rules"),
        ]
        ordering = ["-id"]


class QuarantinedRow(HeldRow):
    """A copy of a row that carries a value in a column the contract does not know; the row itself went on without it."""

    column = models.CharField(max_length=200)

    class Meta:
        db_table = "silver_quarantine"
        constraints = [models.UniqueConstraint(fields=["bronze_file", "row", "column"], name="quarantined_row_once")]
        indexes = [models.Index(fields=["dataset", "state", "column", "-id"], name="quarantine_dataset")]
        ordering = ["-id"]
