"""Writes of the kit."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from controlplane.audit import services as audit

__all__ = ["REASON_MIN_LENGTH", "ReasonMissing", "reveal"]

REASON_MIN_LENGTH = 8


class ReasonMissing(ValueError):
    """Personal values are shown only to somebody who says why."""


@transaction.atomic
def reveal(*, actor: audit.Actor | None, target: str, fields: Sequence[str], reason: str) -> None:
    """Record that a person looks at personal values. Called before the values are read, so none is shown unrecorded.

    ``target`` names the object (``silver_reject:42``), ``fields`` the columns, never the values. Raises ReasonMissing.
    """
    reason = reason.strip()
    if len(reason) < REASON_MIN_LENGTH:
        raise ReasonMissing(f"Say in at least {REASON_MIN_LENGTH} characters why you need to see these values.")
    audit.record(action="ui.reveal", actor=actor, target=target, payload={"fields": sorted(fields)}, reason=reason)
