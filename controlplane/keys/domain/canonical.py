"""Canonical JSON (RFC 8785): one byte string per document, so that hashes and signatures can be made again anywhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from uuid import UUID

import rfc8785

SAFE_INTEGER = 2**53 - 1


def canonical_json(value: object) -> bytes:
    """The document as RFC 8785 bytes. What JSON has no word for is written as text: see ``plain``."""
    return rfc8785.dumps(plain(value))  # type: ignore[arg-type]


def plain(value: object) -> object:  # noqa: PLR0911  (one kind, one line)
    """Reduce a value to what JSON can carry without loss.

    Times become ISO 8601 in UTC, decimals, UUIDs and paths text, bytes hexadecimal, sets sorted lists; integers beyond
    ±(2^53 - 1) and floats that are not finite become text, since a reader in another language would change them.
    """
    match value:
        case None | bool():
            return value
        case Enum():
            return plain(value.value)
        case int():
            return int(value) if -SAFE_INTEGER <= value <= SAFE_INTEGER else str(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case str():
            # A lone surrogate has no UTF-8 form; JSON from outside may carry one.
            return str(value).encode("utf-8", "replace").decode("utf-8")
        case datetime():
            return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
        case date() | Decimal() | UUID() | PurePath():
            return str(value)
        case bytes():
            return value.hex()
        case Mapping():
            return {str(plain(name)): plain(item) for name, item in value.items()}
        case set() | frozenset():
            return sorted((plain(item) for item in value), key=str)
        case list() | tuple():
            return [plain(item) for item in value]
    return str(value)
