"""The check of an evidence bundle without a database: every hash, the signature, the contents against each other, the chain."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from controlplane.audit.domain.chain import SealedLink, link_hash
from controlplane.audit.domain.exported import read_lines
from controlplane.evidence.domain import bundle
from controlplane.evidence.domain.bundle import BadBundle, Contents
from controlplane.keys.domain.canonical import canonical_json
from controlplane.keys.domain.signing import Signature, holds, key_id_of

Keys = Mapping[str, bytes]  # key id → public key, 32 bytes
_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


@dataclass
class Report:
    """What was checked, in the order of the checks, and every fault that was found; none: the bundle holds."""

    figure: dict[str, Any] = field(default_factory=dict)
    held: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def intact(self) -> bool:
        return not self.faults

    def add(self, faults: list[str], held: str) -> None:
        self.faults.extend(faults)
        if not faults:
            self.held.append(held)


def anchor_read(text: str) -> Keys:
    """Public keys of a trust anchor: PEM, or the JSON of ``/.well-known/touchstone-keys.json``. Raises BadBundle."""
    found: dict[str, bytes] = {}
    try:
        blocks = _PEM.findall(text)
        for block in blocks:
            key = load_pem_public_key(block.encode())
            if not isinstance(key, Ed25519PublicKey):
                raise BadBundle("the trust anchor holds a key that is not Ed25519")
            public = key.public_bytes_raw()
            found[key_id_of(public)] = public
        if not blocks:
            for one in json.loads(text)["keys"]:
                public = base64.b64decode(one["public_key"], validate=True)
                found[key_id_of(public)] = public
    except (ValueError, KeyError, TypeError) as fault:
        raise BadBundle(f"the trust anchor is neither PEM nor the JSON of touchstone-keys.json ({fault})") from fault
    return found


def verify(data: bytes, *, anchor: Keys | None = None) -> tuple[Report, Contents | None]:
    """Check a bundle. ``anchor``: the keys to trust; None takes those inside the bundle, which prove only that it is whole."""
    report = Report()
    try:
        contents = bundle.unpack(data)
        manifest = contents.json(bundle.MANIFEST)
        if not isinstance(manifest, dict) or manifest.get("format") != bundle.FORMAT:
            raise BadBundle(f"manifest.json is not of the format {bundle.FORMAT}")
        report.figure = manifest["figure"]
        keys = anchor
        if keys is None:
            keys = anchor_read(contents.entries.get(bundle.KEYS, b"").decode())
            report.notes.append(
                "No trust anchor was given: the signature was checked with the keys inside the bundle, which anybody can make."
                " Fetch the installation's own keys and pass them with --trust-anchor."
            )
        report.add(_signature(contents, keys), "the manifest's signature")
        report.add(_entries(contents, manifest), f"{len(manifest['entries'])} files against their hashes in the manifest")
        _contents(contents, report)
        _chain(contents, keys, report)
    except (BadBundle, KeyError, TypeError, ValueError, AttributeError) as fault:
        said = (
            str(fault) if isinstance(fault, BadBundle) else f"its contents are not as they should be ({type(fault).__name__})"
        )
        report.faults.append(f"the bundle cannot be read to its end: {said}")
        return report, None
    return report, contents


def _signature(contents: Contents, keys: Keys) -> list[str]:
    raw = contents.entries[bundle.MANIFEST]
    if canonical_json(json.loads(raw)) != raw:
        return ["manifest.json is not canonical JSON: it was written by something else"]
    signature = Signature.from_dict(contents.json(bundle.SIGNATURE))
    public = keys.get(signature.key_id)
    if public is None:
        return [f"manifest.json is signed by key {signature.key_id}, which the trust anchor does not know"]
    return [] if holds(public, raw, signature) else ["manifest.json was changed after it was signed"]


def _entries(contents: Contents, manifest: Mapping[str, Any]) -> list[str]:
    listed = {one["path"]: one for one in manifest["entries"]}
    faults = []
    for path, one in sorted(listed.items()):
        found = contents.entries.get(path)
        if found is None:
            faults.append(f"{path} is missing")
        elif bundle.sha256_of(found) != one["sha256"]:
            faults.append(f"{path} was changed: SHA-256 {bundle.sha256_of(found)} instead of {one['sha256']}")
    extra = sorted(contents.entries.keys() - listed.keys() - {bundle.MANIFEST, bundle.SIGNATURE})
    return faults + [f"{path} is not in the manifest" for path in extra]


def _contents(contents: Contents, report: Report) -> None:
    recipe, files = contents.json(bundle.RECIPE), contents.json(bundle.FILES)
    faults, texts, contracts = [], set(), set()
    for path, data in sorted(contents.entries.items()):
        folder, _, name = path.partition("/")
        if folder == bundle.SQL_FOLDER:
            texts.add(bundle.sha256_of(data))
            if name != f"{bundle.sha256_of(data)}.sql":
                faults.append(f"{path} does not hold the SQL that its name promises")
        elif folder == bundle.CONTRACT_FOLDER:
            contracts.add(bundle.sha256_of(data))
    known = {one["logical_id"] for one in files}
    for table in recipe["tables"]:
        name = f"{table['layer']}.{table['dataset']}"
        faults += [f"the SQL {one} of {name} is missing" for one in table["sql_sha256"] if one not in texts]
        faults += [
            f"contract {one['version']} of {name} is missing" for one in table["contracts"] if one["sha256"] not in contracts
        ]
        faults += [f"raw file {one} of {name} is not in files.json" for one in table["files"] if one not in known]
    faults += [
        f"raw file {one['logical_id']} does not have the SHA-256 that its id was made from"
        for one in files
        if not one["logical_id"].endswith(one["sha256"][:32])
    ]
    report.add(
        faults, f"{len(recipe['tables'])} tables, {len(texts)} SQL texts, {len(contracts)} contracts, {len(files)} raw files"
    )
    if bundle.REPRODUCTION in contents.entries:
        _reproduction(contents, report)
    else:
        report.notes.append("The figure had not been reproduced when the bundle was made.")


def _reproduction(contents: Contents, report: Report) -> None:
    done = contents.json(bundle.REPRODUCTION)
    names = ("value", "numerator", "denominator")
    wanted = [report.figure[name] for name in names]
    faults = []
    if [done["result"]["published"][name] for name in names] != wanted:
        faults.append("reproduction.json is about another figure than the manifest")
    if done["outcome"] == "reproduced" and [done["result"]["computed"][name] for name in names] != wanted:
        faults.append("reproduction.json says “reproduced”, but its figures differ")
    report.add(faults, f"the reproduction of {done['finished_at']}: {done['outcome']}")
    report.notes.append(f"Reproduction: {done['result']['reason']}")


def checkpoint_of(contents: Contents) -> dict[str, Any] | None:
    """The audit checkpoint inside: {seq, hash, sealed_at, written_at}."""
    if bundle.CHECKPOINT not in contents.entries:
        return None
    found: dict[str, Any] = contents.json(bundle.CHECKPOINT)["checkpoint"]
    return found


def links_of(contents: Contents) -> list[SealedLink]:
    """The audit entries inside, in the order of the chain, without their payloads."""
    lines = contents.entries.get(bundle.LINKS, b"").decode().splitlines()
    return [link for link, _ in read_lines(json.dumps(json.loads(one) | {"salt": None, "document": None}) for one in lines)]


def _chain(contents: Contents, keys: Keys, report: Report) -> None:
    checkpoint = checkpoint_of(contents)
    if checkpoint is None:
        report.notes.append("The audit log had no checkpoint when the bundle was made.")
        return
    signature = Signature.from_dict(contents.json(bundle.CHECKPOINT)["signature"])
    public = keys.get(signature.key_id)
    faults = []
    if public is None:
        faults.append(f"the audit checkpoint is signed by key {signature.key_id}, which the trust anchor does not know")
    elif not holds(public, canonical_json(checkpoint), signature):
        faults.append("the audit checkpoint was changed after it was signed")
    links = links_of(contents)
    before: SealedLink | None = None
    for one in links:
        fault = _link_fault(one, before)
        if fault:
            faults.append(f"audit entry {one.seq} (id {one.link.entry_id}, {one.link.action} {one.link.target}): {fault}")
            break
        before = one
    if links and not faults and (links[-1].seq, links[-1].hash) != (checkpoint["seq"], checkpoint["hash"]):
        faults.append(f"the audit entries end at {links[-1].seq} and do not meet the checkpoint at {checkpoint['seq']}")
    report.add(faults, f"the audit checkpoint at entry {checkpoint['seq']}, and {len(links)} chained entries up to it")


def _link_fault(one: SealedLink, before: SealedLink | None) -> str:
    if one.hash != link_hash(one.link, seq=one.seq, previous_hash=one.previous_hash):
        return "its content does not match its hash"
    if before is not None and (one.seq, one.previous_hash) != (before.seq + 1, before.hash):
        return "it does not refer to the entry before it"
    return ""
