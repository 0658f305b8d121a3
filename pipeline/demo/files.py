"""Drops: their names, and rows turned into the bytes of the four formats in use."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

EXTENSION = {
    "suppliers": "csv",
    "carriers": "csv",
    "promotions": "csv",
    "channels": "json",
    "products": "parquet",
    "customers": "jsonl",
    "fx_rates": "jsonl",
    "inventory": "csv",
    "orders": "csv",
    "order_lines": "csv",
    "shipments": "csv",
    "returns": "csv",
    "support_cases": "jsonl",
    "sessions": "parquet",
}
"""Every dataset of the company, in the order in which drops of the same moment are written."""

CSV_COLUMNS = {
    "suppliers": "supplier_id,name,country,lead_time_days,terms,updated_at,source_seq",
    "carriers": "carrier_id,name,country,updated_at,source_seq",
    "promotions": "promotion_id,name,starts_at,ends_at,discount_pct,updated_at,source_seq",
    "inventory": "sku,snapshot_date,available_qty,reserved_qty,updated_at,source_seq",
    "orders": (
        "order_id,customer_id,channel_source,region,country,seller_id,status,currency,total_amount,ordered_at,"
        "promised_delivery_ts,dispatched_at,delivered_at,updated_at,source_seq"
    ),
    "order_lines": (
        "order_id,line_no,sku,quantity,unit_price,gross_amount,discount_amount,tax_amount,currency,ordered_at,"
        "updated_at,source_seq"
    ),
    "shipments": (
        "shipment_id,order_id,carrier_id,region,status,shipped_at,promised_delivery_ts,delivered_at,updated_at,source_seq"
    ),
    "returns": (
        "return_id,order_id,line_no,sku,channel_source,region,reason,initiated_at,refunded_at,refund_amount,currency,"
        "updated_at,source_seq"
    ),
}

PARQUET_SCHEMA = {
    "products": pa.schema(
        [
            ("sku", pa.string()),
            ("name", pa.string()),
            ("brand", pa.string()),
            ("category", pa.string()),
            ("subcategory", pa.string()),
            ("supplier_id", pa.string()),
            ("unit_cost", pa.decimal128(18, 2)),
            ("list_price", pa.decimal128(18, 2)),
            ("sustainability_score", pa.int64()),
            ("material", pa.string()),
            ("organic", pa.bool_()),
            ("active", pa.bool_()),
            ("updated_at", pa.string()),
            ("source_seq", pa.int64()),
        ]
    ),
    "sessions": pa.schema(
        [
            ("session_id", pa.string()),
            ("customer_id", pa.string()),
            ("channel_source", pa.string()),
            ("region", pa.string()),
            ("device", pa.string()),
            ("started_at", pa.string()),
            ("ended_at", pa.string()),
            ("page_views", pa.int64()),
            ("updated_at", pa.string()),
            ("source_seq", pa.int64()),
        ]
    ),
}


@dataclass(frozen=True, slots=True)
class Drop:
    """One file that the company sent: where it lies and when the sender says it was made."""

    dataset: str
    path: Path
    nominal_at: datetime

    def read(self) -> bytes:
        return self.path.read_bytes()


@dataclass(frozen=True, slots=True)
class Made:
    """A drop that has not been written anywhere yet."""

    dataset: str
    filename: str
    nominal_at: datetime
    content: bytes


def csv_field(text: str) -> str:
    """One CSV field, quoted when it holds a comma, a quote or a line break (RFC 4180)."""
    if any(sign in text for sign in ',"\n\r'):
        return '"' + text.replace('"', '""') + '"'
    return text


def csv_bytes(header: str, lines: Sequence[str]) -> bytes:
    return "\n".join([header, *lines, ""]).encode()


def jsonl_bytes(records: Sequence[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n" for record in records).encode()


def json_bytes(records: Sequence[Mapping[str, Any]]) -> bytes:
    return (json.dumps(list(records), ensure_ascii=False, indent=1) + "\n").encode()


def parquet_bytes(dataset: str, columns: Sequence[Sequence[Any]]) -> bytes:
    """Columns in the order of the dataset's schema, as one Parquet file."""
    schema = PARQUET_SCHEMA[dataset]
    arrays = [pa.array(values, type=field.type) for values, field in zip(columns, schema, strict=True)]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())
