"""How accepted drops lie in the object store: verbatim, and decoded to text columns in Parquet."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
from django.conf import settings

from catalog.domain.contract import Contract
from controlplane.keys import services as keys
from controlplane.lake import services as lake
from pipeline.domain.decode import Decoded, decode
from pipeline.models import BronzeFile

SUFFIX = {"csv": "csv", "json": "json", "parquet": "parquet"}
SUBJECT = "customer"  # one kind of token for identifiers of customers, whatever the dataset
SAMPLED_ROWS = 256


def bronze_key(contract: Contract, *, logical_id: str, received_at: datetime) -> str:
    suffix = SUFFIX[contract.source.format] if contract.source else "bin"
    return f"bronze/{contract.domain}/{received_at:%Y/%m}/{logical_id}.{suffix}"


def decoded_key(contract: Contract, logical_id: str) -> str:
    return f"bronze_decoded/{contract.dataset}/{contract.version}/{logical_id}.parquet"


def subject_tokens(values: Iterable[str]) -> list[str]:
    return [token for token in keys.tokens(values, kind=SUBJECT) if token is not None]


def parquet_bytes(decoded: Decoded) -> bytes:
    """The records as Parquet. No statistics: they would repeat personal values.

    A dictionary only where the first values repeat: one of identifiers costs most of the work and is thrown away in the end.
    """
    table = decoded.table
    repeating = [
        name
        for name, column in zip(table.column_names, table.columns, strict=True)
        if pc.count_distinct(column.slice(0, SAMPLED_ROWS)).as_py() <= SAMPLED_ROWS // 8
    ]
    buffer = io.BytesIO()
    pq.write_table(
        table, buffer, compression="zstd", compression_level=1, use_dictionary=repeating or False, write_statistics=False
    )
    return buffer.getvalue()


def store_key(uri: str) -> str:
    """The object store's key of an address that it gave."""
    return uri.removeprefix(lake.config().root).lstrip("/")


def decoded_uri(file: BronzeFile, contract: Contract) -> str:
    """The file's records as text under the current contract; decoded anew from the raw bytes when the contract moved on."""
    if file.contract_version == contract.version:
        return file.decoded_uri
    store = lake.store()
    key = decoded_key(contract, file.logical_id)
    if not store.exists(key):
        spool = Path(settings.HOME) / "tmp" / f"{file.logical_id}.{uuid.uuid4().hex}"
        spool.parent.mkdir(parents=True, exist_ok=True)
        spool.write_bytes(store.get(store_key(file.uri)))
        try:
            decoded = decode(spool, contract, logical_id=file.logical_id, tokens=subject_tokens, at_edge=False)
        finally:
            spool.unlink()
        store.put_once(key, parquet_bytes(decoded))
    return store.uri(key)
