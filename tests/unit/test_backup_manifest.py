"""Backups checked far from where they were made."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from controlplane.backup.domain import manifest as form
from controlplane.backup.domain import sealed
from controlplane.backup.domain.manifest import File, Manifest
from controlplane.keys.domain.signing import public_of, sign

KEY, OTHER = b"k" * 32, b"o" * 32


def anchor(key: bytes) -> dict[str, object]:
    return {"keys": [{"public_key": base64.b64encode(public_of(key)).decode()}]}


def manifest_of(*files: File) -> Manifest:
    return Manifest(
        taken_at="2026-11-24T10:00:00+00:00",
        database={"server_major": 18},
        lake_root="/data/lake",
        landing_root="/data/landing",
        tables={"silver/orders": 3},
        keys="left_out",
        keys_from_environment=[],
        token_check="t",
        files=list(files),
    )


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "a.csv").write_bytes(b"abc")
    body = manifest_of(File("lake/a.csv", *form.digest(tmp_path / "lake" / "a.csv"))).as_bytes()
    (tmp_path / form.MANIFEST).write_bytes(body)
    signature = {"signature": sign(KEY, body).as_dict(), "anchor": anchor(KEY)}
    (tmp_path / form.SIGNATURE).write_text(json.dumps(signature))
    return tmp_path


def test_a_whole_backup_holds(saved: Path) -> None:
    found, faults = form.check(saved, anchor=anchor(KEY))
    assert faults == []
    assert found is not None
    assert found.tables == {"silver/orders": 3}


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda folder: (folder / "lake/a.csv").write_bytes(b"abd"), "other contents"),
        (lambda folder: (folder / "lake/a.csv").write_bytes(b"ab"), "2 bytes instead of 3"),
        (lambda folder: (folder / "lake/a.csv").unlink(), "is missing"),
        (lambda folder: (folder / "lake/b.csv").write_bytes(b""), "not in the manifest"),
        (lambda folder: (folder / form.SIGNATURE).unlink(), "signature.json is missing"),
        (lambda folder: (folder / form.SIGNATURE).write_text("{}"), "cannot be read"),
        (lambda folder: (folder / form.MANIFEST).unlink(), "no backup"),
        (lambda folder: (folder / form.MANIFEST).write_bytes(manifest_of().as_bytes()), "was not signed"),
        (lambda folder: (folder / form.MANIFEST).write_text("[]"), "no manifest"),
    ],
)
def test_every_damage_is_named(saved: Path, damage: Callable[[Path], object], fault: str) -> None:
    damage(saved)
    assert fault in " ".join(form.check(saved)[1])


def test_a_backup_of_somebody_else_is_known_by_the_trust_anchor(saved: Path) -> None:
    assert form.check(saved)[1] == []
    assert "was not signed by a key of that trust anchor" in form.check(saved, anchor=anchor(OTHER))[1][0]


@pytest.mark.parametrize("path", ["../keys/signing-0001.key", "/etc/passwd", "lake/../../x", "", "a\\b"])
def test_a_manifest_that_leaves_its_folder_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="does not stay inside"):
        Manifest.from_bytes(manifest_of(File(path, "0" * 64, 1)).as_bytes())


def test_a_later_format_is_refused() -> None:
    body = json.loads(manifest_of().as_bytes()) | {"format": 2}
    with pytest.raises(ValueError, match="format 2"):
        Manifest.from_bytes(json.dumps(body).encode())


def test_keys_open_with_their_passphrase_alone() -> None:
    closed = sealed.seal({"token-0001.key": b"very secret"}, "a long passphrase")
    assert b"very secret" not in closed
    assert base64.b64encode(b"very secret") not in closed
    assert sealed.unseal(closed, "a long passphrase") == {"token-0001.key": b"very secret"}
    with pytest.raises(ValueError, match="not that of the backup"):
        sealed.unseal(closed, "a long passphrasf")


def test_changed_keys_do_not_open() -> None:
    body = json.loads(sealed.seal({"token-0001.key": b"very secret"}, "a long passphrase"))
    data = bytearray(base64.b64decode(body["data"]))
    data[0] ^= 1
    body["data"] = base64.b64encode(data).decode()
    with pytest.raises(ValueError, match="not that of the backup"):
        sealed.unseal(json.dumps(body).encode(), "a long passphrase")


def test_a_short_passphrase_is_none() -> None:
    with pytest.raises(ValueError, match="fewer than"):
        sealed.seal({}, "short")
