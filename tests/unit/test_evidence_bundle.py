"""Evidence bundles without any service: made, signed, verified, tampered with."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from controlplane.audit.domain.chain import GENESIS, Link, seal
from controlplane.embedded.home import ROOT
from controlplane.evidence.domain import bundle
from controlplane.evidence.domain.verify import anchor_read, verify
from controlplane.keys.domain import signing
from controlplane.keys.domain.canonical import canonical_json

KEY, OTHER = b"k" * 32, b"o" * 32
SQL, CONTRACT, RAW = b"SELECT 1", b"id: orders\n", b"order_id\n"


def anchor(key: bytes = KEY) -> dict[str, bytes]:
    public = signing.public_of(key)
    return {signing.key_id_of(public): public}


def published(key: bytes) -> str:
    """Keys as an installation publishes them."""
    return json.dumps({"keys": [{"public_key": base64.b64encode(signing.public_of(key)).decode()}]})


def signed(document: object, key: bytes = KEY) -> dict[str, Any]:
    return signing.sign(key, canonical_json(document)).as_dict()


def chain(entries: int = 3) -> tuple[bytes, bytes]:
    """A checkpoint and the links up to it."""
    at = datetime(2026, 11, 24, 12, tzinfo=UTC)
    links = [
        Link(number, at, "pipeline.replay", "user:1", f"bronze:{number}", "", f"{number:064x}")
        for number in range(1, entries + 1)
    ]
    sealed = seal(links, seq=0, head=GENESIS)
    lines = [
        canonical_json(
            {
                "seq": one.seq,
                "entry_id": one.link.entry_id,
                "recorded_at": at.isoformat(timespec="microseconds"),
                "action": one.link.action,
                "actor": one.link.actor,
                "target": one.link.target,
                "correlation_id": "",
                "commitment": one.link.commitment,
                "previous_hash": one.previous_hash,
                "hash": one.hash,
            }
        )
        for one in sealed
    ]
    head = {"seq": sealed[-1].seq, "hash": sealed[-1].hash, "sealed_at": at.isoformat(), "written_at": at.isoformat()}
    return canonical_json({"checkpoint": head, "signature": signed(head)}), b"\n".join(lines) + b"\n"


def made(key: bytes = KEY, **changed: bytes) -> bytes:
    """A small bundle; ``changed`` entries (dots for slashes) are put in after it was signed."""
    table: dict[str, Any] = {
        "dataset": "orders",
        "layer": "silver",
        "sql_sha256": [bundle.sha256_of(SQL)],
        "files": [logical_id(RAW)],
    }
    table |= {"contracts": [{"version": "1.0.0", "sha256": bundle.sha256_of(CONTRACT)}]}
    checkpoint, links = chain()
    entries = {
        bundle.README: b"read me",
        bundle.KEYS: published(key).encode(),
        bundle.RECIPE: canonical_json({"tables": [table]}),
        bundle.FILES: canonical_json([{"logical_id": logical_id(RAW), "sha256": bundle.sha256_of(RAW)}]),
        f"sql/{bundle.sha256_of(SQL)}.sql": SQL,
        "contracts/orders-1.0.0.odcs.yaml": CONTRACT,
        bundle.CHECKPOINT: checkpoint,
        bundle.LINKS: links,
    }
    figure = {"kpi": "net_revenue", "title": "Net revenue", "unit": "EUR", "business_date": "2026-11-23", "value": "12.5"}
    manifest = bundle.manifest_of(entries, figure | {"numerator": "12.5", "denominator": "1", "as_of": "2026-11-24T12:00:00Z"})
    entries |= {bundle.MANIFEST: manifest, bundle.SIGNATURE: canonical_json(signing.sign(key, manifest).as_dict())}
    return bundle.pack(entries | changed)


def logical_id(raw: bytes) -> str:
    return f"orders-{bundle.sha256_of(raw)[:32]}"


def test_the_same_content_gives_the_same_bytes_and_holds() -> None:
    assert made() == made()
    report, contents = verify(made(), anchor=anchor())
    assert (report.faults, contents is not None) == ([], True)
    assert len(report.held) == 4


@pytest.mark.parametrize("path", sorted(bundle.unpack(made()).entries))
def test_every_changed_entry_is_found_and_named(path: str) -> None:
    data = bundle.unpack(made()).entries[path]
    changed = data.replace(b"1", b"2", 1) if b"1" in data else data + b" "
    report, _ = verify(made(**{path: changed}), anchor=anchor())
    assert any(path in fault or path == bundle.SIGNATURE for fault in report.faults), report.faults


def test_an_entry_that_was_added_or_taken_out_is_named() -> None:
    report, _ = verify(made(**{"sql/extra.sql": b"SELECT 2"}), anchor=anchor())
    assert "sql/extra.sql is not in the manifest" in report.faults
    entries = dict(bundle.unpack(made()).entries)
    del entries["contracts/orders-1.0.0.odcs.yaml"]
    report, _ = verify(bundle.pack(entries), anchor=anchor())
    assert "contracts/orders-1.0.0.odcs.yaml is missing" in report.faults
    assert "contract 1.0.0 of silver.orders is missing" in report.faults


def test_somebody_elses_signature_does_not_hold_against_the_anchor() -> None:
    report, _ = verify(made(OTHER), anchor=anchor())
    assert "which the trust anchor does not know" in report.faults[0]
    report, _ = verify(made(), anchor=None)
    assert report.intact
    assert "No trust anchor was given" in report.notes[0]


def test_an_audit_entry_forged_with_all_hashes_of_files_made_anew_is_named() -> None:
    """Whoever holds the signing key may sign a false bundle, but not make the chain meet its checkpoint."""
    entries = dict(bundle.unpack(made()).entries)
    entries[bundle.LINKS] = entries[bundle.LINKS].replace(b"bronze:2", b"bronze:9")
    del entries[bundle.MANIFEST], entries[bundle.SIGNATURE]
    manifest = bundle.manifest_of(entries, json.loads(bundle.unpack(made()).entries[bundle.MANIFEST])["figure"])
    signature = canonical_json(signing.sign(KEY, manifest).as_dict())
    report, _ = verify(bundle.pack(entries | {bundle.MANIFEST: manifest, bundle.SIGNATURE: signature}), anchor=anchor())
    assert report.faults == ["audit entry 2 (id 2, pipeline.replay bronze:9): its content does not match its hash"]


@pytest.mark.parametrize("data", [b"", b"not a zip", made()[:-40], made()[200:]])
def test_what_is_no_whole_bundle_is_a_fault_and_no_error(data: bytes) -> None:
    report, contents = verify(data, anchor=anchor())
    assert (len(report.faults) > 0, contents) == (True, None)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_that_names_an_entry_twice_is_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("manifest.json", "{}")
        archive.writestr("manifest.json", "{}")
    report, _ = verify(buffer.getvalue(), anchor=anchor())
    assert "names an entry twice" in report.faults[0]


def test_a_trust_anchor_is_read_from_pem_and_from_the_published_json() -> None:
    public = Ed25519PublicKey.from_public_bytes(signing.public_of(KEY))
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert anchor_read(pem) == anchor_read(published(KEY)) == anchor()
    with pytest.raises(bundle.BadBundle):
        anchor_read("{}")


def test_the_command_verifies_in_a_plain_checkout_without_services(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(published(KEY))
    (tmp_path / "good.zip").write_bytes(made())
    (tmp_path / "bad.zip").write_bytes(made(**{"README.txt": b"other"}))
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    environment["TOUCHSTONE_HOME"] = str(tmp_path / "home")

    def run(name: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "manage.py", "evidence", "verify", str(tmp_path / name)]
        command += ["--trust-anchor", str(tmp_path / "keys.json")]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)

    good, bad = run("good.zip"), run("bad.zip")
    assert (good.returncode, good.stdout.rstrip().endswith("The evidence holds.")) == (0, True), good
    assert bad.returncode == 1
    assert "README.txt was changed" in bad.stdout
