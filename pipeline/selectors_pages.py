"""Reads for the pages: a fixed number of queries each, whatever the size of the history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection
from django.db.models import Count, Min, Q, QuerySet, Sum
from django.utils import timezone

from catalog.domain.contract import Contract
from catalog.selectors import contracts_current
from controlplane.ui import formats
from pipeline.models import (
    BronzeFile,
    DatasetState,
    Drop,
    DropState,
    HeldState,
    KpiValue,
    QuarantinedRow,
    Run,
    SilverReject,
    Step,
    StopSwitch,
    Work,
)
from pipeline.selectors_kpi import business_today as business_today  # noqa: PLC0414  (part of what the pages read)

TREND_DAYS = 30
COUNT_LIMIT = 10_000  # counts stop here: "10,000+" says enough, and the page stays fast

# The newest value of each KPI and day. LATERAL: one index probe each, although a busy day has thousands of values.
_TREND_SQL = """
SELECT k.kpi, d.day::date, v.value, v.as_of
FROM unnest(%s::text[]) AS k(kpi)
CROSS JOIN generate_series(%s::date, %s::date, interval '1 day') AS d(day)
LEFT JOIN LATERAL (
  SELECT value, as_of FROM pipeline_kpivalue
  WHERE kpi = k.kpi AND business_date = d.day::date ORDER BY business_date DESC, id DESC LIMIT 1
) AS v ON true
ORDER BY k.kpi, d.day
"""


@dataclass(frozen=True)
class DayValue:
    """A KPI's newest figure for a business day; ``known`` is False when no run has published one."""

    day: date
    value: Decimal | None
    known: bool


@dataclass(frozen=True)
class KpiOverview:
    """One KPI now. ``freshness`` is on_time, late or unknown; ``age_s`` is against ``cadence_s``, its maximum age."""

    key: str
    dataset: str
    title: str
    unit: str
    better: str
    target: Decimal | None
    owner: str
    cadence_s: int
    refreshed_at: datetime | None
    freshness: str
    late_s: float
    days: tuple[DayValue, ...]
    failures: int

    @property
    def latest(self) -> DayValue | None:
        return next((day for day in reversed(self.days) if day.known), None)

    @property
    def before(self) -> DayValue | None:
        """The day before the latest one, when it has a figure."""
        latest = self.latest
        if latest is None:
            return None
        return next((day for day in self.days if day.day == latest.day - timedelta(days=1) and day.known), None)


def kpis(*, now: datetime | None = None, days: int = TREND_DAYS) -> list[KpiOverview]:
    """Every KPI with its trend up to today's business day. Queries: two, besides the contracts'."""
    now = now or timezone.now()
    today = business_today(now)
    contracts = {contract.kpi.key: contract for contract in contracts_current().values() if contract.kpi}
    trends: dict[str, list[DayValue]] = {key: [] for key in contracts}
    with connection.cursor() as cursor:
        cursor.execute(_TREND_SQL, [list(contracts), today - timedelta(days=days - 1), today])
        for key, day, value, as_of in cursor.fetchall():
            trends[key].append(DayValue(day, value, as_of is not None))
    states = DatasetState.objects.in_bulk([contract.dataset for contract in contracts.values()])
    found = [
        _overview(contract, states.get(contract.dataset), tuple(trends[key]), now=now) for key, contract in contracts.items()
    ]
    return sorted(found, key=lambda kpi: (KPI_ORDER.index(kpi.key) if kpi.key in KPI_ORDER else len(KPI_ORDER), kpi.title))


KPI_ORDER = ["net_revenue", "conversion_rate", "fulfilment_sla", "return_rate", "csat_index", "inventory_risk"]


def _overview(contract: Contract, state: DatasetState | None, days: tuple[DayValue, ...], *, now: datetime) -> KpiOverview:
    assert contract.kpi is not None
    kpi = contract.kpi
    refreshed = state.refreshed_at if state else None
    late_s = (now - refreshed).total_seconds() - kpi.cadence_s if refreshed else 0.0
    return KpiOverview(
        key=kpi.key,
        dataset=contract.dataset,
        title=kpi.title,
        unit=kpi.unit,
        better=kpi.better,
        target=kpi.target,
        owner=contract.owner,
        cadence_s=kpi.cadence_s,
        refreshed_at=refreshed,
        freshness="unknown" if refreshed is None else "late" if late_s > 0 else "on_time",
        late_s=max(late_s, 0.0),
        days=days,
        failures=state.failures if state else 0,
    )


