"""Writes of the audit log."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from django.db import transaction
from django.utils import timezone

from controlplane.audit.domain.chain import commitment_of
from controlplane.audit.errors import NotInTransaction
from controlplane.audit.models import AuditEntry, AuditPayload
from controlplane.keys.services import canonical_json
from controlplane.telemetry.context import correlation_id

__all__ = ["Actor", "checkpoint_write", "payload_erase", "record"]

SALT_BYTES = 16


@runtime_checkable
class Actor(Protocol):
    """Whoever acts: a person or a key (``accounts.User``, ``accounts.ApiKey``)."""

    @property
    def audit_ref(self) -> str:
        """A reference without personal data, such as ``user:<uuid>``."""

    @property
    def audit_name(self) -> str:
        """The name a reader knows; kept in the payload, where it can be erased."""


def record(
    *, action: str, actor: Actor | str | None, target: str, payload: Mapping[str, object] | None = None, reason: str = ""
) -> AuditEntry:
    """Note a state change in the caller's transaction, so that both are saved or neither.

    ``action`` is ``<app>.<what>`` (``pipeline.replay``), ``target`` a reference (``dataset:orders``) without personal data,
    ``actor`` a person, a key, or ``system:<part>``. Raises NotInTransaction outside a transaction.
    """
    if not transaction.get_connection().in_atomic_block:
        raise NotInTransaction(f"{action}: an audit entry is recorded in the transaction of the change it describes")
    ref, name = (actor.audit_ref, actor.audit_name) if isinstance(actor, Actor) else (actor or "system", "")
    document = canonical_json({"actor_name": name, "payload": dict(payload or {}), "reason": reason}).decode()
    salt = os.urandom(SALT_BYTES)
    entry = AuditEntry.objects.create(
        recorded_at=timezone.now(),
        action=action,
        actor=ref,
        target=target,
        correlation_id=correlation_id(),
        commitment=commitment_of(salt=salt, document=document),
    )
    AuditPayload.objects.create(entry=entry, salt=salt, document=document)
    return entry


@transaction.atomic
def payload_erase(*, entry_id: int, actor: Actor | str, reason: str) -> bool:
    """Erase the payload of an entry; the chain stays whole. False when it was erased already.

    The erasure is an entry of its own: ``verify`` reports an erased payload that no entry accounts for.
    """
    erased = AuditPayload.objects.filter(entry_id=entry_id, erased_at__isnull=True).update(
        salt=None, document=None, erased_at=timezone.now()
    )
    if erased:
        record(action="audit.payload_erase", actor=actor, target=f"audit:{entry_id}", reason=reason)
    return bool(erased)


def checkpoint_write() -> None:
    """Sign the newest sealed entry now, for evidence that leaves the installation; nothing when it is signed already."""
    from controlplane.audit import checkpoints

    checkpoints.write()
