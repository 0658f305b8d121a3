"""The faults that the demo world plants on purpose, each with its name and how often.

Most are planted in an order while it is made; the others (drops sent twice, torn files, repeated rows) while drops are
written. ``planted`` counts what was really sent, so that a test can ask for each of them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.demo import orders as o
from pipeline.demo.clock import DAY_S, HOUR_S, iso_naive, iso_offset, iso_z, uuid_of
from pipeline.demo.files import csv_field

ORDER_FAULTS: dict[str, float] = {
    # kind: share of the day's orders; at least one of each on the first day
    "malformed_customer_id": 0.002,
    "customer_never_arrives": 0.001,
    "unknown_currency": 0.002,
    "null_total_amount": 0.002,
    "negative_total_amount": 0.001,
    "unknown_status": 0.0005,
    "unreadable_ordered_at": 0.0005,
    "dispatched_before_ordered": 0.001,
    "bad_sku": 0.002,
    "unknown_sku": 0.002,
    "negative_discount": 0.001,
    "unreadable_quantity": 0.0005,
    "late_update": 0.004,
    "tied_update": 0.002,
    "corrected_ordered_at": 0.003,
}
"""Faults of one order each; the disjoint orders that get one are drawn per day."""

ROW_STYLES = {"currency_symbol": 0.05, "mixed_time_zone": 0.03, "blank_for_missing": 0.02}
"""Ways of writing that are no faults in themselves: shares of the rows."""

BAD_CUSTOMER_IDS = ("12345", "not-a-uuid", "C-000017", "ffffffff-ffff-ffff-ffff")
BAD_CURRENCIES = ("XXX", "BTC", "EURO", "?")
BAD_SKUS = ("abc-123456", "FSH123456", "FSH-12", "SKU_UNKNOWN")


@dataclass
class Faults:
    """What is planted where. ``enabled=False`` plants nothing, and every method then leaves its input alone."""

    enabled: bool
    planted: Counter[str] = field(default_factory=Counter)

    def for_day(self, rng: random.Random, count: int, *, first: bool) -> dict[int, str]:
        """Which of the day's ``count`` orders (by index) get which fault of ORDER_FAULTS."""
        if not self.enabled or count == 0:
            return {}
        kinds: list[str] = []
        for kind, share in ORDER_FAULTS.items():
            wanted = int(share * count + rng.random())
            kinds += [kind] * max(wanted, 1 if first and kind != "corrected_ordered_at" else 0)
        kinds = kinds[:count]
        return dict(zip(rng.sample(range(count), len(kinds)), kinds, strict=True))

    def style(self, rng: random.Random, row: list[str], *, currency: int, times: Sequence[int]) -> None:
        """Rewrite currency and times of a row in other spellings of the same thing."""
        if not self.enabled:
            return
        draw = rng.random()
        if draw < ROW_STYLES["currency_symbol"]:
            spellings = o.CURRENCY_SPELLINGS.get(row[currency])
            if spellings:
                row[currency] = spellings[int(rng.random() * len(spellings))]
                self.planted["currency_symbol"] += 1
        elif draw > 1 - ROW_STYLES["mixed_time_zone"]:
            render = iso_offset if rng.random() < 0.5 else iso_naive
            for at in times:
                if row[at]:
                    row[at] = render(_epoch(row[at]))
            self.planted["mixed_time_zone"] += 1

    def spoil_row(self, rng: random.Random, kind: str, row: list[str]) -> None:
        """Plant the fault ``kind`` in one orders row."""
        if kind == "unknown_currency":
            row[o.CURRENCY] = rng.choice(BAD_CURRENCIES)
        elif kind == "null_total_amount":
            row[o.TOTAL] = rng.choice(("", "  "))
        elif kind == "negative_total_amount":
            row[o.TOTAL] = "-" + row[o.TOTAL]
        elif kind == "unknown_status":
            row[o.STATUS] = "teleported"
        elif kind == "unreadable_ordered_at":
            row[o.ORDERED] = "31/02/2026 25:61"
        elif kind == "dispatched_before_ordered":
            row[o.DISPATCHED] = iso_z(_epoch(row[o.ORDERED]) - 2 * HOUR_S)
        self.planted[kind] += 1

    def spoil_order(self, rng: random.Random, kind: str, order: o.Order) -> None:
        """Plant a fault that every row of an order carries."""
        if kind == "malformed_customer_id":
            order.customer_id = rng.choice(BAD_CUSTOMER_IDS)
        elif kind == "customer_never_arrives":
            order.customer_id = uuid_of(rng)
        self.planted[kind] += 1

    def extra_line(self, rng: random.Random, kind: str, order: o.Order) -> list[str]:
        """One more line for an order, faulty, so that the good lines stay what they are."""
        row = list(order.line_rows(order.placed_s)[0])
        row[1] = str(len(order.lines) + 1)
        if kind == "bad_sku":
            row[o.LINE_SKU] = rng.choice(BAD_SKUS)
        elif kind == "unknown_sku":
            row[o.LINE_SKU] = f"ZZZ-{rng.randrange(900000, 1000000)}"
        elif kind == "negative_discount":
            row[o.LINE_DISCOUNT] = "-1.00"
        elif kind == "unreadable_quantity":
            row[o.LINE_QUANTITY] = "two"
        self.planted[kind] += 1
        return row


def _epoch(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def torn(content: bytes, extension: str) -> bytes:
    """The first part of a file, cut in the middle of a record."""
    if extension == "parquet":
        return content[: len(content) * 2 // 3]
    lines = content.split(b"\n")
    keep = max(2, len(lines) * 2 // 3)
    # Just behind a comma: too few fields for CSV, no JSON value for JSON lines.
    last = lines[keep - 1]
    return b"\n".join([*lines[: keep - 1], last[: last.index(b",") + 1]])


def faulty_returns(rng: random.Random, product_sku: str, at: int) -> list[str]:
    """A return refunded 75 days after it was asked for: beyond the 60 days that the contract allows."""
    asked = at - 75 * DAY_S
    return [
        uuid_of(rng),
        uuid_of(rng),
        "1",
        product_sku,
        "web",
        "FR",
        csv_field('kept it "for later", then returned\nafter the summer'),
        iso_z(asked),
        iso_z(at),
        "19.90",
        "EUR",
        iso_z(at),
    ]
