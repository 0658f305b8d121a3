"""How numbers and moments are spelled in evidence: one text for one value, whoever writes it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

__all__ = ["moment_text", "number_text"]


def number_text(value: Decimal | None) -> str | None:
    """Digits without exponent or zeros at the end: 8398.3."""
    return None if value is None else f"{value.normalize():f}"


def moment_text(value: datetime | None) -> str | None:
    """ISO 8601 in UTC: 2026-11-24T22:38:00.737936Z."""
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")
