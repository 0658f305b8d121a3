"""A feed that carries a world on in real time, at a given rate of rows ("events") a minute.

    >>> live = LiveWorld(world, events_per_minute=300, state=home / "live.json")
    >>> for dataset, filename, content in live.drops(datetime.now(UTC)):
    ...     ...                                   # hand each drop over
    >>> live.save()                               # only now are they counted as sent

Time is cut into ticks of ``tick_s`` seconds, and what a tick sends follows from the seed, the tick and where the run began.
Whoever crashes between ``drops`` and ``save`` therefore sends the same bytes under the same names again, which Bronze
recognises. After a pause longer than ``catch_up_s`` the feed starts afresh at the present, as a shop does that was closed.

A live order runs through its life in minutes instead of days, so that every KPI moves while somebody looks: confirmed within
half a minute, dispatched after two to four, promised in a quarter of an hour, now and then late, returned or complained of.
About three in a hundred sessions end in an order; sessions fill the rate up.
"""

from __future__ import annotations

import json
import os
import random
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.demo import orders as o
from pipeline.demo.aftermath import CASE_CUM_WEIGHTS, REASONS, SCORE_CUM_WEIGHTS, case_record, closed_case
from pipeline.demo.clock import HOUR_S, MINUTE_S, iso_z, money, paris_day, stamp, stream, uuid_of
from pipeline.demo.faults import Faults
from pipeline.demo.files import CSV_COLUMNS, EXTENSION, csv_bytes, jsonl_bytes, parquet_bytes
from pipeline.demo.master import stock_rows
from pipeline.demo.reference import BASE_RATE, fx_record
from pipeline.demo.source import DISCOUNT_COLUMN
from pipeline.demo.world import (
    DEVICES,
    DISCOUNT_CODES,
    LINE_FAULTS,
    REGION_CUM_WEIGHTS,
    REGIONS,
    ROW_FAULTS,
    SESSION_CHANNELS,
    SESSION_CUM_WEIGHTS,
    World,
)

ROWS_PER_ORDER = 41
"""Rows that come with one order: 33 sessions, four states, two lines, two parcel states."""
MEMORY_S = 25 * MINUTE_S
"""No consequence of an order comes later than this after it; a resumed feed looks back so far."""
FAULT_SHARE = 1 / 150
LIVE_ROW_FAULTS = tuple(sorted(ROW_FAULTS))
LIVE_LINE_FAULTS = tuple(sorted(LINE_FAULTS))

Pending = dict[int, list[tuple[str, Any]]]
LiveDrop = tuple[str, str, bytes]


