"""400 days of what the pipeline remembers, as rows: runs, steps, partitions they replaced, files, verdicts, figures.

Written straight to PostgreSQL, in the shapes that the pipeline writes: its own steps would take a day. Every run refreshes
every dataset, so a figure's window stands on as many runs as it has days. The lake stays empty: a trail reads PostgreSQL alone.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

RULES_PER_STEP = 8
BUCKETS = "0123456789abcdef"


@dataclass(frozen=True)
class Size:
    """``files``: raw files of each source a day."""

    days: int
    runs_per_day: int
    files_per_day: int


class History:
    """The rows, table by table; numbers count from 1 in an empty database."""

    def __init__(self, size: Size, *, end: datetime) -> None:
        from catalog.selectors import contracts_current
        from pipeline.domain.dag import Dag

        self.size = size
        self.end = end
        self.first_day = end.date() - timedelta(days=size.days - 1)
        self.contracts = contracts_current()
        self.order = list(Dag(self.contracts).order())
        self.texts = {dataset: _sql_of(contract) for dataset, contract in self.contracts.items()}
        self.runs = size.days * size.runs_per_day

    def day_of(self, run: int) -> date:
        return self.first_day + timedelta(days=run // self.size.runs_per_day)

    def moment_of(self, run: int) -> datetime:
        return self.end - timedelta(seconds=(self.runs - 1 - run) * 86_400 / self.size.runs_per_day)

    def step_of(self, run: int, place: int) -> int:
        return run * len(self.order) + place + 1

    def partitions(self, dataset: str, run: int) -> list[str]:
        part = self.contracts[dataset].partition
        if part is None:
            return []
        if part.kind == "hash":
            return list(BUCKETS)
        day = self.day_of(run)
        return [(day.replace(day=1) if part.kind == "month" else day).isoformat()]

    def run_rows(self) -> Iterator[tuple[Any, ...]]:
        for run in range(self.runs):
            at = self.moment_of(run)
            yield run + 1, uuid.uuid4(), "succeeded", "12 new drops", "production", uuid.uuid4().hex, at, at, at, 12, "0" * 16

    def step_rows(self) -> Iterator[tuple[Any, ...]]:
        build = Jsonb({"code": "0" * 16, "commit": "0" * 40, "version": "0.1.0", "engine": "duckdb 1.4"})
        shas = {dataset: hashlib.sha256(text.encode()).hexdigest() for dataset, text in self.texts.items()}
        for run in range(self.runs):
            at = self.moment_of(run)
            for place, dataset in enumerate(self.order):
                contract = self.contracts[dataset]
                read = Jsonb({one.dataset: run for one in contract.inputs})
                yield (
                    *(self.step_of(run, place), uuid.UUID(int=self.step_of(run, place)), run + 1, dataset, contract.layer),
                    *("succeeded", 1, at, at, at, 500, 490, 10, 0, Jsonb(self.partitions(dataset, run)), run),
                    *(contract.version, shas[dataset], Jsonb({}), "", read, build),
                )

    def write_rows(self) -> Iterator[tuple[Any, ...]]:
        for run in range(self.runs):
            for place, dataset in enumerate(self.order):
                for partition in self.partitions(dataset, run) or [""]:
                    yield dataset, partition, run, self.step_of(run, place)

    def verdict_rows(self) -> Iterator[tuple[Any, ...]]:
        for run in range(self.runs):
            at = self.moment_of(run)
            for place, dataset in enumerate(self.order):
                if self.contracts[dataset].layer == "gold":
                    key = str(uuid.UUID(int=self.step_of(run, place)))
                    for rule in range(RULES_PER_STEP):
                        yield (
                            f"gold.{dataset}",
                            f"null_ratio:column_{rule}",
                            "",
                            "passing",
                            0.0,
                            0.005,
                            "ratio",
                            True,
                            key,
                            at,
                            "gate",
                        )

    def figure_rows(self) -> Iterator[tuple[Any, ...]]:
        for run in range(self.runs):
            at = self.moment_of(run)
            for place, dataset in enumerate(self.order):
                kpi = self.contracts[dataset].kpi
                if kpi is not None:
                    yield kpi.key, self.day_of(run), 1000 + run, 1000 + run, 1, at, at, self.step_of(run, place)

    def files(self) -> Iterator[tuple[int, str, int]]:
        """(number, dataset, run that took it in) of every raw file."""
        silver = [name for name in self.order if self.contracts[name].layer == "silver"]
        number = 0
        for day in range(self.size.days):
            for turn in range(self.size.files_per_day):
                run = day * self.size.runs_per_day + turn * self.size.runs_per_day // self.size.files_per_day
                for dataset in silver:
                    number += 1
                    yield number, dataset, run

    def file_rows(self) -> Iterator[tuple[Any, ...]]:
        for number, dataset, run in self.files():
            digest = hashlib.sha256(str(number).encode()).hexdigest()
            name = f"{dataset}-{digest[:32]}"
            yield (
                *(
                    number,
                    name,
                    dataset,
                    f"s3://lake/bronze/{name}.csv",
                    f"s3://lake/decoded/{name}.parquet",
                    digest,
                    48_213,
                    240,
                ),
                *(
                    Jsonb(["id"]),
                    Jsonb([]),
                    digest,
                    "1.0.0",
                    "folder",
                    f"{dataset}_{number}.csv",
                    self.moment_of(run),
                    "c" * 32,
                ),
            )

    def drop_rows(self) -> Iterator[tuple[Any, ...]]:
        for number, dataset, run in self.files():
            at, name = self.moment_of(run), f"{dataset}_{number}.csv"
            yield (
                uuid.uuid4(),
                dataset,
                name,
                "folder",
                "",
                at,
                "",
                48_213,
                "accepted",
                Jsonb([]),
                "",
                "",
                number,
                "c" * 32,
                str(number),
            )

    def source_rows(self) -> Iterator[tuple[Any, ...]]:
        places = {dataset: place for place, dataset in enumerate(self.order)}
        for number, dataset, run in self.files():
            for partition in self.partitions(dataset, run) or [""]:
                yield dataset, partition, number, self.step_of(run, places[dataset]), 30, True


COPIES = {
    "run_rows": (
        "pipeline_run",
        "id uuid state trigger environment correlation_id as_of started_at finished_at drops code_version",
    ),
    "step_rows": (
        "pipeline_step",
        "id uuid run_id dataset layer state attempts ready_at started_at finished_at rows_in rows_out rows_rejected"
        " rows_quarantined partitions table_version contract_version sql_sha256 timings error inputs build",
    ),
    "write_rows": ("pipeline_partitionwrite", "dataset partition table_version step_id"),
    "verdict_rows": (
        "quality_qualityresult",
        "dataset rule column status observed limit unit critical run_key evaluated_at source",
    ),
    "figure_rows": ("pipeline_kpivalue", "kpi business_date value numerator denominator as_of computed_at step_id"),
    "file_rows": (
        "pipeline_bronzefile",
        "id logical_id dataset uri decoded_uri sha256 size_bytes rows columns unknown_columns schema_hash contract_version"
        " source filename received_at correlation_id",
    ),
    "drop_rows": (
        "pipeline_drop",
        "uuid dataset filename source received_by received_at sha256 size_bytes state faults spool_path kept_uri"
        " bronze_file_id correlation_id identity",
    ),
    "source_rows": ("pipeline_partitionsource", "dataset partition bronze_file_id step_id rows whole"),
}


def write(history: History) -> dict[str, int]:
    """Copy everything in, and analyse; rows by table."""
    from django.db import connection

    from pipeline.models import SqlText

    texts = {hashlib.sha256(text.encode()).hexdigest(): text for text in history.texts.values()}
    SqlText.objects.bulk_create(SqlText(sha256=digest, text=text) for digest, text in texts.items())
    counts: dict[str, int] = {}
    with connection.cursor() as cursor:
        for name, (table, columns) in COPIES.items():
            rows = 0
            names = ", ".join(f'"{column}"' for column in columns.split())
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for row in getattr(history, name)():
                    copy.write_row(row)
                    rows += 1
            counts[table] = rows
        cursor.execute("ANALYZE")
    return counts


def _sql_of(contract: Any) -> str:
    from django.conf import settings

    from pipeline.domain.silver_sql import silver_sql
    from pipeline.services.gold import gold_sql

    return (
        silver_sql(contract, business_zone=settings.BUSINESS_TIME_ZONE).text
        if contract.layer == "silver"
        else gold_sql(contract)
    )
