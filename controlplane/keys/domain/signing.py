"""Ed25519 signatures, plain Python: all that an offline verifier needs."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import asdict, dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ALGORITHM = "Ed25519"


@dataclass(frozen=True)
class Signature:
    """A detached signature; ``signature`` is base64, ``key_id`` names the key in the published trust anchor."""

    algorithm: str
    key_id: str
    signature: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)

    @classmethod
    def from_dict(cls, body: dict[str, Any]) -> Signature:
        return cls(str(body["algorithm"]), str(body["key_id"]), str(body["signature"]))


def key_id_of(public: bytes) -> str:
    """Name of a signing key: first 16 hexadecimal digits of the SHA-256 of its public part."""
    return hashlib.sha256(public).hexdigest()[:16]


def sign(private: bytes, data: bytes) -> Signature:
    key = Ed25519PrivateKey.from_private_bytes(private)
    public = key.public_key().public_bytes_raw()
    return Signature(ALGORITHM, key_id_of(public), base64.b64encode(key.sign(data)).decode())


def public_of(private: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def holds(public: bytes, data: bytes, signature: Signature) -> bool:
    """Whether the signature was made over these bytes by the owner of this key."""
    if signature.algorithm != ALGORITHM or signature.key_id != key_id_of(public):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(signature.signature, validate=True), data)
    except (InvalidSignature, ValueError):
        return False
    return True
