"""From a published figure down to the raw files: what its step read, who had made that, and with which code and contracts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache

from django.conf import settings
from django.db.models import QuerySet

from catalog.domain.contract import Contract
from catalog.selectors import contracts_current
from pipeline import selectors_files
from pipeline.domain.code import ROOT
from pipeline.domain.silver_sql import silver_sql
from pipeline.models import KpiValue, PartitionWrite, SqlText, Step
from pipeline.selectors_files import Files
from pipeline.selectors_hops import Contracts, Hop, hops
from quality import selectors as quality
from quality.selectors import QualityResult

HISTORY_SHOWN = 20
CONFIRMED_LIMIT = 1000
LAYERS = {"gold": 0, "silver": 1}


@dataclass(frozen=True)
class Code:
    """The SQL that a step ran. ``same``: whether today's file (and for Silver today's rules) give the same text; None: no hash
    was kept. ``text`` is what ran; empty when it was not kept.
    """

    sha256: str
    path: str
    text: str
    same: bool | None


@dataclass
class TrailStep:
    """One hop with what is known of it."""

    hop: Hop
    code: Code
    contract_sha256: str
    verdicts: Sequence[QualityResult] = ()

    @property
    def step(self) -> Step:
        return self.hop.step

    @property
    def contract_version(self) -> str:
        return self.hop.step.contract_version or self.hop.contract.version

    @property
    def span(self) -> str:
        return span_words(self.hop.partitions, self.hop.contract)

    @property
    def failing(self) -> list[QualityResult]:
        return [one for one in self.verdicts if one.status != "passing"]

    @property
    def verdict(self) -> str:
        """State of the step's gate: passing, failing, or not_run where no rule was judged."""
        return ("failing" if self.failing else "passing") if self.verdicts else "not_run"

    @property
    def versions(self) -> list[int]:
        return sorted(self.hop.versions)


@dataclass
class TrailDataset:
    """One dataset on the way with every step of it that made a part of what was read, newest first.

    ``depth`` 0 is the KPI itself. ``partitions`` None: the whole table was read.
    """

    dataset: str
    layer: str
    title: str
    depth: int
    contract: Contract
    steps: list[TrailStep]
    partitions: set[str] | None
    read_by: list[str]
    files: Files = field(default_factory=Files)

    @property
    def span(self) -> str:
        return span_words(self.partitions, self.contract)

    @property
    def step(self) -> Step:
        return self.steps[0].step

    @property
    def exact(self) -> bool:
        return all(one.hop.exact for one in self.steps)

    @property
    def versions(self) -> list[int]:
        """Table versions that readers opened."""
        return sorted({version for one in self.steps for version in one.hop.versions})


@dataclass(frozen=True)
class Confirmed:
    """Later refreshes that came to the same figure. ``count`` stops at CONFIRMED_LIMIT."""

    count: int
    last: Step | None


@dataclass(frozen=True)
class Trail:
    """Everything behind one published figure."""

    key: str
    day: date
    contract: Contract
    value: KpiValue
    datasets: Sequence[TrailDataset]
    confirmed: Confirmed
    previous: KpiValue | None

    def layer(self, name: str) -> list[TrailDataset]:
        return [one for one in self.datasets if one.layer == name]

    @property
    def figure(self) -> TrailDataset:
        return self.datasets[0]

    @property
    def gold(self) -> list[TrailDataset]:
        return [one for one in self.layer("gold") if one.depth > 0]

    @property
    def silver(self) -> list[TrailDataset]:
        return self.layer("silver")

    @property
    def brought(self) -> list[TrailDataset]:
        """Silver datasets with raw files behind them, most rows first."""
        return sorted((one for one in self.silver if one.files.total), key=lambda one: -one.files.rows_total)

    @property
    def unused(self) -> list[TrailDataset]:
        """Silver datasets of which no accepted row of a file was read."""
        return [one for one in self.silver if not one.files.total]

    @property
    def files_total(self) -> int:
        return sum(one.files.total for one in self.silver)

    @property
    def steps_total(self) -> int:
        return sum(len(one.steps) for one in self.datasets)

    @property
    def exact(self) -> bool:
        """Whether every step on the way had kept the versions that it read."""
        return all(one.exact for one in self.datasets)