# --- runs ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RunTotals:
    """A run with what its steps add up to. ``rows_in`` counts Silver's: what came in from outside."""

    run: Run
    step_count: int = 0
    step_done: int = 0
    step_failed: int = 0
    step_running: int = 0
    rows_in: int = 0
    rows_out: int = 0
    rows_rejected: int = 0
    rows_quarantined: int = 0

    @property
    def progress_words(self) -> str:
        running = f", {self.step_running} running" if self.step_running else ""
        return f"{self.step_done} of {self.step_count} steps done{running}, {self.step_count - self.step_done} left"

    @property
    def duration_s(self) -> float:
        return ((self.run.finished_at or timezone.now()) - self.run.started_at).total_seconds()


def run_totals(runs: Sequence[Run]) -> list[RunTotals]:
    """Totals for a page of runs in one query; a join over all runs would grow with the history."""
    silver = Q(layer="silver")
    sums = {
        row["run_id"]: row
        for row in Step.objects.filter(run__in=[run.pk for run in runs])
        .values("run_id")
        .annotate(
            step_count=Count("id"),
            step_done=Count("id", filter=Q(state__in=["succeeded", "failed", "blocked", "skipped"])),
            step_failed=Count("id", filter=Q(state="failed")),
            step_running=Count("id", filter=Q(state="running")),
            rows_in=Sum("rows_in", filter=silver, default=0),
            rows_out=Sum("rows_out", filter=silver, default=0),
            rows_rejected=Sum("rows_rejected", default=0),
            rows_quarantined=Sum("rows_quarantined", default=0),
        )
    }
    found = []
    for run in runs:
        row: dict[str, Any] = dict(sums.get(run.pk, {}))
        row.pop("run_id", None)
        found.append(RunTotals(run=run, **row))
    return found


def runs_latest(limit: int) -> list[RunTotals]:
    return run_totals(list(Run.objects.order_by("-started_at", "-id")[:limit]))


def run_by_uuid(uuid: Any) -> RunTotals | None:
    run = Run.objects.filter(uuid=uuid).first()
    return run_totals([run])[0] if run else None


def run_steps(run: Run) -> list[Step]:
    """The steps of a run in the order they are shown: Silver before Gold, failures first within a layer."""
    rank = {"failed": 0, "running": 1, "ready": 2, "blocked": 3, "waiting": 4, "succeeded": 5, "skipped": 6}
    layers = {"silver": 0, "gold": 1}
    steps = list(run.steps.annotate(file_count=Count("bronze_files")))
    for step in steps:
        step.failure_title = f"{step.dataset} failed after {step.attempts} attempt{'s' if step.attempts != 1 else ''}"  # type: ignore[attr-defined]
    return sorted(steps, key=lambda step: (layers.get(step.layer, 2), rank.get(step.state, 9), step.dataset))


def run_files(run: Run) -> QuerySet[Any]:
    """Bronze files that steps of the run took in."""
    return BronzeFile.objects.filter(steps__run=run).distinct().order_by("dataset", "-id")


@dataclass(frozen=True)
class Published:
    """The newest day of a KPI that a run published, and how many days in all."""

    value: KpiValue
    title: str
    unit: str
    days: int


def run_kpis(run: Run) -> list[Published]:
    """What the run published. Two queries besides the contracts'."""
    mine = KpiValue.objects.filter(step__run=run)
    days = dict(mine.order_by().values_list("kpi").annotate(Count("id")))
    known = {contract.kpi.key: contract.kpi for contract in contracts_current().values() if contract.kpi}
    newest = mine.filter(business_date__lte=business_today(run.as_of)).order_by("kpi", "-business_date", "-id").distinct("kpi")
    return [
        Published(
            value,
            known[value.kpi].title if value.kpi in known else value.kpi,
            known[value.kpi].unit if value.kpi in known else "",
            days[value.kpi],
        )
        for value in newest
    ]


