"""From a published figure down to the raw files: what a run read, by contract, partition and file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.db import connection

from catalog.domain.contract import Contract
from catalog.selectors import contracts_current
from pipeline.domain import scope
from pipeline.domain.code import ROOT
from pipeline.models import KpiValue, Step

FILES_PER_DATASET = 25
HISTORY_SHOWN = 20
SQL_FOLDERS = {"gold": ROOT / "pipeline" / "sql" / "gold", "silver": ROOT / "pipeline" / "sql" / "silver"}

# Files that brought rows into the partitions a figure stands on, newest first, with totals over all of them. Only what had
# been taken in when the figure was made counts: an unknown step (NULL) was before this table kept steps.
_FILES_SQL = """
WITH wanted AS (SELECT * FROM unnest(%s::text[], %s::text[]) AS w(dataset, partition)),
brought AS (
  SELECT p.dataset, p.bronze_file_id, sum(p.rows) AS rows, count(*) AS partitions
  FROM pipeline_partitionsource p
  WHERE (p.step_id IS NULL OR p.step_id <= %s) AND (
    EXISTS (SELECT 1 FROM wanted w WHERE w.dataset = p.dataset AND w.partition = p.partition) OR p.dataset = ANY(%s))
  GROUP BY p.dataset, p.bronze_file_id
),
ranked AS (
  SELECT b.*, f.logical_id, f.filename, f.uri, f.sha256, f.rows AS file_rows, f.size_bytes, f.received_at, f.contract_version,
         (SELECT d.uuid FROM pipeline_drop d WHERE d.bronze_file_id = f.id ORDER BY d.id LIMIT 1) AS drop_uuid,
         count(*) OVER w AS files_total, sum(b.rows) OVER w AS rows_total,
         row_number() OVER (PARTITION BY b.dataset ORDER BY f.received_at DESC, f.id DESC) AS place
  FROM brought b JOIN pipeline_bronzefile f ON f.id = b.bronze_file_id
  WINDOW w AS (PARTITION BY b.dataset)
)
SELECT dataset, logical_id, filename, uri, sha256, rows, file_rows, size_bytes, received_at, contract_version, drop_uuid,
       files_total, rows_total
