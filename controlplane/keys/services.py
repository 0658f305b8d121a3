"""Signatures, tokens and canonical JSON: what the rest of Touchstone calls. No key ever leaves this app."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable
from functools import lru_cache

from controlplane.keys import store
from controlplane.keys.domain import signing as _signing
from controlplane.keys.domain import tokens as _tokens
from controlplane.keys.domain.canonical import canonical_json
from controlplane.keys.domain.signing import Signature
from controlplane.keys.errors import BadSignature

__all__ = ["Signature", "canonical_json", "reload", "rotate_signing", "sign", "token", "tokens", "trust_anchor", "verify"]

# A rotated key is taken up by running processes within this time.
RELOAD_S = 30.0


@lru_cache(maxsize=8)
def _load(purpose: store.Purpose, _slot: int, _home: str) -> tuple[bytes, ...]:
    return tuple(store.load(purpose))


def _keys(purpose: store.Purpose) -> tuple[bytes, ...]:
    return _load(purpose, int(time.monotonic() // RELOAD_S), str(store.folder()))


def sign(data: bytes) -> Signature:
    """Sign bytes (of a document: its ``canonical_json``) with the signing key in use."""
    return _signing.sign(_keys("signing")[-1], data)


def verify(data: bytes, signature: Signature) -> None:
    """Raises BadSignature unless one of this installation's keys, present or past, signed these bytes."""
    if not any(_signing.holds(_signing.public_of(key), data, signature) for key in _keys("signing")):
        raise BadSignature(f"the signature by key {signature.key_id} does not hold")


def trust_anchor() -> dict[str, object]:
    """The public keys, as published at ``/.well-known/touchstone-keys.json``: what others verify signatures with."""
    keys = [_signing.public_of(key) for key in _keys("signing")]
    return {
        "keys": [
            {
                "key_id": _signing.key_id_of(public),
                "algorithm": _signing.ALGORITHM,
                "public_key": base64.b64encode(public).decode(),
                "state": "active" if public == keys[-1] else "retired",
            }
            for public in keys
        ]
    }


def rotate_signing() -> str:
    """Sign with a new key from now on; returns its id. What older keys signed stays verifiable."""
    store.rotate("signing")
    _load.cache_clear()
    return _signing.key_id_of(_signing.public_of(_keys("signing")[-1]))


def reload() -> None:
    """Forget the keys that were read: others have been put in their place."""
    _load.cache_clear()


def token(value: str, kind: str) -> str:
    """Token of a personal identifier: 36 characters, 8-4-4-4-12, keyed and not reversible. See ``domain.tokens``.

    Tokens of one installation must stay equal to be joined on, so the token key changes only together with all data.
    """
    return _tokens.token(_keys("token")[-1], value, kind)


def tokens(values: Iterable[str | None], kind: str) -> list[str | None]:
    """Tokens of many values, in their order; None stays None."""
    return _tokens.tokens(_keys("token")[-1], values, kind)