def span_words(partitions: set[str] | None, contract: Contract) -> str:
    """Partitions in words."""
    if partitions is None:
        return "the whole table"
    column = contract.partition.column if contract.partition else "partition"
    ordered = sorted(partitions)
    if not ordered:
        return "nothing"
    if len(ordered) == 1:
        return f"{column} {ordered[0]}"
    return f"{len(ordered)} partitions, {column} {ordered[0]} to {ordered[-1]}"


# --- which figure -----------------------------------------------------------------------------------------------------


def kpi_contract(key: str) -> Contract | None:
    return next((one for one in contracts_current().values() if one.kpi and one.kpi.key == key), None)


def kpi_contracts() -> list[Contract]:
    return [one for one in contracts_current().values() if one.kpi]


def kpi_day_latest(key: str, *, until: date) -> date | None:
    """Newest business day, not after ``until``, with a published figure."""
    return (
        KpiValue.objects.filter(kpi=key, business_date__lte=until)
        .order_by("-business_date")
        .values_list("business_date", flat=True)
        .first()
    )


def kpi_days_beside(key: str, day: date) -> tuple[date | None, date | None]:
    """The nearest days before and after that have a figure."""
    values = KpiValue.objects.filter(kpi=key)
    earlier = values.filter(business_date__lt=day).order_by("-business_date", "-id").values_list("business_date", flat=True)
    later = values.filter(business_date__gt=day).order_by("business_date", "id").values_list("business_date", flat=True)
    return earlier.first(), later.first()


def kpi_values(key: str, day: date) -> QuerySet[KpiValue]:
    """Every figure that was ever published for the day, newest first."""
    return KpiValue.objects.filter(kpi=key, business_date=day).select_related("step__run").order_by("-id")


def kpi_value(key: str, day: date, *, at: datetime | None = None, value_pk: int | None = None) -> KpiValue | None:
    """The figure of a day: a given one, the one known at a moment, else the newest."""
    values = kpi_values(key, day)
    if value_pk is not None:
        values = values.filter(pk=value_pk)
    elif at is not None:
        values = values.filter(computed_at__lte=at)
    return values.first()


# --- its trail --------------------------------------------------------------------------------------------------------


def trail(
    *,
    key: str,
    day: date,
    at: datetime | None = None,
    value_pk: int | None = None,
    files_limit: int | None = selectors_files.FILES_SHOWN,
) -> Trail | None:
    """The trail of a figure (see ``kpi_value``); None when there is none. ``files_limit``: files listed per dataset, None: all.

    The number of queries does not depend on the history: three a level of the way down, and a few for the whole.
    """
    value = kpi_value(key, day, at=at, value_pk=value_pk)
    return None if value is None else trail_of(value, files_limit=files_limit)


def trail_of(value: KpiValue, *, files_limit: int | None = selectors_files.FILES_SHOWN) -> Trail | None:
    """As ``trail``, of a figure at hand."""
    contracts = Contracts()
    found = hops(value.step, outputs={value.business_date.isoformat()}, contracts=contracts)
    if not found:
        return None
    datasets = _datasets(_described(found, contracts))
    selectors_files.add(
        {one.dataset: [step.hop for step in one.steps] for one in datasets if one.layer == "silver"},
        into={one.dataset: one.files for one in datasets},
        known_at=value.computed_at,
        limit=files_limit,
    )
    previous = kpi_values(value.kpi, value.business_date).filter(pk__lt=value.pk).first()
    return Trail(
        key=value.kpi,
        day=value.business_date,
        contract=found[0].contract,
        value=value,
        datasets=datasets,
        confirmed=_confirmed(value),
        previous=previous,
    )


