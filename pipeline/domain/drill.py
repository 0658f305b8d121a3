"""The rows that a KPI's numerator and denominator are counted from, one SELECT a side over the facts.

Every SELECT yields: kind, id, part, place (partition of the fact that holds it), channel, region, detail, happened_at, amount.
The amounts of a side add up to the published numerator or denominator, exactly; a test holds each against its KPI.
``$day`` is the business day, ``$as_of`` the moment the figure refers to.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Side:
    """Numerator or denominator. ``facts``: the Gold tables that ``sql`` reads. ``takes_as_of``: uses ``$as_of``."""

    name: str
    noun: str
    plural: str
    facts: tuple[str, ...]
    sql: str
    takes_as_of: bool = False


@dataclass(frozen=True)
class Drill:
    """``reader``: the dataset whose step read the facts; empty: the KPI's own. ``scale``: decimals of the sums."""

    sides: tuple[Side, ...]
    reader: str = ""
    scale: int = 0
    by_channel: bool = True
    by_region: bool = True

    def side(self, name: str) -> Side | None:
        return next((one for one in self.sides if one.name == name), None)


@dataclass(frozen=True)
class Origin:
    """Where the Silver rows behind a row of a fact are: columns of ``dataset`` that equal its id, part and place."""

    dataset: str
    id_column: str
    place_column: str
    part_column: str = ""


@dataclass(frozen=True)
class Kind:
    """A kind of row. ``fact``: the Gold table it is in."""

    fact: str
    origins: tuple[Origin, ...]


_SOLD_LINES = """
SELECT
    'order line' AS kind, f.order_id AS id, CAST(f.line_no AS VARCHAR) AS part, CAST(f.order_date AS VARCHAR) AS place,
    f.channel_source AS channel, f.region AS region, f.sku AS detail, f.ordered_at AS happened_at,
    CAST(COALESCE(f.net_revenue_amount, 0) AS DECIMAL(18, 4)) AS amount
FROM fact_order AS f
WHERE NOT f.is_cancelled AND f.order_date = $day
UNION ALL
SELECT
    'refund' AS kind, r.return_id AS id, '' AS part, CAST(r.initiated_date AS VARCHAR) AS place,
    r.channel_source AS channel, r.region AS region, r.sku AS detail, r.refunded_at AS happened_at,
    CAST(-r.refund_amount AS DECIMAL(18, 4)) AS amount
FROM fact_returns AS r
WHERE r.refund_amount IS NOT NULL AND r.refunded_date = $day
"""

_ORDERS_PLACED = """
SELECT
    'order' AS kind, f.order_id AS id, '' AS part, CAST(f.order_date AS VARCHAR) AS place,
    MIN(f.channel_source) AS channel, MIN(f.region) AS region, CAST(COUNT(f.line_no) AS VARCHAR) AS detail,
    MIN(f.ordered_at) AS happened_at, CAST(1 AS DECIMAL(18, 4)) AS amount
FROM fact_order AS f
WHERE NOT f.is_cancelled AND f.order_date = $day
GROUP BY f.order_id, f.order_date
"""

_SESSIONS = """
SELECT
    'session' AS kind, v.session_id AS id, '' AS part, CAST(v.session_date AS VARCHAR) AS place,
    v.channel_source AS channel, v.region AS region, v.device AS detail, v.started_at AS happened_at,
    CAST(1 AS DECIMAL(18, 4)) AS amount
FROM fact_session AS v
WHERE v.session_date = $day
"""

_PARCELS = """
SELECT
    'parcel' AS kind, h.shipment_id AS id, '' AS part, CAST(h.due_date AS VARCHAR) AS place,
    '' AS channel, h.region AS region, h.status AS detail, h.promised_delivery_ts AS happened_at,
    CAST(1 AS DECIMAL(18, 4)) AS amount
FROM fact_shipment AS h
WHERE h.due_date = $day AND h.promised_delivery_ts <= $as_of{on_time}
"""

_RETURNS = """
SELECT
    'return' AS kind, r.return_id AS id, '' AS part, CAST(r.initiated_date AS VARCHAR) AS place,
    r.channel_source AS channel, r.region AS region, r.reason AS detail, r.initiated_at AS happened_at,
    CAST(1 AS DECIMAL(18, 4)) AS amount
FROM fact_returns AS r
WHERE r.initiated_date BETWEEN add_days($day, -29) AND $day
"""

_ORDERS_DISPATCHED = """
SELECT
    'order' AS kind, f.order_id AS id, '' AS part, CAST(MIN(f.order_date) AS VARCHAR) AS place,
    MIN(f.channel_source) AS channel, MIN(f.region) AS region, CAST(COUNT(f.line_no) AS VARCHAR) AS detail,
    MIN(f.dispatched_at) AS happened_at, CAST(1 AS DECIMAL(18, 4)) AS amount
FROM fact_order AS f
WHERE f.dispatched_date BETWEEN add_days($day, -29) AND $day
GROUP BY f.order_id, f.dispatched_date
"""

