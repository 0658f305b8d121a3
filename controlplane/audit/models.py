"""The audit log: entries that only ever gain a seal, and their payloads, which can be erased without breaking the chain."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class AuditEntry(models.Model):
    """One state change. Inserted unsealed in the transaction of the change; a trigger forbids UPDATE (but the sealing),
    DELETE and TRUNCATE.

    Holds no personal data: ``actor`` and ``target`` are references (``user:<uuid>``, ``dataset:orders``), names and
    reasons stand in the payload. Deliberately without foreign keys: what an entry names may be deleted.
    """

    recorded_at = models.DateTimeField()
    action = models.CharField(max_length=100)
    actor = models.CharField(max_length=200)
    target = models.CharField(max_length=300)
    correlation_id = models.CharField(max_length=64, blank=True)
    commitment = models.CharField(max_length=64)
    seq = models.BigIntegerField(null=True, editable=False)
    previous_hash = models.CharField(max_length=64, blank=True, default="")
    hash = models.CharField(max_length=64, blank=True, default="")
    sealed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = "audit entry"
        verbose_name_plural = "audit entries"
        constraints = [
            models.UniqueConstraint(fields=["seq"], name="audit_auditentry_seq_key"),
            models.CheckConstraint(
                condition=Q(seq__isnull=True, hash="") | Q(seq__gte=1, sealed_at__isnull=False),
                name="audit_auditentry_sealed_whole",
            ),
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(seq__isnull=True), name="audit_auditentry_unsealed"),
            models.Index(fields=["action", "-id"], name="audit_auditentry_action"),
            models.Index(fields=["target", "-id"], name="audit_auditentry_target"),
            models.Index(fields=["actor", "-id"], name="audit_auditentry_actor"),
            models.Index(fields=["recorded_at"], name="audit_auditentry_recorded"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target}"


class AuditPayload(models.Model):
    """What an entry commits to: JSON ``{"actor_name", "payload", "reason"}`` as canonical text, with its salt.

    May hold personal data. Text, not JSONB: the commitment is over these very bytes, and JSONB rewrites numbers.
    """

    entry = models.OneToOneField(AuditEntry, primary_key=True, on_delete=models.PROTECT, related_name="payload")
    salt = models.BinaryField(max_length=16, null=True)
    document = models.TextField(null=True)  # noqa: DJ001  (null = erased, which is not the same as empty)
    erased_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(salt__isnull=False, document__isnull=False, erased_at__isnull=True)
                | Q(salt__isnull=True, document__isnull=True, erased_at__isnull=False),
                name="audit_auditpayload_erased_whole",
            )
        ]

    def __str__(self) -> str:
        return f"payload of entry {self.pk}"