FROM ranked WHERE place <= %s ORDER BY dataset, place
"""


@dataclass(frozen=True)
class TrailFile:
    """One raw file behind a figure. ``rows`` of its ``file_rows`` lie in the partitions that were read."""

    dataset: str
    logical_id: str
    filename: str
    uri: str
    sha256: str
    rows: int
    file_rows: int
    size_bytes: int
    received_at: datetime
    contract_version: str
    drop_uuid: Any


@dataclass
class TrailDataset:
    """One dataset on the way. ``partitions`` None: the whole table was read. ``depth`` 0 is the KPI itself."""

    dataset: str
    layer: str
    title: str
    contract_version: str
    depth: int
    partitions: set[str] | None
    read_by: list[str]
    partition_column: str = ""
    step: Step | None = None
    files: list[TrailFile] = field(default_factory=list)
    files_total: int = 0
    rows_total: int = 0

    @property
    def span(self) -> str:
        """The partitions in words."""
        if self.partitions is None:
            return "the whole table"
        ordered = sorted(self.partitions)
        if not ordered:
            return "nothing"
        if len(ordered) == 1:
            return f"{self.partition_column or 'partition'} {ordered[0]}"
        return f"{len(ordered)} partitions, {self.partition_column} {ordered[0]} to {ordered[-1]}"


@dataclass(frozen=True)
class Trail:
    """Everything behind one published figure."""

    contract: Contract
    value: KpiValue
    history: Sequence[KpiValue]
    datasets: Sequence[TrailDataset]
    sql: str
    sql_path: str
    sql_same: bool | None  # whether the file still has the hash of what ran; None when the step kept none

    @property
    def gold(self) -> list[TrailDataset]:
        return [one for one in self.datasets if one.layer == "gold" and one.depth > 0]

    @property
    def silver(self) -> list[TrailDataset]:
        return [one for one in self.datasets if one.layer == "silver"]

    @property
    def brought(self) -> list[TrailDataset]:
        """Silver datasets with raw files behind them, most rows first."""
        return sorted((one for one in self.silver if one.files_total), key=lambda one: -one.rows_total)

    @property
    def unused(self) -> list[TrailDataset]:
        """Silver datasets of which no accepted row of a file was read."""
        return [one for one in self.silver if not one.files_total]

    @property
    def files_total(self) -> int:
        return sum(one.files_total for one in self.silver)


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


def trail(*, key: str, day: date, at: datetime | None = None, value_pk: int | None = None) -> Trail | None:
    """The trail of the figure of a day: the newest one, the one known at a moment, or a given one. None when there is none.

    Queries: the contracts, the figure's history, the figure, the steps, the files.
    """
    contracts = contracts_current()
    contract = next((one for one in contracts.values() if one.kpi and one.kpi.key == key), None)
    values = KpiValue.objects.filter(kpi=key, business_date=day).select_related("step__run").order_by("-id")
    history = list(values[:HISTORY_SHOWN])
    chosen = values
    if value_pk is not None:
        chosen = values.filter(pk=value_pk)
    elif at is not None:
        chosen = values.filter(computed_at__lte=at)
    value = history[0] if chosen is values and history else chosen.first()
    if contract is None or value is None:
        return None
    datasets = _walk(contract, contracts, {day.isoformat()})
    _add_steps(datasets, value.step)
    _add_files(datasets, value.step_id)
    sql, path = _sql(contract)
    return Trail(
        contract=contract,
        value=value,
        history=history,
        datasets=sorted(datasets.values(), key=lambda one: (one.layer != "gold", one.depth, one.dataset)),
        sql=sql,
        sql_path=path,
        sql_same=_same(sql, value.step.sql_sha256),
    )


def _walk(start: Contract, contracts: Mapping[str, Contract], outputs: set[str]) -> dict[str, TrailDataset]:
    """Datasets that the partitions ``outputs`` of ``start`` are computed from, with the partitions that are read of each."""
    found = {start.dataset: _node(start, 0, set(outputs), "")}
    queue: list[tuple[Contract, set[str] | None, int]] = [(start, set(outputs), 0)]
    while queue:
        contract, wanted, depth = queue.pop(0)
        for given in contract.inputs:
            upstream = contracts.get(given.dataset)
            if upstream is None:
                continue
            values = None if wanted is None or upstream.partition is None else scope.read_values(given, sorted(wanted))
            read = None if values is None else set(values)
            known = found.get(upstream.dataset)
            if known is None:
                found[upstream.dataset] = _node(upstream, depth + 1, read, contract.dataset)
            elif not _widen(known, read, depth + 1, contract.dataset):
                continue
            queue.append((upstream, read, depth + 1))
    return found


def _node(contract: Contract, depth: int, partitions: set[str] | None, reader: str) -> TrailDataset:
    return TrailDataset(
        dataset=contract.dataset,
        layer=contract.layer,
        title=contract.title,
        contract_version=contract.version,
        depth=depth,
        partitions=partitions,
        read_by=[reader] if reader else [],
        partition_column=contract.partition.column if contract.partition else "",
    )


def _widen(known: TrailDataset, read: set[str] | None, depth: int, reader: str) -> bool:
    """Add a second reader's partitions. True when there was anything new to follow."""
    if reader not in known.read_by:
        known.read_by.append(reader)
    known.depth = max(known.depth, depth)
    if known.partitions is None:
        return False
    if read is None:
        known.partitions = None
        return True
    new = not read <= known.partitions
    known.partitions |= read
    return new


def _add_steps(datasets: Mapping[str, TrailDataset], last: Step) -> None:
    """The newest refresh of each dataset that the figure's step could have read."""
    steps = (
        Step.objects.filter(dataset__in=list(datasets), state="succeeded", table_version__isnull=False, pk__lte=last.pk)
        .select_related("run")
        .order_by("dataset", "-id")
        .distinct("dataset")
    )
    for step in steps:
        datasets[step.dataset].step = step
        datasets[step.dataset].contract_version = step.contract_version or datasets[step.dataset].contract_version


def _add_files(datasets: Mapping[str, TrailDataset], last_step_pk: int) -> None:
    silver = [one for one in datasets.values() if one.layer == "silver"]
    pairs = [(one.dataset, value) for one in silver if one.partitions is not None for value in sorted(one.partitions)]
    whole = [one.dataset for one in silver if one.partitions is None]
    with connection.cursor() as cursor:
        cursor.execute(
            _FILES_SQL, [[pair[0] for pair in pairs], [pair[1] for pair in pairs], last_step_pk, whole, FILES_PER_DATASET]
        )
        for *columns, files_total, rows_total in cursor.fetchall():
            file = TrailFile(*columns)
            node = datasets[file.dataset]
            node.files.append(file)
            node.files_total, node.rows_total = files_total, int(rows_total)


def _sql(contract: Contract) -> tuple[str, str]:
    """Text and path (in the repository) of the transform; empty when the contract names none."""
    if not contract.transform:
        return "", ""
    path = SQL_FOLDERS[contract.layer] / contract.transform
    try:
        return path.read_text(), path.relative_to(ROOT).as_posix()
    except OSError:
        return "", path.relative_to(ROOT).as_posix()


def _same(sql: str, ran_sha256: str) -> bool | None:
    return hashlib.sha256(sql.encode()).hexdigest() == ran_sha256 if ran_sha256 else None
