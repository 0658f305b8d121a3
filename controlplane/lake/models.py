"""Leases: who may write a resource now, and who is reading it. Holds no personal data."""

from __future__ import annotations

from django.db import models


class Lease(models.Model):
    """The right to write one resource (a lake table). One row per resource for ever, so that ``fencing`` only grows.

    An empty ``holder`` or a past ``expires_at`` means that it is free. Times are the database's clock.
    """

    resource = models.CharField(max_length=200, primary_key=True)
    holder = models.CharField(max_length=200, blank=True)
    fencing = models.BigIntegerField(help_text="grows by one each time the lease is taken")
    acquired_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(fencing__gte=1), name="lake_lease_fencing_positive")]

    def __str__(self) -> str:
        return self.resource


class ReaderLease(models.Model):
    """A reader that needs the files of the snapshot it has opened: physical removal waits for it."""

    id = models.UUIDField(primary_key=True)
    resource = models.CharField(max_length=200)
    holder = models.CharField(max_length=200)
    acquired_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["resource", "expires_at"], name="lake_readerlease_resource")]

    def __str__(self) -> str:
        return f"{self.resource} by {self.holder}"
