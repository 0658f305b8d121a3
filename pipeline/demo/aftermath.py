"""What follows from an order: parcels, returns and refunds, conversations with support."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from pipeline.demo.clock import DAY_S, HOUR_S, MINUTE_S, iso_z, money, uuid_of
from pipeline.demo.files import csv_field
from pipeline.demo.orders import RETURN_REASONS, Order, carrier_of
from pipeline.demo.source import Source

if TYPE_CHECKING:
    from pipeline.demo.world import World

CASE_CHANNELS = ("phone", "chat", "email", "social")
CASE_CUM_WEIGHTS = (0.3, 0.7, 0.92, 1.0)
SCORE_CUM_WEIGHTS = (0.04, 0.10, 0.22, 0.58, 1.0)
LATE_SCORE_CUM_WEIGHTS = (0.32, 0.58, 0.78, 0.92, 1.0)
REASONS = tuple(csv_field(reason) for reason in RETURN_REASONS)


def follow(world: World, order: Order, sources: dict[str, Source], rng: random.Random) -> None:
    """Send the shipments, returns and support cases of an order to their sources."""
    draw = rng.random
    if order.dispatched_s:
        _shipments(order, sources["shipments"], rng)
        if draw() < 0.08:
            _return(order, sources["returns"], rng)
    if draw() < (0.35 if order.late else 0.05):
        _case(world, order, sources["support_cases"], rng)


def _shipments(order: Order, source: Source, rng: random.Random) -> None:
    for parcel in range(2 if rng.random() < 0.08 else 1):
        shipment, carrier = uuid_of(rng), carrier_of(rng, order.country)
        delivered = order.delivered_s + parcel * int(rng.random() * 20 * HOUR_S)
        head = f"{shipment},{order.order_id},{carrier},{order.region}"
        times = f"{iso_z(order.dispatched_s)},{iso_z(order.promised_s)}"
        source.add(order.dispatched_s, f"{head},in_transit,{times},,{iso_z(order.dispatched_s)}")
        if rng.random() < 0.006:
            lost = order.promised_s + 36 * HOUR_S
            source.add(lost, f"{head},lost,{times},,{iso_z(lost)}")
        else:
            source.add(delivered, f"{head},delivered,{times},{iso_z(delivered)},{iso_z(delivered)}")


def _return(order: Order, source: Source, rng: random.Random) -> None:
    line = order.lines[int(rng.random() * len(order.lines))]
    asked = order.delivered_s + 4 * HOUR_S + int(rng.random() * 11 * DAY_S)
    head = (
        f"{uuid_of(rng)},{order.order_id},{line.number},{line.product.sku},{order.channel},{order.region},"
        f"{REASONS[int(rng.random() * len(REASONS))]},{iso_z(asked)}"
    )
    source.add(asked, f"{head},,,{order.currency},{iso_z(asked)}")
    if rng.random() < 0.92:
        granted = asked + DAY_S + int(rng.random() * 7 * DAY_S)
        amount = money(line.gross - line.discount)
        source.add(granted, f"{head},{iso_z(granted)},{amount},{order.currency},{iso_z(granted)}")


def _case(world: World, order: Order, source: Source, rng: random.Random) -> None:
    draw = rng.random
    opened = (order.delivered_s or order.placed_s) + 20 * MINUTE_S + int(draw() * DAY_S)
    channel = rng.choices(CASE_CHANNELS, cum_weights=CASE_CUM_WEIGHTS)[0]
    record = case_record(
        case_id=uuid_of(rng), customer_id=order.customer_id, order_id=order.order_id, channel=channel, opened=opened
    )
    if world.faults.enabled and (anonymous := draw()) < 0.12:
        # Three ways in which a source says "we do not know the customer".
        if anonymous < 0.04:
            record["customer_id"] = None
        elif anonymous < 0.08:
            record["customer_id"] = " "
        else:
            del record["customer_id"]
        world.faults.planted["blank_for_missing"] += opened < world.end_s
    record["sentiment"] = f"{rng.uniform(-0.9, 0.2 if order.late else 0.9):.4f}"
    source.add(opened, record)
    if draw() < 0.93:
        closed = opened + 30 * MINUTE_S + int(draw() ** 2 * 3 * DAY_S)
        weights = LATE_SCORE_CUM_WEIGHTS if order.late else SCORE_CUM_WEIGHTS
        score = rng.choices((1, 2, 3, 4, 5), cum_weights=weights)[0] if draw() < 0.7 else None
        source.add(closed, closed_case(record, closed=closed, score=score))


def case_record(*, case_id: str, customer_id: str, order_id: str | None, channel: str, opened: int) -> dict[str, Any]:
    """An open support case, without ``source_seq``."""
    return {
        "case_id": case_id,
        "customer_id": customer_id,
        "order_id": order_id,
        "channel": channel,
        "opened_at": iso_z(opened),
        "closed_at": None,
        "status": "open",
        "csat_score": None,
        "sentiment": "0.0000",
        "updated_at": iso_z(opened),
    }


def closed_case(record: dict[str, Any], *, closed: int, score: int | None) -> dict[str, Any]:
    return {**record, "closed_at": iso_z(closed), "status": "closed", "csat_score": score, "updated_at": iso_z(closed)}