_CASES = """
SELECT
    'case' AS kind, k.case_id AS id, '' AS part, CAST(k.opened_date AS VARCHAR) AS place,
    k.channel AS channel, '' AS region, k.detail AS detail, k.closed_at AS happened_at,
    CAST({amount} AS DECIMAL(18, 4)) AS amount
FROM (
    SELECT
        c.case_id, c.opened_date, c.channel, c.closed_at,
        'score ' || CAST(c.csat_score AS VARCHAR) AS detail,
        c.csat_score - 1 AS points,
        CASE
            WHEN c.channel = 'phone' THEN 10
            WHEN c.channel = 'chat' THEN 8
            WHEN c.channel = 'email' THEN 6
            WHEN c.channel = 'social' THEN 4
            ELSE 0
        END AS weight_tenths
    FROM fact_support_case AS c
    WHERE c.status = 'closed' AND c.closed_date = $day AND c.csat_score BETWEEN 1 AND 5
) AS k
"""

_PRODUCTS = """
SELECT
    'product' AS kind, i.sku AS id, '' AS part, CAST(i.snapshot_date AS VARCHAR) AS place,
    '' AS channel, '' AS region,
    CAST(i.available_qty AS VARCHAR) || ' in stock, ' || CAST(COALESCE(m.quantity, 0) AS VARCHAR)
    || ' sold on four such weekdays, lead time ' || COALESCE(CAST(i.lead_time_days AS VARCHAR), '?') || ' days' AS detail,
    i.day_end_at AS happened_at, CAST(1 AS DECIMAL(18, 4)) AS amount
FROM fact_inventory AS i
LEFT JOIN (
    SELECT f.sku, SUM(f.quantity) AS quantity
    FROM fact_order AS f
    WHERE
        NOT f.is_cancelled
        AND f.order_date BETWEEN add_days($day, -28) AND add_days($day, -1)
        AND weekday(f.order_date) = weekday($day)
    GROUP BY f.sku
) AS m ON m.sku = i.sku
WHERE i.snapshot_date = $day AND i.active{at_risk}
"""

DRILLS = MappingProxyType(
    {
        "net_revenue": Drill(
            sides=(Side("numerator", "amount", "amounts", ("fact_order", "fact_returns"), _SOLD_LINES),),
            reader="mart_daily_revenue",
            scale=2,
        ),
        "conversion_rate": Drill(
            sides=(
                Side("numerator", "order", "orders", ("fact_order",), _ORDERS_PLACED),
                Side("denominator", "session", "sessions", ("fact_session",), _SESSIONS),
            )
        ),
        "fulfilment_sla": Drill(
            sides=(
                Side(
                    "numerator",
                    "parcel on time",
                    "parcels on time",
                    ("fact_shipment",),
                    _PARCELS.format(on_time=" AND h.delivered_at <= h.promised_delivery_ts"),
                    takes_as_of=True,
                ),
                Side(
                    "denominator",
                    "parcel due",
                    "parcels due",
                    ("fact_shipment",),
                    _PARCELS.format(on_time=""),
                    takes_as_of=True,
                ),
            ),
            by_channel=False,
        ),
        "return_rate": Drill(
            sides=(
                Side("numerator", "return", "returns", ("fact_returns",), _RETURNS),
                Side("denominator", "order dispatched", "orders dispatched", ("fact_order",), _ORDERS_DISPATCHED),
            )
        ),
        "csat_index": Drill(
            sides=(
                Side(
                    "numerator",
                    "scored case",
                    "scored cases",
                    ("fact_support_case",),
                    _CASES.format(amount="ratio(product(k.weight_tenths, k.points, 0), 40, 4)"),
                ),
                Side(
                    "denominator",
                    "scored case",
                    "scored cases",
                    ("fact_support_case",),
                    _CASES.format(amount="ratio(k.weight_tenths, 10, 4)"),
                ),
            ),
            scale=3,
            by_region=False,
        ),
        "inventory_risk": Drill(
            sides=(
                Side(
                    "numerator",
                    "product at risk",
                    "products at risk",
                    ("fact_inventory", "fact_order"),
                    _PRODUCTS.format(
                        at_risk=" AND i.available_qty * 4 < product(i.lead_time_days, COALESCE(m.quantity, 0), 0)"
                    ),
                ),
                Side(
                    "denominator",
                    "active product",
                    "active products",
                    ("fact_inventory", "fact_order"),
                    _PRODUCTS.format(at_risk=""),
                ),
            ),
            by_channel=False,
            by_region=False,
        ),
    }
)

_ORDERS = Origin("orders", "order_id", "order_date")
KINDS = MappingProxyType(
    {
        "order line": Kind("fact_order", (Origin("order_lines", "order_id", "order_date", "line_no"), _ORDERS)),
        "order": Kind("fact_order", (_ORDERS, Origin("order_lines", "order_id", "order_date"))),
        "refund": Kind("fact_returns", (Origin("returns", "return_id", "initiated_date"),)),
        "return": Kind("fact_returns", (Origin("returns", "return_id", "initiated_date"),)),
        "session": Kind("fact_session", (Origin("sessions", "session_id", "session_date"),)),
        "parcel": Kind("fact_shipment", (Origin("shipments", "shipment_id", "due_date"),)),
        "case": Kind("fact_support_case", (Origin("support_cases", "case_id", "opened_date"),)),
        "product": Kind("fact_inventory", (Origin("inventory", "sku", "snapshot_date"),)),
    }
)
