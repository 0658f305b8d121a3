"""What a data contract says, as plain values.

``odcs.parse`` builds these from an ODCS v3 document; nothing here knows YAML, Django or a database. Durations are whole seconds
(``_s``) or days (``_days``); names are snake_case column names of the resulting table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

import pyarrow as pa

Layer = Literal["silver", "gold"]
FieldType = Literal["string", "integer", "decimal", "timestamp", "date", "boolean", "number"]
PartitionKind = Literal["business_date", "date", "hash", "month"]
Classification = Literal["low", "medium", "high"]

BRONZE_FILE = "_bronze_file"
BRONZE_ROW = "_bronze_row"

_PLAIN_ARROW: dict[str, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "date": pa.date32(),
    "boolean": pa.bool_(),
    "number": pa.float64(),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One column. ``source_name`` is its path in a drop (``consent.marketing``); a derived one (``token_of``) is in none.

    ``minimum`` and ``maximum`` are inclusive: Decimal for numbers, ISO 8601 text for dates and timestamps.
    """

    name: str
    type: FieldType
    source_name: str
    position: int = 0
    precision: int | None = None
    scale: int | None = None
    required: bool = False
    primary_key: bool = False
    pattern: str | None = None
    enum: tuple[str, ...] | None = None
    minimum: Decimal | str | None = None
    maximum: Decimal | str | None = None
    max_length: int | None = None
    classification: Classification = "low"
    pii: str | None = None
    normalise: Literal["currency"] | None = None
    token_of: str | None = None
    reference: tuple[str, str] | None = None
    default: str | None = None
    description: str = ""
    critical: bool = False

    @property
    def arrow_type(self) -> pa.DataType:
        if self.type == "decimal":
            return pa.decimal128(self.precision or 18, self.scale if self.scale is not None else 2)
        return _PLAIN_ARROW[self.type]

    @property
    def type_name(self) -> str:
        """The type as people read it, for example ``decimal(18,2)``."""
        return f"decimal({self.precision},{self.scale})" if self.type == "decimal" else self.type

    @property
    def derived(self) -> bool:
        return self.token_of is not None


@dataclass(frozen=True, slots=True)
class Partition:
    """How rows are laid out: field ``source`` gives ``column``; ``stable`` is False when a correction may move a row."""

    column: str
    source: str
    kind: PartitionKind
    stable: bool = True
    buckets: int | None = None

    @property
    def arrow_type(self) -> pa.DataType:
        return pa.string() if self.kind == "hash" else pa.date32()


@dataclass(frozen=True, slots=True)
class Source:
    """How drops of this dataset look. Naive timestamps in them are in ``time_zone``."""

    format: Literal["csv", "json", "parquet"]
    cadence_s: int | None = None
    time_zone: str = "Europe/Paris"
    delimiter: str = ","
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class Sla:
    """Promises. ``extra`` keeps (property, value, unit) of the properties that nothing here interprets."""

    freshness_s: int | None = None
    frequency_s: int | None = None
    latency_s: int | None = None
    retention_days: int | None = None
    extra: tuple[tuple[str, Any, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class RowRule:
    """A predicate over one typed row. A row fails when it is false; NULL passes, as in a CHECK constraint."""

    name: str
    sql: str
    severity: Literal["error", "warning"] = "error"
    description: str = ""


@dataclass(frozen=True, slots=True)
class Input:
    """What an upstream dataset contributes.

    ``trigger``: touched column of the upstream that maps onto our partition (None: does not trigger).
    ``trigger_window``: days (lo, hi): the upstream value x touches the output partitions x+lo … x+hi.
    ``read``: "all", or (column, lo, hi): rows whose upstream partition lies within [p+lo, p+hi] of an output partition p.
    ``dimension``: (key, time) for an SCD 2 upstream: its changed (key, interval) rows touch the partitions of those facts.
    """

    dataset: str
    trigger: str | None = None
    trigger_window: tuple[int, int] = (0, 0)
    read: Literal["all"] | tuple[str, int, int] = "all"
    dimension: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Kpi:
    """A figure on the home page. ``cadence_s`` is its maximum age (its SLA)."""

    key: str
    title: str
    unit: str
    cadence_s: int
    better: Literal["higher", "lower"] = "higher"
    target: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """One dataset's contract: ``document`` is the parsed YAML, ``text`` its author's text, ``sha256`` its hash (hex)."""

    dataset: str
    version: str
    layer: Layer
    domain: str
    product: str
    title: str
    description: str
    owner: str
    steward: str
    fields: tuple[Field, ...]
    key: tuple[str, ...]
    order_by: tuple[str, ...] = ()
    history: bool = False
    partition: Partition | None = None
    source: Source | None = None
    sla: Sla = Sla()
    rules: tuple[RowRule, ...] = ()
    inputs: tuple[Input, ...] = ()
    touches: tuple[str, ...] = ()
    transform: str | None = None
    serve: bool = False
    kpi: Kpi | None = None
    min_refresh_interval_s: int | None = None
    tier: str = "standard"
    document: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    text: str = field(default="", repr=False, compare=False)
    sha256: str = ""
    # (line, column) of what other contracts can make wrong, "reference:<field>" and "input:<dataset>"; empty when not parsed.
    places: Mapping[str, tuple[int, int]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def field_names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.fields)

    @property
    def drop_fields(self) -> tuple[Field, ...]:
        """Fields that a drop carries."""
        return tuple(one for one in self.fields if not one.derived)

    @property
    def derived_fields(self) -> tuple[Field, ...]:
        """Fields that Silver computes (tokens)."""
        return tuple(one for one in self.fields if one.derived)

    @property
    def personal_fields(self) -> tuple[Field, ...]:
        """Fields that hold personal data, as the contract says."""
        return tuple(one for one in self.fields if one.pii)

    @property
    def references(self) -> dict[str, tuple[str, str]]:
        """Field name → (dataset, field) it must be found in."""
        return {one.name: one.reference for one in self.fields if one.reference}

    @property
    def upstreams(self) -> tuple[str, ...]:
        """Datasets that this one reads: inputs first, then referenced ones; each once."""
        names = [one.dataset for one in self.inputs] + [dataset for dataset, _ in self.references.values()]
        return tuple(dict.fromkeys(name for name in names if name != self.dataset))

    def field(self, name: str) -> Field:
        """The field of that name. Raises KeyError."""
        for one in self.fields:
            if one.name == name:
                return one
        raise KeyError(name)
