"""The demo world: days of an ecommerce company's data, the same bytes for the same arguments.

    >>> world = World(seed=7, days=10, orders_per_day=600, profile="steady", end=date(2026, 11, 20))
    >>> truth = world.write(Path("drops"))          # files, truth.json, and the Truth itself
    >>> world.drops[0]                              # Drop(dataset, path, nominal_at), in the order of sending

The company writes what it knows up to ``as_of``: the end of the last business day (Europe/Paris), or the instant given as
``end``. An order appears when it is placed and again at every change; later things are told in later drops.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from pipeline.demo import aftermath, master
from pipeline.demo import orders as o
from pipeline.demo.clock import DAY_S, HOUR_S, MINUTE_S, PARIS, day_start, iso_z, paris_day, stream, uuid_of
from pipeline.demo.faults import ORDER_FAULTS, Faults
from pipeline.demo.files import EXTENSION, Drop, Made
from pipeline.demo.orders import Order
from pipeline.demo.reference import Customer, make_customers, make_products
from pipeline.demo.source import Source, period_of

if TYPE_CHECKING:
    from pipeline.demo.truth import Truth

Profile = Literal["steady", "peak"]

WEEKDAY_FACTOR = (0.94, 0.92, 0.95, 0.98, 1.03, 1.12, 1.06)
HOUR_WEIGHTS = (6, 3, 2, 1, 1, 2, 8, 18, 30, 40, 46, 50, 56, 52, 44, 42, 44, 50, 62, 78, 92, 88, 52, 20)
HOUR_CUM_WEIGHTS = tuple(accumulate(HOUR_WEIGHTS))
SESSION_CHANNELS = ("web", "mobile", "partner")
SESSION_CUM_WEIGHTS = (0.47, 0.94, 1.0)
DEVICES = ("phone", "desktop", "tablet")
REGIONS = ("FR", "DE", "ES", "ME")
REGION_CUM_WEIGHTS = (0.38, 0.62, 0.84, 1.0)
DISCOUNT_CODES = ("WELCOME10", "SPRING5", "VIP15", "رمضان20", "NOËL10")
ROW_FAULTS = frozenset(
    {
        "unknown_currency",
        "null_total_amount",
        "negative_total_amount",
        "unknown_status",
        "unreadable_ordered_at",
        "dispatched_before_ordered",
    }
)
LINE_FAULTS = frozenset({"bad_sku", "unknown_sku", "negative_discount", "unreadable_quantity"})
assert set(ORDER_FAULTS) >= ROW_FAULTS | LINE_FAULTS


class World:
    """``days`` business days up to ``end`` with about ``orders_per_day`` orders a day.

    ``profile="peak"`` adds campaign bursts of two minutes with more than 500 orders a minute, every third day and on the
    last full day. ``faults=False`` leaves every planted fault out. ``order_slot_hours`` is the time between two drops of the
    order system (sources that are slower scale with it). Raises ValueError for a period or a volume that cannot be.
    """

    def __init__(  # noqa: PLR0917 (the six that make a world are often given by place)
        self,
        seed: int,
        days: int,
        orders_per_day: int,
        profile: Profile,
        end: date | datetime,
        faults: bool = True,
        *,
        order_slot_hours: int = 6,
    ) -> None:
        if days < 1 or orders_per_day < 1 or not 1 <= order_slot_hours <= 24:
            raise ValueError("days and orders_per_day start at 1; order_slot_hours lies in 1..24")
        if profile not in ("steady", "peak"):
            raise ValueError(f"unknown profile {profile!r}: steady or peak")
        self.seed, self.days, self.orders_per_day, self.profile = seed, days, orders_per_day, profile
        if isinstance(end, datetime):
            if end.tzinfo is None:
                raise ValueError("an end with a time of day needs a time zone")
            self.last_day, self.end_s = end.astimezone(PARIS).date(), int(end.timestamp())
        else:
            self.last_day, self.end_s = end, day_start(end + timedelta(days=1))
        self.first_day = self.last_day - timedelta(days=days - 1)
        self.start_s = day_start(self.first_day)
        if self.end_s <= self.start_s:
            raise ValueError("the world ends before it begins")
        self.faults = Faults(enabled=faults)
        self.order_slot_hours = order_slot_hours
        self.products = make_products(seed, min(2000, max(72, orders_per_day // 3)), self.start_s)
        count = min(200_000, max(60, orders_per_day * days // 4))
        self.customers = make_customers(seed, count, self.start_s, day_start(self.last_day + timedelta(days=1)))
        self.drops: list[Drop] = []
        self.rows: dict[str, int] = {}

    @property
    def as_of(self) -> datetime:
        """The instant up to which the company has told what happened."""
        return datetime.fromtimestamp(self.end_s, UTC)

    @overload
    def write(self, folder: Path, *, truth: Literal[True] = True) -> Truth: ...

    @overload
    def write(self, folder: Path, *, truth: bool) -> Truth | None: ...

    def write(self, folder: Path, *, truth: bool = True) -> Truth | None:
        """Write every drop to ``folder/<dataset>/`` and, unless ``truth`` is off, ``truth.json`` beside them."""
        from pipeline.demo.truth import compute

        self.drops = []
        for dataset in EXTENSION:
            (folder / dataset).mkdir(parents=True, exist_ok=True)
        for made in self.generate():
            path = folder / made.dataset / made.filename
            path.write_bytes(made.content)
            self.drops.append(Drop(made.dataset, path, made.nominal_at))
        if not truth:
            return None
        found = compute(self.drops, as_of=self.as_of)
        found.planted = dict(sorted(self.faults.planted.items()))
        found.save(folder / "truth.json")
        return found

    def generate(self) -> Iterator[Made]:
        """The drops in the order of sending, each made when asked for (memory holds some days of rows, not the world)."""
        self.faults.planted.clear()
        sources = self._sources()
        yield from master.first_load(self, sources)
        for number in range(self.days):
            day = self.first_day + timedelta(days=number)
            self._day(day, sources, stream(self.seed, "day", day.isoformat()), number=number)
            closing = day_start(day + timedelta(days=1))
            yield from self._flush(sources, self.end_s if number == self.days - 1 else closing)
        self.rows = {name: source.rows for name, source in sources.items()}

    def _sources(self) -> dict[str, Source]:
        slots = self.days * 24 // self.order_slot_hours
        every = max(20, slots // 6)
        faulty = self.faults.enabled
        sources = {}
        for dataset in EXTENSION:
            sources[dataset] = Source(
                dataset=dataset,
                start=self.start_s,
                end=self.end_s,
                period_s=period_of(dataset, self.order_slot_hours),
                rng=stream(self.seed, "source", dataset),
                faults=self.faults,
                repeats=dataset in ("orders", "order_lines", "shipments", "sessions", "support_cases", "fx_rates"),
            )
        if faulty:
            sources["orders"].torn_slots = frozenset(range(2, slots, every))
            sources["sessions"].torn_slots = frozenset(range(3, slots, every * 2))
            sources["fx_rates"].torn_slots = frozenset({2})
            sources["orders"].twice_slots = frozenset(range(1, slots, every))
            sources["order_lines"].twice_slots = frozenset(range(1, slots, every))
            sources["sessions"].twice_slots = frozenset({1})
            sources["fx_rates"].twice_slots = frozenset({1})
            sources["orders"].grows_at = self.start_s + (self.end_s - self.start_s) // 2
        else:
            sources["orders"].grows_at = self.end_s
        return sources

    def _flush(self, sources: dict[str, Source], until: int) -> Iterator[Made]:
        ready = [made for source in sources.values() for made in source.flush(until)]
        order = {dataset: at for at, dataset in enumerate(EXTENSION)}
        ready.sort(key=lambda made: (made.nominal_at, order[made.dataset]))
        yield from ready

    def _day(self, day: date, sources: dict[str, Source], rng: random.Random, *, number: int) -> None:
        opening, closing = day_start(day), day_start(day + timedelta(days=1))
        times = [at for at in self._order_times(day, rng, number=number) if at < self.end_s]
        planted = self.faults.for_day(rng, len(times), first=number == 0)
        known = [customer for customer in self.customers if customer.created_at < opening - DAY_S]
        for index, at in enumerate(times):
            kind = planted.get(index, "")
            if kind == "corrected_ordered_at":
                at = opening + 10 * MINUTE_S + int(rng.random() * 9 * HOUR_S)  # noqa: PLW2901 (a morning order)
                if at >= self.end_s or number == 0:
                    kind = ""
            customer = known[int(rng.random() ** 1.4 * len(known))]
            self._order(make(self, rng, customer, at), sources, rng, kind=kind)
        self._orders_of_new_customers(opening, closing, sources, rng)
        self._sessions(day, sources["sessions"], rng, orders=len(times))
        master.day(self, opening, closing, sources, rng)

    def _order_times(self, day: date, rng: random.Random, *, number: int) -> list[int]:
        opening, closing = day_start(day), day_start(day + timedelta(days=1))
        count = round(self.orders_per_day * WEEKDAY_FACTOR[day.weekday()] * rng.uniform(0.95, 1.05))
        hours = rng.choices(range(24), cum_weights=HOUR_CUM_WEIGHTS, k=count)
        times = [min(closing - 1, opening + hour * HOUR_S + int(rng.random() * HOUR_S)) for hour in hours]
        last_full = self.days - 1 if self.end_s >= day_start(self.last_day + timedelta(days=1)) else max(0, self.days - 2)
        if self.profile == "peak" and (number % 3 == 1 or number == last_full):
            burst = opening + 20 * HOUR_S
            for minute in (0, 1):
                size = 510 + int(rng.random() * 90)
                times += [burst + minute * MINUTE_S + int(rng.random() * MINUTE_S) for _ in range(size)]
        return times

    def _orders_of_new_customers(self, opening: int, closing: int, sources: dict[str, Source], rng: random.Random) -> None:
        """Orders within minutes of registering: their customer comes with a later drop, and then they heal."""
        fresh = [customer for customer in self.customers if opening <= customer.created_at < closing]
        for customer in fresh[: max(1, self.orders_per_day // 100)]:
            at = customer.created_at + 5 * MINUTE_S
            if self.faults.enabled and at < min(closing, self.end_s):
                self._order(make(self, rng, customer, at), sources, rng, kind="")
                self.faults.planted["customer_in_a_later_drop"] += 1

    def _order(self, order: Order, sources: dict[str, Source], rng: random.Random, *, kind: str) -> None:
        """Send an order's rows, its lines and what follows from it, with the fault ``kind`` ("" for none)."""
        faults = self.faults
        if kind in ("malformed_customer_id", "customer_never_arrives"):
            faults.spoil_order(rng, kind, order)
        lines = [(order.placed_s, row) for row in order.line_rows(order.placed_s)]
        if kind in LINE_FAULTS:
            lines.append((order.placed_s, faults.extra_line(rng, kind, order)))
        rows = [(at, at, order.row(status, at)) for at, status in order.versions()]
        if kind == "corrected_ordered_at":
            rows, more = self._corrected(order, rng)
            lines += more
        elif kind == "tied_update" and order.confirmed_s:
            rows.insert(1, (order.confirmed_s, order.confirmed_s, order.row("placed", order.confirmed_s)))
            faults.planted[kind] += order.confirmed_s < self.end_s
        elif kind == "late_update" and order.dispatched_s:
            arrival = order.dispatched_s + 8 * HOUR_S
            rows[1] = (arrival, rows[1][1], rows[1][2])
            faults.planted[kind] += arrival < self.end_s
        told = [entry for entry in rows if entry[0] < self.end_s]
        if kind in ROW_FAULTS:
            faults.spoil_row(rng, kind, told[int(rng.random() * len(told))][2])
        code = rng.choice(DISCOUNT_CODES) if rng.random() < 0.12 and kind not in ORDER_FAULTS else ""
        times = (o.ORDERED, o.PROMISED, o.DISPATCHED, o.DELIVERED, o.UPDATED)
        for arrival, _, row in told:
            if kind not in ROW_FAULTS:
                faults.style(rng, row, currency=o.CURRENCY, times=times)
                if faults.enabled and not row[5] and rng.random() < 0.02:
                    row[5] = "  "
                    faults.planted["blank_for_missing"] += 1
            sources["orders"].add(arrival, (",".join(row), code))
        for arrival, row in lines:
            if kind not in LINE_FAULTS:
                faults.style(rng, row, currency=o.LINE_CURRENCY, times=(o.LINE_ORDERED, o.LINE_UPDATED))
            sources["order_lines"].add(arrival, ",".join(row))
        aftermath.follow(self, order, sources, rng)

    def _corrected(
        self, order: Order, rng: random.Random
    ) -> tuple[list[tuple[int, int, list[str]]], list[tuple[int, list[str]]]]:
        """The rows of an order whose ``ordered_at`` is corrected to the evening before, and its lines sent again."""
        first = order.ordered_s
        at = first + 5 * MINUTE_S + int(rng.random() * HOUR_S)
        order.ordered_s = day_start(paris_day(first)) - 10 * MINUTE_S - int(rng.random() * 2 * HOUR_S)
        rows = []
        status = "placed"
        for moment, name in order.versions():
            if moment < at:
                status = name
                rows.append((moment, moment, order.row(name, moment, ordered_s=first)))
            else:
                rows.append((moment, moment, order.row(name, moment)))
        rows.append((at, at, order.row(status, at)))
        lines = [(at, row) for row in order.line_rows(at)]
        self.faults.planted["corrected_ordered_at"] += at < self.end_s
        return rows, lines

    def _sessions(self, day: date, source: Source, rng: random.Random, *, orders: int) -> None:
        """Visits of a day: 2 to 4 in 100 end in an order; three in ten visitors are signed in."""
        opening, closing = day_start(day), day_start(day + timedelta(days=1))
        count = round(orders / rng.uniform(0.024, 0.036))
        known = [customer.customer_id for customer in self.customers if customer.created_at < opening]
        hours = rng.choices(range(24), cum_weights=HOUR_CUM_WEIGHTS, k=count)
        channels = rng.choices(SESSION_CHANNELS, cum_weights=SESSION_CUM_WEIGHTS, k=count)
        regions = rng.choices(REGIONS, cum_weights=REGION_CUM_WEIGHTS, k=count)
        draw = rng.random
        for hour, channel, region in zip(hours, channels, regions, strict=True):
            started = min(closing - 1, opening + hour * HOUR_S + int(draw() * HOUR_S))
            ended = started + 5 + int(draw() ** 3 * 2400)
            if ended >= self.end_s:
                continue
            chance = draw()
            visitor = known[int(chance / 0.3 * len(known))] if chance < 0.3 else None
            device = "phone" if channel == "mobile" else DEVICES[int(draw() * 3)]
            updated = iso_z(ended)
            pages = 1 + (ended - started) // 60
            row = (uuid_of(rng), visitor, channel, region, device, iso_z(started), updated, pages, updated)
            source.add(ended, row)


def make(world: World, rng: random.Random, customer: Customer, at: int) -> Order:
    return o.make_order(rng, world.seed, customer, world.products, at)
