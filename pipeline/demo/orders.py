"""One order's life: what was bought, by whom, and when each thing happened to it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.demo.clock import DAY_S, HOUR_S, MINUTE_S, iso_z, money, uuid_of
from pipeline.demo.reference import BASE_RATE, CARRIERS, SELLERS, Customer, Product, rate_of

VAT = {"FR": 20, "DE": 19, "ES": 21, "AE": 5, "SA": 15}
MARKETPLACE_SHARE = 0.35
OTHER_CHANNELS = ("web", "mobile", "store", "partner")
OTHER_CUM_WEIGHTS = (0.46, 0.86, 0.95, 1.0)
RETURN_REASONS = (
    "too small",
    "not as described",
    "arrived late",
    'said "large", is small',
    "colour differs, see photo",
    "damaged box\nand a scratch",
    "changed my mind",
    "Größe passt nicht",
)

# Positions in an order's row.
STATUS, CURRENCY, TOTAL, ORDERED, PROMISED, DISPATCHED, DELIVERED, UPDATED = 6, 7, 8, 9, 10, 11, 12, 13
# Positions in an order line's row.
LINE_SKU, LINE_QUANTITY, LINE_DISCOUNT, LINE_CURRENCY, LINE_ORDERED, LINE_UPDATED = 2, 3, 6, 8, 9, 10


@dataclass(slots=True)
class Line:
    number: int
    product: Product
    quantity: int
    unit: int
    gross: int
    discount: int
    tax: int


@dataclass(slots=True)
class Order:
    """Instants are UTC seconds, 0 when the thing never happens; ``ordered_s`` may be corrected, ``placed_s`` stays."""

    order_id: str
    customer_id: str
    channel: str
    region: str
    country: str
    seller_id: str
    currency: str
    lines: list[Line]
    placed_s: int
    ordered_s: int
    promised_s: int
    confirmed_s: int = 0
    cancelled_s: int = 0
    dispatched_s: int = 0
    delivered_s: int = 0
    late: bool = False
    extra_rows: list[list[str]] = field(default_factory=list)

    def versions(self) -> list[tuple[int, str]]:
        """(when, status) of every state, oldest first."""
        steps = (
            (self.placed_s, "placed"),
            (self.confirmed_s, "confirmed"),
            (self.cancelled_s, "cancelled"),
            (self.dispatched_s, "dispatched"),
            (self.delivered_s, "delivered"),
        )
        return sorted((at, status) for at, status in steps if at)

    def total(self) -> int:
        return sum(line.gross - line.discount for line in self.lines)

    def row(self, status: str, updated_s: int, *, ordered_s: int | None = None) -> list[str]:
        """The fields of an orders record up to and without ``source_seq``, as known at ``updated_s``."""
        dispatched, delivered = self.dispatched_s, self.delivered_s
        return [
            self.order_id,
            self.customer_id,
            self.channel,
            self.region,
            self.country,
            self.seller_id,
            status,
            self.currency,
            money(self.total()),
            iso_z(self.ordered_s if ordered_s is None else ordered_s),
            iso_z(self.promised_s),
            iso_z(dispatched) if dispatched and dispatched <= updated_s else "",
            iso_z(delivered) if delivered and delivered <= updated_s else "",
            iso_z(updated_s),
        ]

    def line_rows(self, updated_s: int, *, ordered_s: int | None = None) -> list[list[str]]:
        """The fields of its order_lines records up to and without ``source_seq``."""
        ordered = iso_z(self.ordered_s if ordered_s is None else ordered_s)
        updated = iso_z(updated_s)
        return [
            [
                self.order_id,
                str(line.number),
                line.product.sku,
                str(line.quantity),
                money(line.unit),
                money(line.gross),
                money(line.discount),
                money(line.tax),
                self.currency,
                ordered,
                updated,
            ]
            for line in self.lines
        ]


def order_currency(rng: random.Random, country: str, channel: str) -> str:
    if country == "AE":
        return "AED"
    if country == "SA":
        return "SAR"
    if channel == "marketplace" and rng.random() < 0.15:
        return "USD" if rng.random() < 0.6 else "GBP"
    return "EUR"


def make_lines(
    rng: random.Random, seed: int, products: Sequence[Product], *, currency: str, country: str, at: int
) -> list[Line]:
    draw = rng.random
    rate = 1.0 if currency == "EUR" else rate_of(seed, currency, at // HOUR_S)
    vat = VAT[country]
    count = 1 + int(draw() ** 2 * 4)
    lines = []
    for number in range(1, count + 1):
        # Squaring the draw makes the first products the best sellers.
        product = products[int(draw() ** 2 * len(products))]
        quantity = 1 if draw() < 0.7 else 2 + int(draw() * 3)
        unit = product.price if currency == "EUR" else round(product.price / rate)
        gross = unit * quantity
        discount = gross * (5 + int(draw() * 4) * 5) // 100 if draw() < 0.25 else 0
        paid = gross - discount
        lines.append(Line(number, product, quantity, unit, gross, discount, paid * vat // (100 + vat)))
    return lines


def make_order(rng: random.Random, seed: int, customer: Customer, products: Sequence[Product], at: int) -> Order:
    """An order placed at ``at`` with the ordinary life of weeks: confirmed, dispatched, delivered, sometimes cancelled."""
    draw = rng.random
    marketplace = draw() < MARKETPLACE_SHARE
    channel = "marketplace" if marketplace else rng.choices(OTHER_CHANNELS, cum_weights=OTHER_CUM_WEIGHTS)[0]
    seller = SELLERS[int(draw() ** 2 * len(SELLERS))] if marketplace else ""
    currency = order_currency(rng, customer.country, channel)
    lines = make_lines(rng, seed, products, currency=currency, country=customer.country, at=at)
    transit_days = 5 if customer.region == "ME" else 3 + int(draw() * 2)
    promised = (at // DAY_S + transit_days) * DAY_S + 19 * HOUR_S
    order = Order(
        order_id=uuid_of(rng),
        customer_id=customer.customer_id,
        channel=channel,
        region=customer.region,
        country=customer.country,
        seller_id=seller,
        currency=currency,
        lines=lines,
        placed_s=at,
        ordered_s=at,
        promised_s=promised,
    )
    if draw() < 0.045:
        order.cancelled_s = at + 10 * MINUTE_S + int(draw() * 10 * HOUR_S)
        if draw() < 0.6:
            order.confirmed_s = at + 1 + int(draw() * 9 * MINUTE_S)
        return order
    order.confirmed_s = at + MINUTE_S + int(draw() * 90 * MINUTE_S)
    order.dispatched_s = order.confirmed_s + 3 * HOUR_S + int(draw() * 30 * HOUR_S)
    order.late = draw() < 0.07
    if order.late:
        order.delivered_s = promised + HOUR_S + int(draw() * 60 * HOUR_S)
    else:
        # Anywhere between half a day after it left and the promise.
        earliest = order.dispatched_s + 12 * HOUR_S
        order.delivered_s = earliest + int(draw() * max(1, promised - earliest))
    return order


def carrier_of(rng: random.Random, country: str) -> str:
    for carrier_id, _, home in CARRIERS:
        if home == country and rng.random() < 0.8:
            return carrier_id
    return CARRIERS[int(rng.random() * len(CARRIERS))][0]


CURRENCY_SPELLINGS = {
    "EUR": ("€", " eur ", "Eur", "€ "),
    "USD": ("$", "US$", "usd"),
    "GBP": ("£", "gbp"),
    "AED": ("DH", "د.إ", "dh", "aed "),
    "SAR": ("SR", "﷼", "sar"),
}
assert set(CURRENCY_SPELLINGS) == {"EUR", *BASE_RATE}