def _described(found: Sequence[Hop], contracts: Contracts) -> list[TrailStep]:
    texts = dict(SqlText.objects.filter(pk__in={hop.step.sql_sha256 for hop in found}).values_list("sha256", "text"))
    verdicts: dict[str, list[QualityResult]] = {}
    for one in quality.results_of_runs([str(hop.step.uuid) for hop in found if hop.contract.layer == "gold"]):
        verdicts.setdefault(one.run_key, []).append(one)
    return [
        TrailStep(
            hop=hop,
            code=_code(hop, texts),
            contract_sha256=contracts.sha256(hop.dataset, hop.step.contract_version),
            verdicts=verdicts.get(str(hop.step.uuid), ()),
        )
        for hop in found
    ]


def _datasets(steps: Sequence[TrailStep]) -> list[TrailDataset]:
    found: dict[str, TrailDataset] = {}
    for one in sorted(steps, key=lambda one: -one.step.pk):
        hop = one.hop
        group = found.get(hop.dataset)
        if group is None:
            contract = hop.contract
            group = found[hop.dataset] = TrailDataset(
                hop.dataset, contract.layer, contract.title, hop.depth, contract, [], set(), sorted(hop.read_by)
            )
        group.steps.append(one)
        group.depth = max(group.depth, hop.depth)
        group.read_by = sorted({*group.read_by, *hop.read_by})
        whole = group.partitions is None or hop.partitions is None
        group.partitions = None if whole else {*(group.partitions or ()), *(hop.partitions or ())}
    return sorted(found.values(), key=lambda one: (one.depth > 0, LAYERS.get(one.layer, 2), one.depth, one.dataset))


def _confirmed(value: KpiValue) -> Confirmed:
    """Refreshes of the day after the figure's own and before the next figure's."""
    following = KpiValue.objects.filter(kpi=value.kpi, business_date=value.business_date, pk__gt=value.pk).order_by("id")
    limit = following.values_list("step_id", flat=True).first()
    later = PartitionWrite.objects.filter(
        dataset=value.step.dataset, partition=value.business_date.isoformat(), step_id__gt=value.step_id
    )
    if limit is not None:
        later = later.filter(step_id__lt=limit)
    newest = list(later.order_by("-table_version").values_list("step_id", flat=True)[:CONFIRMED_LIMIT])
    last = Step.objects.select_related("run").get(pk=newest[0]) if newest else None
    return Confirmed(len(newest), last)


# --- code -------------------------------------------------------------------------------------------------------------


def _code(hop: Hop, texts: Mapping[str, str]) -> Code:
    sha256 = hop.step.sql_sha256
    path, now = _today(hop.contract)
    text = texts.get(sha256, "")
    same = hashlib.sha256(now.encode()).hexdigest() == sha256 if sha256 else None
    return Code(sha256, path, text or (now if same else ""), same)


def _today(contract: Contract) -> tuple[str, str]:
    """Path in the repository and text of what a step of the contract would run today."""
    if contract.layer == "silver":
        return "pipeline/sql/silver/standard.sql", silver_sql(contract, business_zone=settings.BUSINESS_TIME_ZONE).text
    path = f"pipeline/sql/gold/{contract.transform}"
    try:
        stamp = (ROOT / path).stat().st_mtime_ns
    except OSError:
        return path, ""
    return path, _file_text(path, stamp)


@lru_cache(maxsize=256)
def _file_text(path: str, _stamp: int) -> str:
    return (ROOT / path).read_text()


def sql_text(sha256: str) -> str | None:
    """SQL that a step ran; None when none is known to have."""
    return SqlText.objects.filter(pk=sha256).values_list("text", flat=True).first()


def sql_datasets(sha256: str) -> list[str]:
    """Datasets that this SQL makes today."""
    today = ((one.dataset, _today(one)[1]) for one in contracts_current().values())
    return [dataset for dataset, text in today if hashlib.sha256(text.encode()).hexdigest() == sha256]


__all__ = [
    "Code",
    "Confirmed",
    "Contract",
    "KpiValue",
    "Step",
    "Trail",
    "TrailDataset",
    "TrailStep",
    "kpi_contract",
    "kpi_contracts",
    "kpi_day_latest",
    "kpi_days_beside",
    "kpi_value",
    "kpi_values",
    "span_words",
    "sql_datasets",
    "sql_text",
    "trail",
    "trail_of",
]
