"""Reads of published figures: KPIs, trust metrics, marts. All from PostgreSQL, so they answer while the lake does not."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection
from django.db.models.expressions import RawSQL
from django.utils import timezone
from psycopg import sql

from catalog.domain.contract import Contract, Kpi
from catalog.selectors import contracts_current
from controlplane.lake import services as lake
from controlplane.lake.errors import LakeError
from pipeline.models import DatasetState, KpiValue, Step

TREND_DAYS = 30
KPI_ORDER = ["net_revenue", "conversion_rate", "fulfilment_sla", "return_rate", "csat_index", "inventory_risk"]


@dataclass(frozen=True)
class Freshness:
    """How old a figure is against its promise. ``state``: on_time, late or unknown."""

    state: str
    refreshed_at: datetime | None
    max_age_s: int
    due_at: datetime | None

    def age_s(self, now: datetime) -> float | None:
        return (now - self.refreshed_at).total_seconds() if self.refreshed_at else None


@dataclass(frozen=True)
class DayValue:
    """A KPI's newest figure for a business day; ``known`` is False when no run has published one."""

    day: date
    value: Decimal | None
    known: bool


@dataclass(frozen=True)
class KpiReading:
    """A KPI as it stands. ``values``: the newest figure of each of its last days that have one, oldest first."""

    contract: Contract
    kpi: Kpi
    values: tuple[KpiValue, ...]
    state: DatasetState | None
    freshness: Freshness
    now: datetime

    @property
    def key(self) -> str:
        return self.kpi.key

    @property
    def last(self) -> KpiValue | None:
        return self.values[-1] if self.values else None

    @property
    def value(self) -> Decimal | None:
        return self.last.value if self.last else None

    @property
    def business_date(self) -> date | None:
        return self.last.business_date if self.last else None

    @property
    def previous(self) -> KpiValue | None:
        """The figure of the day before the last one, when it has one."""
        if self.last is None:
            return None
        before = self.last.business_date - timedelta(days=1)
        return next((one for one in self.values if one.business_date == before), None)

    @property
    def change(self) -> float | None:
        """(value − previous) / abs(previous); None when there is nothing to compare with."""
        before = self.previous.value if self.previous else None
        if self.value is None or not before:
            return None
        return float((self.value - before) / abs(before))

    @property
    def days(self) -> list[DayValue]:
        """Every day of the last TREND_DAYS up to today, those without a figure as well."""
        known = {one.business_date: one.value for one in self.values}
        today = business_today(self.now)
        span = (today - timedelta(days=back) for back in range(TREND_DAYS - 1, -1, -1))
        return [DayValue(day, known.get(day), day in known) for day in span]

    @property
    def refreshed_at(self) -> datetime | None:
        return self.freshness.refreshed_at

    @property
    def late_s(self) -> float:
        """Seconds beyond the promise; 0 when on time or never refreshed."""
        due = self.freshness.due_at
        return max((self.now - due).total_seconds(), 0.0) if due else 0.0

    @property
    def failures(self) -> int:
        return self.state.failures if self.state else 0

    @property
    def step(self) -> Step | None:
        """The step that refreshed it last."""
        if self.state is not None and self.state.last_step is not None:
            return self.state.last_step
        return self.last.step if self.last else None


def business_today(now: datetime | None = None) -> date:
    return (now or timezone.now()).astimezone(ZoneInfo(settings.BUSINESS_TIME_ZONE)).date()


def kpi_contracts() -> list[Contract]:
    """Contracts that define a KPI, in the order the home page shows them."""
    found = [contract for contract in contracts_current().values() if contract.kpi]
    order = {key: place for place, key in enumerate(KPI_ORDER)}
    return sorted(found, key=lambda one: (order.get(one.kpi.key if one.kpi else "", len(order)), one.title))


def kpi_readings(now: datetime | None = None) -> list[KpiReading]:
    """Every KPI's newest figure with its trend. Two queries besides the contracts', however many KPIs."""
    now = now or timezone.now()
    contracts = kpi_contracts()
    keys = [contract.kpi.key for contract in contracts if contract.kpi]
    newest = RawSQL(_NEWEST_IDS, [keys, business_today(now), TREND_DAYS])  # noqa: S611  (a fixed text)
    values: dict[str, list[KpiValue]] = {key: [] for key in keys}
    for value in KpiValue.objects.filter(pk__in=newest).order_by("business_date"):
        values[value.kpi].append(value)
    states = DatasetState.objects.select_related("last_step__run").in_bulk([contract.dataset for contract in contracts])
    return [
        KpiReading(
            contract=contract,
            kpi=contract.kpi,
            values=tuple(values[contract.kpi.key]),
            state=states.get(contract.dataset),
            freshness=freshness(states.get(contract.dataset), max_age_s=contract.kpi.cadence_s, now=now),
            now=now,
        )
        for contract in contracts
        if contract.kpi
    ]


