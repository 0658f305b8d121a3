"""API keys as text: ``ts_<prefix>_<secret>``. Only the prefix and the SHA-256 of the whole are ever stored."""

from __future__ import annotations

import hashlib
import secrets

PREFIX_CHARS = 12


def key_new() -> tuple[str, str]:
    """A new random key of 256 bits: (prefix, the key as shown once)."""
    prefix = secrets.token_hex(PREFIX_CHARS // 2)
    return prefix, f"ts_{prefix}_{secrets.token_urlsafe(32)}"


def key_prefix(key: str) -> str | None:
    """The prefix by which a presented key is looked up; None when it is not one of ours."""
    parts = key.split("_", 2)
    if len(parts) != 3 or parts[0] != "ts" or len(parts[1]) != PREFIX_CHARS or not parts[2]:
        return None
    return parts[1]


def key_digest(key: str) -> str:
    """SHA-256 in hex. A key holds 256 random bits, so a slow password hash would add cost and no safety."""
    return hashlib.sha256(key.encode()).hexdigest()
