"""One source system of the company: it collects rows and sends them as drops at its own rhythm."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipeline.demo.clock import HOUR_S, stamp
from pipeline.demo.faults import Faults, torn
from pipeline.demo.files import CSV_COLUMNS, EXTENSION, Made, csv_bytes, json_bytes, jsonl_bytes, parquet_bytes

DISCOUNT_COLUMN = "discount_code"


@dataclass
class Source:
    """Rows wait in the slot of their arrival; ``flush`` turns finished slots into drops.

    A row is a string (CSV without ``source_seq``), a mapping (JSON) or a tuple (Parquet). A tuple ``(text, code)`` of a CSV
    source carries a discount code, which is written from ``grows_at`` on.
    """

    dataset: str
    start: int
    end: int
    period_s: int
    rng: random.Random
    faults: Faults
    repeats: bool = False
    torn_slots: frozenset[int] = frozenset()
    twice_slots: frozenset[int] = frozenset()
    grows_at: int | None = None
    seq: int = 0
    slots: dict[int, list[tuple[int, Any]]] = field(default_factory=dict)
    rows: int = 0
    _last: list[Any] = field(default_factory=list)
    _again: list[tuple[int, bytes]] = field(default_factory=list)
    _names: dict[int, int] = field(default_factory=dict)

    def add(self, arrival: int, row: Any) -> None:
        """Take a row that reaches the company's exports at ``arrival``; what arrives after the end is not known yet."""
        if arrival >= self.end:
            return
        slot = max(0, arrival - self.start) // self.period_s
        rows = self.slots.get(slot)
        if rows is None:
            rows = self.slots[slot] = []
        rows.append((arrival, row))

    def flush(self, until: int) -> Iterator[Made]:
        """The drops of every slot that ended by ``until``, oldest first."""
        for slot in sorted(self.slots):
            nominal = min(self.start + (slot + 1) * self.period_s, self.end)
            if nominal > until:
                break
            yield from self._resend(nominal)
            rows = self.slots.pop(slot)
            rows.sort(key=_arrival)
            yield from self._send(slot, nominal, [row for _, row in rows])
        if until >= self.end:
            yield from self._resend(self.end)

    def send_now(self, nominal: int, rows: list[Any]) -> Iterator[Made]:
        """One drop outside of the rhythm (the first load)."""
        yield from self._send(-1, nominal, rows)

    def _send(self, slot: int, nominal: int, rows: list[Any]) -> Iterator[Made]:
        numbered = [(row, self.seq + at) for at, row in enumerate(rows, start=1)]
        self.seq += len(rows)
        if self.repeats and self._last and self.faults.enabled and self.rng.random() < 0.3:
            repeated = self.rng.sample(self._last, min(3, len(self._last)))
            self.faults.planted["repeated_row"] += len(repeated)
            numbered += repeated
        self._last = numbered[-200:]
        self.rows += len(numbered)
        content = self._encode(nominal, numbered)
        if slot in self.torn_slots:
            self.faults.planted["truncated_file"] += 1
            yield self._made(nominal, torn(content, EXTENSION[self.dataset]))
        yield self._made(nominal, content)
        if slot in self.twice_slots:
            self._again.append((nominal, content))

    def _resend(self, nominal: int) -> Iterator[Made]:
        for _, content in self._again:
            self.faults.planted["duplicate_drop"] += 1
            yield self._made(nominal, content)
        self._again = []

    def _made(self, nominal: int, content: bytes) -> Made:
        again = self._names.get(nominal, 0)
        self._names[nominal] = again + 1
        suffix = f"_{again:02d}" if again else ""
        name = f"{self.dataset}_{stamp(nominal)}{suffix}.{EXTENSION[self.dataset]}"
        return Made(self.dataset, name, datetime.fromtimestamp(nominal, UTC), content)

    def _encode(self, nominal: int, rows: list[tuple[Any, int]]) -> bytes:
        return _ENCODERS[EXTENSION[self.dataset]](self, nominal, rows)


def _csv(source: Source, nominal: int, rows: list[tuple[Any, int]]) -> bytes:
    header = CSV_COLUMNS[source.dataset]
    if source.grows_at is None:
        return csv_bytes(header, [f"{text},{seq}" for text, seq in rows])
    if nominal <= source.grows_at:
        return csv_bytes(header, [f"{text},{seq}" for (text, _), seq in rows])
    codes = sum(1 for (_, code), _ in rows if code.strip())
    source.faults.planted["discount_code_row"] += codes
    return csv_bytes(f"{header},{DISCOUNT_COLUMN}", [f"{text},{seq},{code}" for (text, code), seq in rows])


def _jsonl(_source: Source, _nominal: int, rows: list[tuple[Any, int]]) -> bytes:
    return jsonl_bytes([{**record, "source_seq": seq} for record, seq in rows])


def _json(_source: Source, _nominal: int, rows: list[tuple[Any, int]]) -> bytes:
    return json_bytes([{**record, "source_seq": seq} for record, seq in rows])


def _parquet(source: Source, _nominal: int, rows: list[tuple[Any, int]]) -> bytes:
    columns = list(zip(*(row for row, _ in rows), strict=True))
    return parquet_bytes(source.dataset, [*columns, [seq for _, seq in rows]])


_ENCODERS: dict[str, Callable[[Source, int, list[tuple[Any, int]]], bytes]] = {
    "csv": _csv,
    "json": _json,
    "jsonl": _jsonl,
    "parquet": _parquet,
}


def _arrival(entry: tuple[int, Any]) -> int:
    return entry[0]


SLOT_HOURS = {
    "orders": 6,
    "order_lines": 6,
    "sessions": 6,
    "fx_rates": 6,
    "shipments": 12,
    "returns": 12,
    "support_cases": 12,
    "customers": 24,
    "products": 24,
    "channels": 24,
    "inventory": 24,
    "suppliers": 24,
    "carriers": 24,
    "promotions": 24,
}
"""Hours between two drops of a source."""


def period_of(dataset: str, order_slot_hours: int) -> int:
    """Seconds between drops; the order system's rhythm (and its companions') scales with ``order_slot_hours``."""
    hours = SLOT_HOURS[dataset]
    return (min(24, hours * order_slot_hours // 6) if hours < 24 else hours) * HOUR_S
