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
from django.utils import timezone
from psycopg import sql

from catalog.domain.contract import Contract, Kpi
from catalog.selectors import contracts_current
from controlplane.lake import services as lake
from controlplane.lake.errors import LakeError
from pipeline.models import DatasetState, KpiValue

TREND_DAYS = 14


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
class KpiReading:
    """A KPI as it stands. ``series``: (business date, value) oldest first; ``change``: ratio to the day before, or None."""

    kpi: Kpi
    contract: Contract
    value: Decimal | None
    business_date: date | None
    as_of: datetime | None
    previous: Decimal | None
    change: float | None
    series: list[tuple[date, Decimal | None]]
    freshness: Freshness
    run_uuid: str | None
    step_uuid: str | None
    value_id: int | None


def business_today(now: datetime | None = None) -> date:
    return (now or timezone.now()).astimezone(ZoneInfo(settings.BUSINESS_TIME_ZONE)).date()


def kpi_contracts() -> list[Contract]:
    """Contracts that define a KPI, in the order the home page shows them."""
    found = [contract for contract in contracts_current().values() if contract.kpi]
    order = ["net_revenue", "conversion_rate", "fulfilment_sla", "return_rate", "csat_index", "inventory_risk"]
    return sorted(found, key=lambda one: (order.index(one.kpi.key) if one.kpi and one.kpi.key in order else 99, one.dataset))


def kpi_readings(now: datetime | None = None) -> list[KpiReading]:
    """Every KPI's newest figure with its trend. Three queries, however many KPIs."""
    now = now or timezone.now()
    contracts = kpi_contracts()
    keys = [contract.kpi.key for contract in contracts if contract.kpi]
    today = business_today(now)
    newest = KpiValue.objects.filter(pk__in=_newest_ids(keys, today)).select_related("step__run").order_by("business_date")
    values: dict[str, list[KpiValue]] = {key: [] for key in keys}
    for value in newest:
        values[value.kpi].append(value)
    states = {
        state.dataset: state
        for state in DatasetState.objects.filter(dataset__in=[contract.dataset for contract in contracts]).select_related(
            "last_step__run"
        )
    }
    return [
        _reading(contract, values[contract.kpi.key], states.get(contract.dataset), now)
        for contract in contracts
        if contract.kpi
    ]


# A figure gets a new row whenever it changes, every few seconds: one index probe for each KPI and day finds the newest, where
# DISTINCT ON would read them all. Days after today (a promise that falls due tomorrow) have no figure yet.
_NEWEST_IDS = """
SELECT newest.id
FROM unnest(%(keys)s::text[]) AS k(kpi)
CROSS JOIN LATERAL (
  SELECT business_date FROM pipeline_kpivalue
  WHERE kpi = k.kpi AND business_date <= %(today)s ORDER BY business_date DESC, id DESC LIMIT 1
) AS last
CROSS JOIN generate_series(last.business_date - %(days)s + 1, last.business_date, interval '1 day') AS d(day)
CROSS JOIN LATERAL (
  SELECT id FROM pipeline_kpivalue
  WHERE kpi = k.kpi AND business_date = d.day::date ORDER BY business_date DESC, id DESC LIMIT 1
) AS newest
"""


def _newest_ids(keys: list[str], today: date) -> list[int]:
    """The newest row of each KPI for each of its last days that have one."""
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST_IDS, {"keys": keys, "today": today, "days": TREND_DAYS})
        return [row[0] for row in cursor.fetchall()]


def _reading(contract: Contract, values: list[KpiValue], state: DatasetState | None, now: datetime) -> KpiReading:
    assert contract.kpi is not None
    last = values[-1] if values else None
    before = values[-2] if len(values) > 1 else None
    change = None
    if last and before and last.value is not None and before.value:
        change = float((last.value - before.value) / abs(before.value))
    step = state.last_step if state and state.last_step else (last.step if last else None)
    return KpiReading(
        kpi=contract.kpi,
        contract=contract,
        value=last.value if last else None,
        business_date=last.business_date if last else None,
        as_of=last.as_of if last else None,
        previous=before.value if before else None,
        change=change,
        series=[(value.business_date, value.value) for value in values],
        freshness=freshness(state, max_age_s=contract.kpi.cadence_s, now=now),
        run_uuid=str(step.run.uuid) if step else None,
        step_uuid=str(step.uuid) if step else None,
        value_id=last.pk if last else None,
    )


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
