"""What the company sends besides orders: first loads, changed customers and products, stock, exchange rates."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pipeline.demo import reference as r
from pipeline.demo.aftermath import case_record, closed_case
from pipeline.demo.clock import DAY_S, HOUR_S, MINUTE_S, iso_z, paris_day, stream, uuid_of
from pipeline.demo.faults import faulty_returns
from pipeline.demo.files import Made, csv_field
from pipeline.demo.source import Source

if TYPE_CHECKING:
    from pipeline.demo.world import World


def first_load(world: World, sources: dict[str, Source]) -> Iterator[Made]:
    """Reference data first, then every product and customer known when the world begins; later versions are queued."""
    start = world.start_s
    before = iso_z(start - 40 * DAY_S)
    rows: dict[str, list[Any]] = {
        "suppliers": [
            f"{key},{csv_field(name)},{country},{days},{csv_field(terms)},{before}"
            for key, name, country, days, terms in r.SUPPLIERS
        ],
        "carriers": [f"{key},{csv_field(name)},{country},{before}" for key, name, country in r.CARRIERS],
        "promotions": [
            f"PRO-{number:03d},{csv_field(name)},{iso_z(start + first * DAY_S)},{iso_z(start + last * DAY_S)},{pct},{before}"
            for number, (name, first, last, pct) in enumerate(
                (("Autumn, early birds", 0, 7, "10.00"), ('"Black" week', 7, 14, "20.00"), ("Soldes d'été", -90, -60, "15.50")),
                1,
            )
        ],
        "channels": [
            {"channel_id": key, "name": name, "kind": kind, "active": True, "updated_at": before}
            for key, name, kind in r.CHANNELS
        ],
        "products": [product.row() for product in world.products],
        "customers": [customer.versions[0][1] for customer in world.customers if customer.created_at < start],
    }
    for dataset, known in rows.items():
        yield from sources[dataset].send_now(start, known)
    _queue_customers(world, sources["customers"])
    _queue_products(world, sources["products"])
    half = (world.start_s + world.end_s) // 2
    key, _, kind = r.CHANNELS[4]
    renamed = {"channel_id": key, "name": "Partners & affiliates", "kind": kind, "active": True, "updated_at": iso_z(half)}
    sources["channels"].add(half, renamed)
    _queue_rates(world, sources["fx_rates"])


def _queue_customers(world: World, source: Source) -> None:
    planted = world.faults.planted
    for customer in world.customers:
        known = customer.created_at < world.start_s
        for at, (arrival, record) in enumerate(customer.versions):
            if at or not known:
                source.add(arrival, record)
                planted["late_customer_change"] += f"{iso_z(arrival)}" != record["updated_at"] and arrival < world.end_s
    if world.faults.enabled:
        moment = world.start_s + 3 * HOUR_S
        _, record = world.customers[0].versions[0]
        nameless = {key: value for key, value in record.items() if key != "customer_id"}
        source.add(moment, {**nameless, "updated_at": iso_z(moment)})
        source.add(moment, dict(record))
        # A change of yesterday that the customer system tells only now: it goes between two versions.
        _, before = world.customers[1].versions[0]
        value = str(Decimal(before["lifetime_value"]) + Decimal("7.77"))
        source.add(moment, {**before, "lifetime_value": value, "updated_at": iso_z(world.start_s - 12 * HOUR_S)})
        planted["late_customer_change"] += moment < world.end_s
        planted["customer_without_key"] += moment < world.end_s
        planted["duplicate_customer_version"] += moment < world.end_s


def _queue_products(world: World, source: Source) -> None:
    """One product in eight changes its price, its score or whether it is sold, once, within the period."""
    rng = stream(world.seed, "product changes")
    for product in world.products:
        if rng.random() > 0.125:
            continue
        at = world.start_s + HOUR_S + rng.randrange(max(1, world.end_s - world.start_s - HOUR_S))
        what = rng.random()
        changed = r.Product(**{name: getattr(product, name) for name in r.Product.__slots__})
        changed.updated_at = at
        changed.cost = product.cost + 37
        if what < 0.5:
            changed.price = product.price + 200
        elif what < 0.8:
            changed.score = product.score + 5 if product.score < 95 else product.score - 5
        else:
            changed.active = not product.active
        source.add(at, changed.row())


def _queue_rates(world: World, source: Source) -> None:
    """Hourly rates from two days before the first order on; about one in eighty is published again with a correction."""
    rng = stream(world.seed, "rates")
    last = (world.end_s - 1) // HOUR_S
    for hour in range(world.start_s // HOUR_S - 48, last + 1):
        for currency in r.BASE_RATE:
            published = hour * HOUR_S + 5 + int(rng.random() * 40)
            source.add(max(published, world.start_s), r.fx_record(world.seed, currency, hour, published=published))
            chosen = currency == "AED" and hour * HOUR_S == world.start_s + 13 * HOUR_S
            if rng.random() < 0.0125 or chosen:
                again = published + (2 if chosen else 1) * HOUR_S + int(rng.random() * (2 if chosen else 30) * HOUR_S)
                for factor in (1.004, 1.0025)[: 1 + (rng.random() < 0.25)]:
                    record = r.fx_record(world.seed, currency, hour, published=again, factor=factor)
                    source.add(max(again, world.start_s), record)
                    world.faults.planted["revised_rate"] += again < world.end_s
                    again += 5 * HOUR_S


def day(world: World, opening: int, closing: int, sources: dict[str, Source], rng: random.Random) -> None:
    """A day's stock count and its planted single rows (every fifth day from the first)."""
    _stock(world, opening + 5 * HOUR_S, sources["inventory"], rng)
    number = (closing - world.start_s) // DAY_S - 1
    if not world.faults.enabled or number % 5:
        return
    at = opening + 6 * HOUR_S + int(rng.random() * HOUR_S)
    if at >= world.end_s:
        return
    planted = world.faults.planted
    sources["returns"].add(at, ",".join(faulty_returns(rng, world.products[0].sku, at)))
    planted["refund_beyond_60_days"] += 1
    customer = world.customers[0].customer_id
    opened = case_record(case_id=uuid_of(rng), customer_id=customer, order_id=None, channel="chat", opened=at)
    sources["support_cases"].add(at, opened)
    sources["support_cases"].add(at + MINUTE_S, closed_case(opened, closed=at + MINUTE_S, score=7))
    planted["score_of_7"] += 1
    old = case_record(case_id=uuid_of(rng), customer_id=customer, order_id=None, channel="email", opened=at - 70 * DAY_S)
    sources["support_cases"].add(at, closed_case(old, closed=at, score=4))
    planted["closed_after_70_days"] += 1