def changed_today(*, now: datetime | None = None) -> list[tuple[str, int, str]]:
    """What came in on this business day, as (what, how many, state of the drops). One query."""
    start = datetime.combine(business_today(now), datetime.min.time(), ZoneInfo(settings.BUSINESS_TIME_ZONE))
    rows = Drop.objects.filter(received_at__gte=start).values("state").annotate(count=Count("id")).order_by("state")
    return [(str(DropState(row["state"]).label), row["count"], row["state"]) for row in rows]


# --- what needs attention --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """Rows held back, by dataset; ``count`` stops at COUNT_LIMIT."""

    dataset: str
    count: int


@dataclass(frozen=True)
class Attention:
    """Everything that may need a person, from few bounded queries."""

    failing: Sequence[DatasetState] = ()
    refused: Sequence[Drop] = ()
    refused_count: int = 0
    rejects: Sequence[Held] = ()
    quarantine: Sequence[Held] = ()
    switches: Sequence[StopSwitch] = ()
    waiting_files: int = 0
    oldest_waiting_at: datetime | None = None


def attention(*, now: datetime | None = None, since: timedelta = timedelta(hours=24)) -> Attention:
    """Queries: six."""
    now = now or timezone.now()
    refused = Drop.objects.filter(state=DropState.REFUSED, received_at__gte=now - since)
    waiting = Work.objects.filter(run__isnull=True, kind="file").aggregate(count=Count("id"), oldest=Min("created_at"))
    newest = list(refused[:3])
    return Attention(
        failing=list(DatasetState.objects.filter(failures__gt=0).select_related("last_step__run").order_by("-failures")[:10]),
        refused=newest,
        refused_count=len(newest) if len(newest) < 3 else refused.count(),
        rejects=_held(SilverReject),
        quarantine=_held(QuarantinedRow),
        switches=list(StopSwitch.objects.order_by("scope")),
        waiting_files=waiting["count"],
        oldest_waiting_at=waiting["oldest"],
    )


def _held(model: type[SilverReject] | type[QuarantinedRow]) -> list[Held]:
    """Open rows by dataset, counted over at most COUNT_LIMIT rows of the index."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT dataset, count(*) FROM (SELECT dataset FROM {table} WHERE state = %s LIMIT %s) AS held"  # noqa: S608
            " GROUP BY dataset ORDER BY count(*) DESC",
            [HeldState.OPEN, COUNT_LIMIT],
        )
        return [Held(dataset, count) for dataset, count in cursor.fetchall()]


# --- lists -----------------------------------------------------------------------------------------------------------


def dataset_names(layer: str | None = None) -> list[str]:
    """Datasets that a contract describes, for the choices of filters."""
    return [name for name, contract in contracts_current().items() if layer in (None, contract.layer)]


def run_ids_of_dataset(dataset: str) -> QuerySet[Any]:
    """Runs with a step of the dataset that was not skipped."""
    return Step.objects.filter(dataset=dataset).exclude(state="skipped").values("run_id")


def drops_matching(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    if len(text) >= 8 and all(letter in "0123456789abcdef" for letter in text.lower()):
        return rows.filter(Q(sha256__startswith=text.lower()) | Q(filename__icontains=text))
    return rows.filter(filename__icontains=text)


def held_of_file(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    return rows.filter(Q(bronze_file__logical_id=text) | Q(bronze_file__filename__icontains=text))


def rejects() -> QuerySet[SilverReject]:
    return SilverReject.objects.select_related("bronze_file").defer("record", "bronze_file__columns")


def quarantined() -> QuerySet[QuarantinedRow]:
    return QuarantinedRow.objects.select_related("bronze_file").defer("record", "bronze_file__columns")


def reject_rules(dataset: str = "", limit: int = 12) -> list[tuple[str, int]]:
    """The rules that hold back most of the newest COUNT_LIMIT open rows, as (rule, rows)."""
    where, values = ("AND dataset = %s", [dataset]) if dataset else ("", [])
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT rule, count(*) FROM (SELECT rules FROM silver_rejects WHERE state = 'open' {where}"  # noqa: S608
            f" LIMIT {COUNT_LIMIT}) AS held, unnest(held.rules) AS rule GROUP BY rule ORDER BY count(*) DESC, rule LIMIT %s",
            [*values, limit],
        )
        return list(cursor.fetchall())


def personal_columns(dataset: str, columns: Sequence[str]) -> set[str]:
    """Columns of a record that are shown masked: those a contract calls personal, and those no contract knows."""
    contract = contracts_current().get(dataset)
    if contract is None:
        return set(columns)
    open_columns = {one.source_name for one in contract.fields if not one.pii} | {
        one.name for one in contract.fields if not one.pii
    }
    return {name for name in columns if name not in open_columns}


_RULE_WORDS = {
    "required": "{} is empty, though the contract requires it",
    "type": "{} does not read as the contract's type",
    "enum": "{} is not one of the values the contract allows",
    "pattern": "{} does not have the form the contract asks for",
    "minimum": "{} is below the contract's minimum",
    "maximum": "{} is above the contract's maximum",
    "max_length": "{} is longer than the contract allows",
    "reference": "{} names something that the referenced dataset does not hold",
    "rule": "the row breaks the contract's rule {}",
}


def rule_words(rule: str) -> str:
    """A rule's id in a sentence: ``required:total_amount`` → "total_amount is empty, though …"."""
    kind, _, name = rule.partition(":")
    return _RULE_WORDS.get(kind, "{}").format(name or rule)


