"""Key files under a passphrase: scrypt makes the key, AES-256-GCM seals."""

from __future__ import annotations

import base64
import json
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

LEAST_PASSPHRASE = 12
# 64 MB and about a quarter of a second per guess.
COST, BLOCK, PARALLEL = 2**16, 8, 1
_BOUND_TO = b"touchstone backup keys 1"


def seal(files: dict[str, bytes], passphrase: str) -> bytes:
    """JSON with the sealed files. ValueError for a passphrase that is too short to be one."""
    if len(passphrase) < LEAST_PASSPHRASE:
        raise ValueError(f"the passphrase has fewer than {LEAST_PASSPHRASE} characters")
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    plain = json.dumps({name: base64.b64encode(data).decode() for name, data in files.items()}).encode()
    body = {
        "kdf": "scrypt",
        "n": COST,
        "r": BLOCK,
        "p": PARALLEL,
        "salt": base64.b64encode(salt).decode(),
        "cipher": "AES-256-GCM",
        "nonce": base64.b64encode(nonce).decode(),
        "data": base64.b64encode(AESGCM(_key(passphrase, salt)).encrypt(nonce, plain, _BOUND_TO)).decode(),
    }
    return json.dumps(body, indent=1).encode()


def unseal(sealed: bytes, passphrase: str) -> dict[str, bytes]:
    """The files again. ValueError when the passphrase is another or the bytes were changed."""
    body = json.loads(sealed)
    if (body.get("kdf"), body.get("n"), body.get("r"), body.get("p")) != ("scrypt", COST, BLOCK, PARALLEL):
        raise ValueError("the keys are sealed in a way that this version does not know")
    try:
        key = _key(passphrase, base64.b64decode(body["salt"]))
        plain = AESGCM(key).decrypt(base64.b64decode(body["nonce"]), base64.b64decode(body["data"]), _BOUND_TO)
    except InvalidTag:
        raise ValueError("the passphrase is not that of the backup") from None
    return {name: base64.b64decode(text) for name, text in json.loads(plain).items()}


def _key(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=COST, r=BLOCK, p=PARALLEL).derive(passphrase.encode())
