"""Keys, signatures, tokens, canonical JSON."""

from __future__ import annotations

import base64
import re
import stat
import threading
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.keys import services, store
from controlplane.keys.domain.tokens import token, tokens
from controlplane.keys.errors import BadSignature, KeyFault

KEY = b"k" * 32


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.HOME = tmp_path
    monkeypatch.delenv("TOUCHSTONE_SIGNING_KEY", raising=False)
    monkeypatch.delenv("TOUCHSTONE_TOKEN_KEY", raising=False)
    return tmp_path


def test_a_signature_holds_for_its_bytes_only() -> None:
    signature = services.sign(b"certificate")
    services.verify(b"certificate", signature)
    with pytest.raises(BadSignature):
        services.verify(b"Certificate", signature)


def test_after_rotation_old_signatures_hold_and_the_anchor_names_both_keys() -> None:
    old = services.sign(b"x")
    new_id = services.rotate_signing()
    new = services.sign(b"x")
    assert new.key_id == new_id != old.key_id
    services.verify(b"x", old)
    services.verify(b"x", new)
    anchor: Any = services.trust_anchor()["keys"]
    assert [(key["key_id"], key["state"]) for key in anchor] == [(old.key_id, "retired"), (new_id, "active")]
    assert all(set(key) == {"key_id", "algorithm", "public_key", "state"} for key in anchor)


def test_key_files_are_private_and_refused_when_they_are_not(own_home: Path) -> None:
    services.sign(b"x")
    (path,) = (own_home / "keys").glob("signing-*.key")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o644)
    with pytest.raises(KeyFault, match="read by others"):
        store.load("signing")


def test_processes_that_start_at_once_agree_on_one_key() -> None:
    found: list[bytes] = []
    barrier = threading.Barrier(8)

    def start() -> None:
        barrier.wait()
        found.append(store.load("token")[-1])

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_key_from_the_environment_takes_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOUCHSTONE_TOKEN_KEY", base64.b64encode(KEY).decode())
    assert store.load("token") == [KEY]
    monkeypatch.setenv("TOUCHSTONE_TOKEN_KEY", "c2hvcnQ=")
    with pytest.raises(KeyFault, match="5 bytes instead of 32"):
        store.load("token")


def test_tokens_are_36_characters_and_depend_on_key_value_and_kind() -> None:
    one = token(KEY, "42", "customer_id")
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", one)
    assert len({one, token(KEY, "43", "customer_id"), token(KEY, "42", "email"), token(b"j" * 32, "42", "customer_id")}) == 4


@given(st.lists(st.none() | st.text(max_size=8)))
def test_a_batch_of_tokens_equals_one_by_one(values: list[str | None]) -> None:
    assert tokens(KEY, values, "k") == [None if value is None else token(KEY, value, "k") for value in values]


def test_canonical_json_is_the_same_whatever_the_order_and_says_what_json_cannot() -> None:
    one = {"b": Decimal("1.10"), "a": datetime(2026, 1, 1, 1, tzinfo=UTC), "n": 2**60, "s": {"y", "x"}, "f": 1.0}
    other = dict(reversed(one.items()))
    text = services.canonical_json(one)
    assert text == services.canonical_json(other)
    assert text == b'{"a":"2026-01-01T01:00:00+00:00","b":"1.10","f":1,"n":"1152921504606846976","s":["x","y"]}'
