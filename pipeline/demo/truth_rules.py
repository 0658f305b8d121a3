"""The ground truth's own reading of the sources: fields, casts and rules, in plain Python.

Nothing here is shared with the pipeline: no SQL, no contract, no Arrow types. It re-reads the written drops. Definitions:

- A drop is **refused** whole when it cannot be read to its end: a CSV record with another number of fields than the header, a
  line that is no JSON value, a Parquet file without its footer. It is a **duplicate** when an accepted drop of its dataset has
  the same SHA-256 (of equal drops one counts as accepted, whichever came first). Only accepted drops land rows.
- Blank text (after trimming) is NULL. A row lists all rules it breaks: ``required:f``, ``type:f``; and when the value could be
  read ``enum:f``, ``pattern:f``, ``minimum:f``, ``maximum:f``, ``reference:f``; then ``rule:name`` (not broken by NULL).
- ``reference:f`` asks for a key among the *accepted* rows of the other dataset, whenever they came: what heals is no reject.
- A row of an unknown column's non-blank value is **quarantined** for that column, whether the row itself is accepted or not.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.demo.clock import DAY_S, PARIS

UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
SKU = re.compile(r"^[A-Z]{3}-\d{6}$")
CHANNELS = frozenset({"web", "mobile", "store", "marketplace", "partner"})
REGIONS = frozenset({"FR", "ES", "DE", "ME"})
COUNTRIES = frozenset({"FR", "ES", "DE", "AE", "SA"})
CURRENCIES = frozenset({"EUR", "USD", "AED", "SAR", "GBP"})
SYMBOLS = {
    "€": "EUR",
    "$": "USD",
    "US$": "USD",
    "£": "GBP",
    "DH": "AED",
    "د.إ": "AED",
    "SR": "SAR",
    "﷼": "SAR",
}


class Unreadable(Exception):
    """The value cannot be read as its type."""


class Refused(Exception):
    """The drop cannot be read to its end."""


@dataclass(frozen=True)
class Field:
    """One column: how it is called in the drop, what it is, and what it must satisfy."""

    name: str
    kind: str = "string"
    nullable: bool = False
    pattern: re.Pattern[str] | None = None
    enum: frozenset[str] | None = None
    low: int | Decimal | None = None
    high: int | Decimal | None = None
    reference: tuple[str, str] | None = None
    currency: bool = False


@dataclass(frozen=True)
class Dataset:
    name: str
    key: tuple[str, ...]
    fields: tuple[Field, ...]
    history: bool = False
    day: str | None = None
    """The instant whose business day says where a row lies."""
    rules: tuple[tuple[str, Callable[[dict[str, Any]], bool]], ...] = ()


def _ts(name: str, *, nullable: bool = False) -> Field:
    return Field(name, "timestamp", nullable=nullable)


def _money(name: str, *, nullable: bool = False) -> Field:
    return Field(name, "decimal", nullable=nullable, low=Decimal(0))


_TAIL = (_ts("updated_at"), Field("source_seq", "integer"))
_CURRENCY = Field("currency", enum=CURRENCIES, currency=True)
_CHANNEL = Field("channel_source", enum=CHANNELS)
_REGION = Field("region", enum=REGIONS)


def _within(low: str, high: str, days: int) -> Callable[[dict[str, Any]], bool]:
    """``high`` is NULL, or lies between ``low`` and ``low`` + ``days`` × 24 hours, both ends included."""

    def holds(row: dict[str, Any]) -> bool:
        first, second = row[low], row[high]
        return first is None or second is None or 0 <= second - first <= days * DAY_S

    return holds


DATASETS: tuple[Dataset, ...] = (
    Dataset(
        "suppliers",
        ("supplier_id",),
        (Field("supplier_id"), Field("name"), Field("country"), Field("lead_time_days", "integer"), Field("terms"), *_TAIL),
    ),
    Dataset("carriers", ("carrier_id",), (Field("carrier_id"), Field("name"), Field("country"), *_TAIL)),
    Dataset(
        "promotions",
        ("promotion_id",),
        (Field("promotion_id"), Field("name"), _ts("starts_at"), _ts("ends_at"), _money("discount_pct"), *_TAIL),
    ),
    Dataset(
        "channels",
        ("channel_id",),
        (
            Field("channel_id", enum=CHANNELS),
            Field("name"),
            Field("kind", enum=frozenset({"online", "offline", "third_party"})),
            Field("active", "boolean"),
            *_TAIL,
        ),
        history=True,
    ),
    Dataset(
        "products",
        ("sku",),
        (
            Field("sku", pattern=SKU),
            Field("name"),
            Field("brand"),
            Field("category"),
            Field("subcategory"),
            Field("supplier_id", reference=("suppliers", "supplier_id")),
            _money("unit_cost"),
            _money("list_price"),
            Field("sustainability_score", "integer", low=0, high=100),
            Field("material"),
            Field("organic", "boolean"),
            Field("active", "boolean"),
            *_TAIL,
        ),
        history=True,
    ),
    Dataset(
        "customers",
        ("customer_id",),
        (
            Field("customer_id", pattern=UUID),
            Field("email"),
            Field("first_name"),
            Field("last_name"),
            Field("phone"),
            Field("birth_date", "date"),
            Field("country", enum=COUNTRIES),
            _REGION,
            Field("city"),
            Field("postal_code"),
            Field("loyalty_tier", enum=frozenset({"bronze", "silver", "gold", "platinum"})),
            Field("segment"),
            Field("lifetime_value", "decimal"),
            Field("consent.marketing", "boolean"),
            Field("consent.profiling", "boolean"),
            _ts("consent.updated_at"),
            _ts("created_at"),
            *_TAIL,
        ),
        history=True,
    ),
    Dataset(
        "fx_rates",
        ("currency", "rate_hour"),
        (Field("currency"), _ts("rate_hour"), Field("rate_to_eur", "decimal", low=Decimal(0)), *_TAIL),
        history=True,
    ),
    Dataset(
        "inventory",
        ("sku", "snapshot_date"),
        (
            Field("sku", pattern=SKU, reference=("products", "sku")),
            Field("snapshot_date", "date"),
            Field("available_qty", "integer", low=0),
            Field("reserved_qty", "integer", low=0),
            *_TAIL,
        ),
    ),
    Dataset(
        "orders",
        ("order_id",),
        (
            Field("order_id", pattern=UUID),
            Field("customer_id", pattern=UUID, reference=("customers", "customer_id")),
            _CHANNEL,
            _REGION,
            Field("country"),
            Field("seller_id", nullable=True),
            Field("status", enum=frozenset({"placed", "confirmed", "dispatched", "delivered", "cancelled"})),
            _CURRENCY,
            _money("total_amount"),
            _ts("ordered_at"),
            _ts("promised_delivery_ts"),
            _ts("dispatched_at", nullable=True),
            _ts("delivered_at", nullable=True),
            *_TAIL,
        ),
        day="ordered_at",
        rules=(("dispatch_window", _within("ordered_at", "dispatched_at", 14)),),
    ),
    Dataset(
        "order_lines",
        ("order_id", "line_no"),
        (
            Field("order_id", pattern=UUID),
            Field("line_no", "integer", low=1),
            Field("sku", pattern=SKU, reference=("products", "sku")),
            Field("quantity", "integer", low=1),
            _money("unit_price"),
            _money("gross_amount"),
            _money("discount_amount"),
            _money("tax_amount"),
            _CURRENCY,
            _ts("ordered_at"),
            *_TAIL,
        ),
        day="ordered_at",
    ),
    Dataset(
        "shipments",
        ("shipment_id",),
        (
            Field("shipment_id", pattern=UUID),
            Field("order_id", pattern=UUID),
            Field("carrier_id", reference=("carriers", "carrier_id")),
            _REGION,
            Field("status", enum=frozenset({"in_transit", "delivered", "lost"})),
            _ts("shipped_at"),
            _ts("promised_delivery_ts"),
            _ts("delivered_at", nullable=True),
            *_TAIL,
        ),
        day="promised_delivery_ts",
    ),
    Dataset(
        "returns",
        ("return_id",),
        (
            Field("return_id", pattern=UUID),
            Field("order_id", pattern=UUID),
            Field("line_no", "integer", low=1),
            Field("sku", pattern=SKU, reference=("products", "sku")),
            _CHANNEL,
            _REGION,
            Field("reason"),
            _ts("initiated_at"),
            _ts("refunded_at", nullable=True),
            _money("refund_amount", nullable=True),
            _CURRENCY,
            *_TAIL,
        ),
        day="initiated_at",
        rules=(("refund_window", _within("initiated_at", "refunded_at", 60)),),
    ),
    Dataset(
        "support_cases",
        ("case_id",),
        (
            Field("case_id", pattern=UUID),
            Field("customer_id", nullable=True, reference=("customers", "customer_id")),
            Field("order_id", nullable=True),
            Field("channel", enum=frozenset({"phone", "chat", "email", "social"})),
            _ts("opened_at"),
            _ts("closed_at", nullable=True),
            Field("status", enum=frozenset({"open", "closed"})),
            Field("csat_score", "integer", nullable=True, low=1, high=5),
            Field("sentiment", "decimal", low=Decimal(-1), high=Decimal(1)),
            *_TAIL,
        ),
        day="opened_at",
        rules=(("close_window", _within("opened_at", "closed_at", 60)),),
    ),
    Dataset(
        "sessions",
        ("session_id",),
        (
            Field("session_id", pattern=UUID),
            Field("customer_id", nullable=True),
            _CHANNEL,
            _REGION,
            Field("device"),
            _ts("started_at"),
            _ts("ended_at"),
            Field("page_views", "integer", low=0),
            *_TAIL,
        ),
    ),
)
"""In an order in which a dataset follows those that it refers to."""

_NUMBER = re.compile(r"^[+-]?\d+(\.\d+)?$")
_WHOLE = re.compile(r"^[+-]?\d+$")


@lru_cache(maxsize=8192)
def _day(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days * DAY_S


@lru_cache(maxsize=131072)
def _second(text: str) -> int:
    hours, minutes, seconds = text.split(":")
    if len(text) != 8 or int(hours) > 23 or int(minutes) > 59 or int(seconds) > 59:
        raise ValueError(text)
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)


def instant(text: str) -> int:
    """ISO 8601 text as seconds since 1970 (UTC); without a zone it is a Paris wall clock."""
    text = text.strip()
    if len(text) == 20 and text[19] == "Z" and text[10] == "T":
        return _day(text[:10]) + _second(text[11:19])
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=PARIS)).timestamp())


def cast(kind: str, value: Any) -> Any:
    """The value as its type; raises Unreadable."""
    try:
        if kind == "string":
            return value if isinstance(value, str) else str(value)
        if kind == "timestamp":
            return instant(value)
        if kind == "date":
            return date.fromisoformat(value.strip()) if isinstance(value, str) else value
        if kind == "boolean":
            return value if isinstance(value, bool) else {"true": True, "false": False}[value.strip().lower()]
        text = value.strip() if isinstance(value, str) else str(value)
        if kind == "integer":
            if not _WHOLE.match(text):
                raise Unreadable
            return int(text)
        if not _NUMBER.match(text):
            raise Unreadable
        return Decimal(text)
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise Unreadable from error


def broken(spec: Dataset, raw: Sequence[Any], keys: dict[str, set[str]]) -> tuple[list[str], dict[str, Any]]:
    """The rules that a raw record breaks, and its values as types (None where NULL or unreadable)."""
    rules: list[str] = []
    row: dict[str, Any] = {}
    for field, given in zip(spec.fields, raw, strict=True):
        name = field.name
        row[name] = None
        if given is None or (isinstance(given, str) and not given.strip()):
            if not field.nullable:
                rules.append(f"required:{name}")
            continue
        try:
            value = cast(field.kind, given)
        except Unreadable:
            rules.append(f"type:{name}")
            continue
        if field.currency:
            value = value.strip().upper()
            value = SYMBOLS.get(value, value)
        row[name] = value
        if field.enum is not None and value not in field.enum:
            rules.append(f"enum:{name}")
        if field.pattern is not None and not field.pattern.match(value):
            rules.append(f"pattern:{name}")
        if field.low is not None and value < field.low:
            rules.append(f"minimum:{name}")
        if field.high is not None and value > field.high:
            rules.append(f"maximum:{name}")
        if field.reference is not None and value not in keys[field.reference[0]]:
            rules.append(f"reference:{name}")
    rules += [f"rule:{name}" for name, holds in spec.rules if not holds(row)]
    return rules, row


def records(spec: Dataset, extension: str, content: bytes) -> tuple[list[str], Iterator[tuple[list[Any], list[Any]]]]:
    """(unknown columns, (values in the order of the fields, values of the unknown columns) per record); raises Refused."""
    reader = {"csv": _csv, "jsonl": _jsonl, "json": _json, "parquet": _parquet}[extension]
    columns, rows = reader(content)
    wanted = [field.name for field in spec.fields]
    place = {name: at for at, name in enumerate(columns)}
    known = [place.get(name, -1) for name in wanted]
    unknown = [name for name in columns if name not in set(wanted)]
    others = [place[name] for name in unknown]
    return unknown, (([row[at] if at >= 0 else None for at in known], [row[at] for at in others]) for row in rows)


def _csv(content: bytes) -> tuple[list[str], list[Sequence[Any]]]:
    header, *rows = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
    if any(len(row) != len(header) for row in rows):
        raise Refused("a record has another number of fields than the header")
    return header, list(rows)


def _flat(record: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _of_mappings(found: list[dict[str, Any]]) -> tuple[list[str], list[Sequence[Any]]]:
    flat = [dict(_flat(record)) for record in found]
    columns = list(dict.fromkeys(name for record in flat for name in record))
    return columns, [[record.get(name) for name in columns] for record in flat]


def _jsonl(content: bytes) -> tuple[list[str], list[Sequence[Any]]]:
    try:
        return _of_mappings([json.loads(line) for line in content.decode().split("\n") if line.strip()])
    except ValueError as error:
        raise Refused(str(error)) from error


def _json(content: bytes) -> tuple[list[str], list[Sequence[Any]]]:
    try:
        return _of_mappings(json.loads(content))
    except ValueError as error:
        raise Refused(str(error)) from error


def _parquet(content: bytes) -> tuple[list[str], list[Sequence[Any]]]:
    try:
        table = pq.read_table(pa.BufferReader(content))
    except (pa.ArrowInvalid, OSError) as error:
        raise Refused(str(error)) from error
    return table.column_names, list(zip(*(column.to_pylist() for column in table.columns), strict=True))
