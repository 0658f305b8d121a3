"""Reproductions: figures computed again from what they were made of."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone


class Reproduction(models.Model):
    """One attempt to compute a published figure again; its outcome stays as evidence.

    The scratch lake that it works in is gone when it ends. Holds no personal data: ``result`` names datasets, files by logical
    id and hash, and figures.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        DONE = "done", "Done"  # one of the outcomes
        FAILED = "failed", "Failed"  # it could not be carried out; says nothing of the figure

    class Source(models.TextChoices):
        BRONZE = "bronze", "from the raw files"
        DELTA = "delta", "from the lake's versions"

    class Outcome(models.TextChoices):
        REPRODUCED = "reproduced", "Reproduced"
        EXCEPT_ERASURE = "reproduced_except_erasure", "Reproduced, except for an erasure"
        DIFFERS = "differs", "Differs"
        NOT_REPRODUCIBLE = "not_reproducible", "Not reproducible any more"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    value = models.ForeignKey("pipeline.KpiValue", on_delete=models.PROTECT, related_name="reproductions")
    kpi = models.CharField(max_length=60)
    business_date = models.DateField()
    source = models.CharField(max_length=10, choices=Source.choices, default=Source.BRONZE)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    progress = models.JSONField(default=dict, help_text="{done, total, now, files_checked, files_total}")
    outcome = models.CharField(max_length=30, choices=Outcome.choices, blank=True)
    result = models.JSONField(default=dict, help_text="what was found; see docs/evidence.md")
    error = models.TextField(blank=True)
    attempts = models.IntegerField(default=0)
    correlation_id = models.CharField(max_length=64, blank=True)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="reproductions"
    )
    requested_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            # Two clicks are one reproduction.
            models.UniqueConstraint(
                fields=["value", "source"],
                condition=models.Q(state__in=["queued", "running"]),
                name="reproduction_one_at_a_time",
            )
        ]
        indexes = [
            models.Index(fields=["kpi", "business_date", "-id"], name="reproduction_figure"),
            models.Index(fields=["state"], condition=models.Q(state__in=["queued", "running"]), name="reproduction_open"),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.kpi} {self.business_date}"

    def get_absolute_url(self) -> str:
        return reverse("reproduction", args=[self.uuid])

    @property
    def audit_target(self) -> str:
        return f"reproduction:{self.uuid}"

    @property
    def is_open(self) -> bool:
        return self.state in (self.State.QUEUED, self.State.RUNNING)

    @property
    def percent(self) -> int:
        """Share of the datasets that are done; files being checked count towards the first of them."""
        total = self.progress.get("total") or 0
        return round(100 * self.progress.get("done", 0) / total) if total else 0

    @property
    def duration_s(self) -> float | None:
        return (self.finished_at - self.started_at).total_seconds() if self.finished_at and self.started_at else None