@dataclass(frozen=True)
class HeldByFile:
    rejected: int
    quarantined: int


def held_by_file(file: BronzeFile) -> HeldByFile:
    """Open rows of a Bronze file. Two queries."""
    return HeldByFile(
        SilverReject.objects.filter(bronze_file=file).exclude(state=HeldState.RESOLVED).count(),
        QuarantinedRow.objects.filter(bronze_file=file).exclude(state=HeldState.RESOLVED).count(),
    )


# --- limits and switches ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Budget:
    """A watermark as a bar. ``share`` is the used part of the budget in whole percent; ``state`` within, near or over."""

    name: str
    title: str
    now: str
    limit: str
    share: int
    state: str
    status: int
    mend: str

    @property
    def words(self) -> str:
        return f"{self.share} % of the way to the limit"


NEAR_SHARE = 80


def budget(mark: Any) -> Budget:
    """A reading of ``services.watermarks`` for the page. Free space counts down to its floor, a queue up to its ceiling."""
    if mark.unit == "MB":
        share = min(100, round(100 * mark.limit / mark.used)) if mark.used > 0 else 100
        now, limit = formats.bytes_size(mark.used * 2**20), f"refused below {formats.bytes_size(mark.limit * 2**20)}"
    else:
        share = min(100, round(100 * mark.used / mark.limit)) if mark.limit else 100
        now, limit = f"{mark.used:,.0f} {mark.unit}", f"refused from {mark.limit:,.0f} {mark.unit}"
    state = "over" if mark.passed else "near" if share >= NEAR_SHARE else "within"
    return Budget(mark.name, mark.title, now, limit, share, state, mark.status, mark.mend)


@dataclass(frozen=True)
class DatasetLine:
    """One dataset on the switches page."""

    dataset: str
    layer: str
    title: str
    refreshed_at: datetime | None
    failures: int
    hold_until: datetime | None
    waiting: int
    switch: StopSwitch | None

    @property
    def state(self) -> str:
        return "stopped" if self.switch else "failed" if self.failures else "flowing" if self.refreshed_at else "waiting"


def dataset_lines() -> list[DatasetLine]:
    """Every dataset with a contract, stopped and failing ones first. Three queries besides the contracts'."""
    states = DatasetState.objects.in_bulk()
    switches = {switch.scope: switch for switch in StopSwitch.objects.all()}
    waiting = dict(Work.objects.filter(run__isnull=True).values_list("dataset").annotate(Count("id")))
    lines = []
    for name, contract in contracts_current().items():
        state = states.get(name)
        lines.append(
            DatasetLine(
                dataset=name,
                layer=contract.layer,
                title=contract.title,
                refreshed_at=state.refreshed_at if state else None,
                failures=state.failures if state else 0,
                hold_until=state.hold_until if state else None,
                waiting=waiting.get(name, 0),
                switch=switches.get(name),
            )
        )
    return sorted(lines, key=lambda line: (line.switch is None, not line.failures, line.layer != "silver", line.dataset))


def switch_of(scope: str) -> StopSwitch | None:
    return StopSwitch.objects.filter(scope=scope).first()


def steps_running() -> int:
    return Step.objects.filter(state="running").count()
