"""Raw files taken out of Bronze again, each checked against its manifest, and their records as text."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from catalog.domain.contract import BRONZE_ROW, Contract
from controlplane.lake import services as lake
from controlplane.lake.errors import ObjectNotFound
from controlplane.subjects.removals import Removal, removals_of
from pipeline.domain.decode import decode, decoded_schema
from pipeline.errors import DropRefused, NotReproducible
from pipeline.models import BronzeFile
from pipeline.services.landing import store_key, subject_tokens

ROWS_AT_ONCE = 100_000


@dataclass(frozen=True)
class Checked:
    """Outcome of a check of raw files: how many hold, their bytes, and the erasures that explain those that changed."""

    files: int
    size_bytes: int
    removals: tuple[Removal, ...]


def fault_of(file: BronzeFile, found: str | None, removals: Collection[Removal]) -> dict[str, Any] | None:
    """What is wrong with a file whose bytes hash to ``found`` (None: there are none); None when it is as its manifest says,
    or as the newest removal on record left it."""
    if found == file.sha256 or (removals and found is not None and any(one.sha256 == found for one in removals)):
        return None
    record = max(removals, key=lambda one: one.carried_out_at, default=None)
    kind = "missing" if found is None else "changed"
    if record is not None and found is None and not record.sha256:
        kind = record.kind
    return {
        "kind": kind,
        "dataset": file.dataset,
        "logical_id": file.logical_id,
        "filename": file.filename,
        "uri": file.uri,
        "expected_sha256": file.sha256,
        "found_sha256": found or "",
        "record": record.as_dict() if record else None,
    }


def fault_text(fault: Mapping[str, Any]) -> str:
    """One fault in a sentence."""
    name = f"raw file {fault['filename']} ({fault['logical_id']}, {fault['uri']})"
    record = fault["record"]
    if fault["kind"] in ("erasure", "retention"):
        return (
            f"{name} was removed by {record['kind']} {record['number']} on {record['carried_out_at']} ({record['reference']})"
        )
    if fault["kind"] == "missing":
        return f"{name} is missing, and no erasure or retention on record removed it"
    return (
        f"{name} has changed since it was taken in: SHA-256 {fault['found_sha256']} instead of {fault['expected_sha256']},"
        " and no erasure on record accounts for it"
    )


def sha256_stored(file: BronzeFile) -> str | None:
    """SHA-256 of the bytes that stand at the file's address; None when there are none."""
    try:
        return hashlib.sha256(lake.store().get(store_key(file.uri))).hexdigest()
    except ObjectNotFound:
        return None


def files_check(files: Iterable[BronzeFile], *, progress: Callable[[int], None] = lambda _: None) -> Checked:
    """Compare every file with its manifest. Raises NotReproducible naming each one that is gone or changed without a record."""
    listed = list(files)
    known = removals_of([file.logical_id for file in listed])
    faults: list[dict[str, Any]] = []
    used: list[Removal] = []
    size = 0
    for number, file in enumerate(listed, start=1):
        found = sha256_stored(file)
        removals = known.get(file.logical_id, [])
        fault = fault_of(file, found, removals)
        if fault is not None:
            faults.append(fault)
        elif found != file.sha256:
            used.extend(one for one in removals if one.sha256 == found)
        size += file.size_bytes
        progress(number)
    if faults:
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise NotReproducible("; ".join(map(fault_text, faults[:3])) + more, faults)
    return Checked(len(listed), size, tuple(used))


def records_write(
    path: Path, files: Iterable[BronzeFile], contract: Contract, *, rows: Mapping[int, Collection[int]], scratch: Path
) -> int:
    """Decode raw files under a contract into one Parquet file of text columns; returns how many records.

    ``rows``: file number → ordinals, for files of which only some records are wanted. Bytes are checked once more on the way:
    they may have changed since ``files_check``.
    """
    schema = decoded_schema(contract)
    total = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, schema, compression="zstd", write_statistics=False) as writer:
        for file in files:
            table = _decoded(file, contract, scratch).select(schema.names).cast(schema)
            if file.pk in rows:
                table = table.filter(pc.is_in(table[BRONZE_ROW], value_set=pa.array(sorted(rows[file.pk]), pa.int64())))
            writer.write_table(table, row_group_size=ROWS_AT_ONCE)
            total += table.num_rows
    return total


def _decoded(file: BronzeFile, contract: Contract, scratch: Path) -> pa.Table:
    raw = scratch / f"{file.logical_id}.raw"
    try:
        content = lake.store().get(store_key(file.uri))
        found: str | None = hashlib.sha256(content).hexdigest()
    except ObjectNotFound:
        content, found = b"", None
    if found != file.sha256:
        fault = fault_of(file, found, removals_of([file.logical_id]).get(file.logical_id, []))
        if fault is not None:
            raise NotReproducible(fault_text(fault), [fault])
    raw.write_bytes(content)
    try:
        return decode(raw, contract, logical_id=file.logical_id, tokens=subject_tokens, at_edge=False).table
    except DropRefused as refusal:
        raise NotReproducible(
            f"raw file {file.filename} ({file.logical_id}) cannot be read under contract {contract.dataset} {contract.version}:"
            f" {refusal}"
        ) from refusal
    finally:
        raw.unlink(missing_ok=True)