# A figure gets a new row whenever it changes, every few seconds: one index probe for each KPI and day finds the newest, where
# DISTINCT ON would read them all. Days after today (a promise that falls due tomorrow) have no figure yet.
_NEWEST_IDS = """
SELECT newest.id
FROM (SELECT %s::text[] AS keys, %s::date AS today, %s::int AS days) AS given
CROSS JOIN LATERAL unnest(given.keys) AS k(kpi)
CROSS JOIN LATERAL (
  SELECT business_date FROM pipeline_kpivalue
  WHERE kpi = k.kpi AND business_date <= given.today ORDER BY business_date DESC, id DESC LIMIT 1
) AS last
CROSS JOIN LATERAL generate_series(last.business_date - given.days + 1, last.business_date, interval '1 day') AS d(day)
CROSS JOIN LATERAL (
  SELECT id FROM pipeline_kpivalue
  WHERE kpi = k.kpi AND business_date = d.day::date ORDER BY business_date DESC, id DESC LIMIT 1
) AS newest
"""


def freshness(state: DatasetState | None, *, max_age_s: int, now: datetime) -> Freshness:
    """State of a dataset against its maximum age."""
    refreshed_at = state.refreshed_at if state else None
    if refreshed_at is None:
        return Freshness("unknown", None, max_age_s, None)
    due_at = refreshed_at + timedelta(seconds=max_age_s)
    return Freshness("late" if now > due_at else "on_time", refreshed_at, max_age_s, due_at)


def figures_version() -> str:
    """Changes whenever a published figure or its refresh time does; one query, cheap enough for every request."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT max(id) FROM pipeline_kpivalue),"
            " (SELECT max(refreshed_at) FROM pipeline_datasetstate WHERE layer = 'gold')"
        )
        newest, refreshed_at = cursor.fetchone()
    return f"{newest or 0}-{refreshed_at.timestamp() if refreshed_at else 0}"


_lake_seen: tuple[float, bool] = (0.0, True)
LAKE_CHECK_EVERY_S = 5.0


def lake_reachable() -> bool:
    """Whether the lake answers; asked at most once in five seconds per process."""
    global _lake_seen  # noqa: PLW0603  (a cache of one answer)
    now = time.monotonic()
    if now - _lake_seen[0] > LAKE_CHECK_EVERY_S:
        root = str(settings.LAKE_URL)
        try:
            up = Path(root).is_dir() if "://" not in root else lake.store().exists("_touchstone") in (True, False)
        except LakeError:
            up = False
        _lake_seen = (now, up)
    return _lake_seen[1]


# --- marts ------------------------------------------------------------------------------------------------------------


def measures(contract: Contract) -> list[str]:
    """Columns of a served table that can be summed."""
    kinds = ("decimal", "integer", "number")
    return [one.name for one in contract.fields if one.type in kinds and one.name not in contract.key]


def mart_rows(
    contract: Contract,
    *,
    columns: list[str],
    where: list[tuple[str, str, Any]],
    group_by: list[str],
    order_by: list[tuple[str, bool]],
    limit: int,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """Rows of a served table, or sums of its measures by ``group_by``. Column names must be the contract's (caller checks).

    ``where``: (column, operator, value) with operators =, >=, <=, in.
    """
    operators = {"=": "{} = %s", ">=": "{} >= %s", "<=": "{} <= %s", "in": "{} = ANY(%s)"}
    if group_by:
        picked: list[sql.Composable] = [sql.Identifier(name) for name in group_by]
        picked += [sql.SQL("sum({}) AS {}").format(sql.Identifier(name), sql.Identifier(name)) for name in measures(contract)]
    else:
        picked = [sql.Identifier(name) for name in columns]
    query = sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(picked), sql.Identifier("gold", contract.dataset))
    if where:
        tests = [sql.SQL(operators[operator]).format(sql.Identifier(column)) for column, operator, _ in where]
        query += sql.SQL(" WHERE ") + sql.SQL(" AND ").join(tests)
    if group_by:
        query += sql.SQL(" GROUP BY ") + sql.SQL(", ").join(map(sql.Identifier, group_by))
    if order_by:
        order = [sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL("DESC" if down else "ASC")) for name, down in order_by]
        query += sql.SQL(" ORDER BY ") + sql.SQL(", ").join(order)
    query += sql.SQL(" LIMIT %s OFFSET %s")
    with connection.cursor() as cursor:
        cursor.execute(query, [*(value for _, _, value in where), limit, offset])
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def mart_published(contract: Contract) -> bool:
    """Whether the mart has been published at least once."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [f"gold.{contract.dataset}"])
        return cursor.fetchone()[0] is not None
