"""Tokens that stand for personal identifiers: keyed, one-way, the same for the same value. Plain Python."""

from __future__ import annotations

import hmac
from collections.abc import Iterable


def token(key: bytes, value: str, kind: str) -> str:
    """36 characters, 8-4-4-4-12: the first 128 bits of HMAC-SHA-256(key, kind ‖ 0 ‖ value).

    ``kind`` (``customer_id``) keeps equal values of different kinds apart. Without the key a token cannot be made or guessed.
    """
    return _shape(hmac.digest(key, kind.encode() + b"\0" + value.encode(), "sha256").hex())


def tokens(key: bytes, values: Iterable[str | None], kind: str) -> list[str | None]:
    """Tokens in the order of the values, None for None; each distinct value is computed once."""
    prefix = kind.encode() + b"\0"
    found: dict[str | None, str | None] = {None: None}
    result: list[str | None] = []
    for value in values:
        if value is not None and value not in found:
            found[value] = _shape(hmac.digest(key, prefix + value.encode(), "sha256").hex())
        result.append(found[value])
    return result


def _shape(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}"