class LiveWorld:
    """``world`` is the one that was written before (the same arguments); it is not written again.

    ``state`` is the file that ``save`` keeps; None keeps nothing. Raises ValueError for a rate or a tick below one.
    """

    def __init__(
        self,
        world: World,
        *,
        events_per_minute: float = 300,
        tick_s: int = 5,
        state: Path | None = None,
        faults: bool = True,
        catch_up_s: int = 60,
    ) -> None:
        if events_per_minute < 1 or tick_s < 1:
            raise ValueError("events_per_minute and tick_s start at 1")
        self.world, self.tick_s, self.state_file, self.catch_up_s = world, tick_s, state, catch_up_s
        self.per_tick = events_per_minute * tick_s / 60
        self.faults = Faults(enabled=faults)
        self.rows_sent = 0
        self._customers = [customer for customer in world.customers if customer.created_at < world.end_s]
        self._ids = [customer.customer_id for customer in self._customers]
        self._first: int | None = None  # the tick with which the present run began
        self._last = 0  # the last tick made
        self._since = world.end_s  # the moment up to which things were told before this run
        self._pending: Pending = defaultdict(list)
        self._load()

    def drops(self, now: datetime) -> list[LiveDrop]:
        """(dataset, file name, bytes) of every tick that ended since the last call, oldest first."""
        ended = int(now.timestamp()) // self.tick_s  # the ticks below this one are over
        if ended * self.tick_s <= self.world.end_s:
            return []
        if self._first is None or (ended - 1 - self._last) * self.tick_s > self.catch_up_s:
            self._begin(ended - 1)
        found: list[LiveDrop] = []
        for tick in range(self._last + 1, ended):
            found += self._tick(tick)
            self._last = tick
        return found

    def save(self) -> None:
        """Remember what was handed over. Written beside and renamed, so a crash leaves the old state or the new."""
        if self.state_file is None or self._first is None:
            return
        state = {**self._identity(), "first_tick": self._first, "last_tick": self._last, "since": self._since}
        beside = self.state_file.with_suffix(".tmp")
        beside.write_text(json.dumps(state))
        os.replace(beside, self.state_file)  # noqa: PTH105 (atomic on the same file system)

    def _identity(self) -> dict[str, Any]:
        world = self.world
        return {"seed": world.seed, "world_end": world.end_s, "tick_s": self.tick_s, "per_tick": self.per_tick}

    def _load(self) -> None:
        if self.state_file is None or not self.state_file.exists():
            return
        state = json.loads(self.state_file.read_text())
        if state["seed"] != self.world.seed:
            return
        self._since = (state["last_tick"] + 1) * state["tick_s"]
        if any(state[name] != value for name, value in self._identity().items()):
            return  # another rhythm: a new run that goes on where the old one stopped
        self._first, self._last, self._since = state["first_tick"], state["last_tick"], state["since"]
        for tick in range(max(self._first, self._last - MEMORY_S // self.tick_s), self._last + 1):
            self._orders(tick)
        self._pending = defaultdict(list, {tick: rows for tick, rows in self._pending.items() if tick > self._last})

    def _begin(self, tick: int) -> None:
        if self._first is not None:
            self._since = (self._last + 1) * self.tick_s
        self._first, self._last = tick, tick - 1
        self._pending = defaultdict(list)

    # --- one tick -------------------------------------------------------------------------------------------------------------

    def _tick(self, tick: int) -> list[LiveDrop]:
        self._orders(tick)
        rows: dict[str, list[Any]] = defaultdict(list)
        for dataset, row in self._pending.pop(tick, []):
            rows[dataset].append(row)
        told = sum(len(found) for found in rows.values())
        self._sessions(tick, self._share(tick, self.per_tick) - told, rows["sessions"])
        self._reference(tick, rows)
        closing = (tick + 1) * self.tick_s
        found = []
        for dataset in EXTENSION:
            if rows.get(dataset):
                self.rows_sent += len(rows[dataset])
                name = f"{dataset}_{stamp(closing)}.{EXTENSION[dataset]}"
                found.append((dataset, name, self._encode(dataset, rows[dataset], first_seq=tick * 1_000_000)))
        return found

    @staticmethod
    def _share(tick: int, per_tick: float) -> int:
        """How many of a fractional number per tick fall into this one; over time they add up."""
        return int((tick + 1) * per_tick) - int(tick * per_tick)

    def _orders(self, tick: int) -> None:
        """Make the orders of a tick; their rows wait for the ticks in which they happen."""
        rng = stream(self.world.seed, "live orders", tick)
        for _ in range(self._share(tick, self.per_tick / ROWS_PER_ORDER)):
            at = tick * self.tick_s + int(rng.random() * self.tick_s)
            customer = self._customers[int(rng.random() ** 1.4 * len(self._customers))]
            order = o.make_order(rng, self.world.seed, customer, self.world.products, at)
            _hasten(order, rng)
            self._tell(order, rng)

    def _put(self, at: int, dataset: str, row: Any) -> None:
        self._pending[at // self.tick_s].append((dataset, row))

    def _tell(self, order: o.Order, rng: random.Random) -> None:
        draw = rng.random
        fault = ""
        if self.faults.enabled and draw() < FAULT_SHARE:
            kinds = LIVE_ROW_FAULTS if draw() < 0.6 else LIVE_LINE_FAULTS
            fault = kinds[int(draw() * len(kinds))]
        code = DISCOUNT_CODES[int(draw() * len(DISCOUNT_CODES))] if not fault and draw() < 0.12 else ""
        for number, (at, status) in enumerate(order.versions()):
            row = order.row(status, at)
            if number == 1 and fault in ROW_FAULTS:
                self.faults.spoil_row(rng, fault, row)
            self._put(at, "orders", (",".join(row), code))
        lines = order.line_rows(order.placed_s)
        if fault in LINE_FAULTS:
            lines.append(self.faults.extra_line(rng, fault, order))
        for line in lines:
            self._put(order.placed_s, "order_lines", ",".join(line))
        if order.dispatched_s:
            self._parcel(order, rng)
            if draw() < 0.05:
                self._return(order, rng)
        if draw() < 0.05:
            self._case(order, rng)

    def _parcel(self, order: o.Order, rng: random.Random) -> None:
        head = f"{uuid_of(rng)},{order.order_id},{o.carrier_of(rng, order.country)},{order.region}"
        sent, delivered = iso_z(order.dispatched_s), iso_z(order.delivered_s)
        times = f"{sent},{iso_z(order.promised_s)}"
        self._put(order.dispatched_s, "shipments", f"{head},in_transit,{times},,{sent}")
        self._put(order.delivered_s, "shipments", f"{head},delivered,{times},{delivered},{delivered}")

    def _return(self, order: o.Order, rng: random.Random) -> None:
        line = order.lines[int(rng.random() * len(order.lines))]
        asked = order.delivered_s + 20 + int(rng.random() * 100)
        granted = asked + 10 + int(rng.random() * 110)
        head = (
            f"{uuid_of(rng)},{order.order_id},{line.number},{line.product.sku},{order.channel},{order.region},"
            f"{REASONS[int(rng.random() * len(REASONS))]},{iso_z(asked)}"
        )
        self._put(asked, "returns", f"{head},,,{order.currency},{iso_z(asked)}")
        amount = money(line.gross - line.discount)
        self._put(granted, "returns", f"{head},{iso_z(granted)},{amount},{order.currency},{iso_z(granted)}")

    def _case(self, order: o.Order, rng: random.Random) -> None:
        opened = order.placed_s + 30 + int(rng.random() * 300)
        closed = opened + 30 + int(rng.random() * 240)
        channel = rng.choices(("phone", "chat", "email", "social"), cum_weights=CASE_CUM_WEIGHTS)[0]
        record = case_record(
            case_id=uuid_of(rng), customer_id=order.customer_id, order_id=order.order_id, channel=channel, opened=opened
        )
        record["sentiment"] = f"{rng.uniform(-0.9, 0.9):.4f}"
        self._put(opened, "support_cases", record)
        score = rng.choices((1, 2, 3, 4, 5), cum_weights=SCORE_CUM_WEIGHTS)[0]
        self._put(closed, "support_cases", closed_case(record, closed=closed, score=score))

    def _sessions(self, tick: int, count: int, rows: list[Any]) -> None:
        if count <= 0:
            return
        rng = stream(self.world.seed, "live sessions", tick)
        draw, ids, known = rng.random, self._ids, len(self._ids)
        channels = rng.choices(SESSION_CHANNELS, cum_weights=SESSION_CUM_WEIGHTS, k=count)
        regions = rng.choices(REGIONS, cum_weights=REGION_CUM_WEIGHTS, k=count)
        for channel, region in zip(channels, regions, strict=True):
            ended = tick * self.tick_s + int(draw() * self.tick_s)
            length = 5 + int(draw() ** 3 * 900)
            chance = draw()
            visitor = ids[int(chance / 0.3 * known)] if chance < 0.3 else None
            device = "phone" if channel == "mobile" else DEVICES[int(draw() * 3)]
            updated = iso_z(ended)
            started = iso_z(ended - length)
            rows.append((uuid_of(rng), visitor, channel, region, device, started, updated, 1 + length // 60, updated))

    def _reference(self, tick: int, rows: dict[str, list[Any]]) -> None:
        """Rates of the hours that began since something was told last, and a stock count on each new day."""
        opening, closing = tick * self.tick_s, (tick + 1) * self.tick_s
        told = self._since if tick == self._first else opening
        hours = range((told - 1) // HOUR_S + 1, (closing - 1) // HOUR_S + 1)
        for hour in hours[-24 * 7 :]:
            published = min(hour * HOUR_S + 5, closing)
            rows["fx_rates"] += [fx_record(self.world.seed, currency, hour, published=published) for currency in BASE_RATE]
        today = paris_day(closing - 1)
        if paris_day(told - 1) != today:
            rng = stream(self.world.seed, "live stock", tick)
            rows["inventory"] += [",".join(row) for row in stock_rows(self.world, closing - 1, today, rng)]

    def _encode(self, dataset: str, rows: list[Any], *, first_seq: int) -> bytes:
        numbered = enumerate(rows, start=first_seq)
        extension = EXTENSION[dataset]
        if extension == "parquet":
            return parquet_bytes(dataset, [*zip(*rows, strict=True), range(first_seq, first_seq + len(rows))])
        if extension == "jsonl":
            return jsonl_bytes([{**record, "source_seq": seq} for seq, record in numbered])
        header = CSV_COLUMNS[dataset]
        if dataset != "orders":
            return csv_bytes(header, [f"{text},{seq}" for seq, text in numbered])
        if not self.faults.enabled:
            return csv_bytes(header, [f"{text},{seq}" for seq, (text, _) in numbered])
        return csv_bytes(f"{header},{DISCOUNT_COLUMN}", [f"{text},{seq},{code}" for seq, (text, code) in numbered])


def _hasten(order: o.Order, rng: random.Random) -> None:
    """Squeeze an order's life of weeks into minutes, its promise included."""
    draw, at = rng.random, order.placed_s
    order.promised_s = at + 15 * MINUTE_S
    if order.confirmed_s:
        order.confirmed_s = at + 5 + int(draw() * 25)
    if order.cancelled_s:
        order.cancelled_s = at + 40 + int(draw() * 80)
    if order.dispatched_s:
        order.dispatched_s = at + 120 + int(draw() * 120)
        order.delivered_s = order.promised_s + 30 + int(draw() * 240) if order.late else at + 300 + int(draw() * 420)


assert 15 * MINUTE_S + 270 + 120 + 120 < MEMORY_S