def stock_rows(world: World, at: int, today: date, rng: random.Random) -> list[list[str]]:
    """The stock of every product at ``at``: from a third of a lead time's demand to four lead times'."""
    count = len(world.products)
    lead = {key: days for key, _, _, days, _ in r.SUPPLIERS}
    rows = []
    updated = iso_z(at)
    for rank, product in enumerate(world.products):
        # The share of the sales of the product at this rank, when the rank is drawn as a squared uniform number.
        share = ((rank + 1) / count) ** 0.5 - (rank / count) ** 0.5
        daily = world.orders_per_day * 3.2 * share
        available = int(daily * lead[product.supplier_id] * rng.uniform(0.35, 3.6)) + 1
        rows.append([product.sku, today.isoformat(), str(available), str(int(available * 0.1)), updated])
    return rows


def _stock(world: World, at: int, source: Source, rng: random.Random) -> None:
    rows = stock_rows(world, at, paris_day(at), rng)
    if world.faults.enabled and at < world.end_s:
        rows[-1][2] = "-3"
        world.faults.planted["negative_stock"] += 1
    for row in rows:
        source.add(at, ",".join(row))
    for row in rows[: len(rows) // 50]:
        # A recount in the afternoon replaces the count of the morning.
        source.add(at + 10 * HOUR_S, ",".join([row[0], row[1], str(int(row[2]) + 5), row[3], iso_z(at + 10 * HOUR_S)]))
