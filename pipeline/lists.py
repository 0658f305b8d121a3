"""The pipeline's lists, declared: columns, filters, order. Pages, CSV and "all filtered" actions read the same declaration."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.urls import reverse

from controlplane.ui import components, formats
from controlplane.ui.listing import Column, Filter, Listing
from pipeline import cells, selectors, selectors_drops, selectors_held, selectors_runs
from pipeline.models import DropState, HeldState, RunState
from pipeline.selectors_runs import RunTotals

Rows = QuerySet[Any]


def _datasets() -> list[tuple[str, str]]:
    return [(name, name) for name in selectors.dataset_names()]


def _layer_silver() -> list[tuple[str, str]]:
    return [(name, name) for name in selectors.dataset_names(layer="silver")]


RUNS = Listing(
    columns=(
        Column("state", "State", lambda row: components.state(row.run.state), lambda row: row.run.state),
        Column("run", "Run", lambda row: cells.run_link(row.run), lambda row: row.run.uuid),
        Column(
            "started_at",
            "Started",
            lambda row: components.time(row.run.started_at),
            lambda row: row.run.started_at,
            sort="started_at",
        ),
        Column("duration", "Took", lambda row: formats.duration(row.duration_s), lambda row: row.duration_s, right=True),
        Column("steps", "Steps", lambda row: f"{row.step_done} of {row.step_count}", lambda row: row.step_count, right=True),
        Column("rows_in", "Rows in", lambda row: cells.count(row.rows_in), right=True),
        Column("rows_rejected", "Rejected", lambda row: cells.count(row.rows_rejected), right=True),
        Column("rows_quarantined", "Quarantined", lambda row: cells.count(row.rows_quarantined), right=True),
    ),
    filters=(
        Filter("state", "State", lambda rows, value: rows.filter(state=value), lambda: RunState.choices),
        Filter(
            "dataset", "Dataset", lambda rows, value: rows.filter(pk__in=selectors_runs.run_ids_of_dataset(value)), _datasets
        ),
    ),
    order="-started_at",
    prepare=selectors_runs.run_totals,
)

DROPS = Listing(
    columns=(
        Column("state", "State", cells.state, sort="state"),
        Column("filename", "File", cells.drop_link, sort="filename"),
        Column("dataset", "Dataset", sort="dataset"),
        Column("received_at", "Received", lambda row: components.time(row.received_at), sort="received_at"),
        Column("source", "From", lambda row: f"{row.source}{f' · {row.received_by}' if row.received_by else ''}"),
        Column("rows", "Rows", lambda row: formats.number(row.rows), right=True, sort="rows"),
        Column("size_bytes", "Size", lambda row: formats.bytes_size(row.size_bytes), right=True, sort="size_bytes"),
        Column("faults", "First fault", cells.faults, cells.faults, wrap=True),
    ),
    filters=(
        Filter("state", "State", lambda rows, value: rows.filter(state=value), lambda: DropState.choices),
        Filter("dataset", "Dataset", lambda rows, value: rows.filter(dataset=value), _layer_silver),
        Filter("file", "File name or SHA-256", selectors_drops.drops_matching, hint="orders_2026-11"),
    ),
    order="-received_at",
)

_HELD_FILTERS = (
    Filter("state", "State", lambda rows, value: rows.filter(state=value), lambda: HeldState.choices, default=HeldState.OPEN),
    Filter("dataset", "Dataset", lambda rows, value: rows.filter(dataset=value), _layer_silver),
)

REJECTS = Listing(
    columns=(
        Column("state", "State", cells.state),
        Column("dataset", "Dataset", sort="dataset"),
        Column("rules", "Rules it breaks", cells.rules, wrap=True),
        Column("origin", "File and record", cells.origin, lambda row: f"{row.bronze_file.logical_id}#{row.row}"),
        Column("first_seen_at", "First seen", lambda row: components.time(row.first_seen_at), sort="first_seen_at"),
        Column("tries", "Tries", lambda row: cells.count(row.tries), right=True, sort="tries"),
        Column(
            "open", "Row", lambda row: cells.link(reverse("reject", args=[row.pk]), f"Open row {row.pk}"), lambda row: row.pk
        ),
    ),
    filters=(
        *_HELD_FILTERS,
        Filter("rule", "Rule", lambda rows, value: rows.filter(rules__contains=[value]), hint="required:total_amount"),
        Filter("file", "File", selectors_held.held_of_file, hint="file name or logical id"),
    ),
)

QUARANTINE = Listing(
    columns=(
        Column("state", "State", cells.state),
        Column("dataset", "Dataset", sort="dataset"),
        Column("column", "Unknown column", sort="column"),
        Column("origin", "File and record", cells.origin, lambda row: f"{row.bronze_file.logical_id}#{row.row}"),
        Column("first_seen_at", "First seen", lambda row: components.time(row.first_seen_at), sort="first_seen_at"),
        Column("tries", "Tries", lambda row: cells.count(row.tries), right=True, sort="tries"),
        Column(
            "open",
            "Row",
            lambda row: cells.link(reverse("quarantined", args=[row.pk]), f"Open row {row.pk}"),
            lambda row: row.pk,
        ),
    ),
    filters=(
        *_HELD_FILTERS,
        Filter("column", "Column", lambda rows, value: rows.filter(column=value), hint="discount_code"),
        Filter("file", "File", selectors_held.held_of_file, hint="file name or logical id"),
    ),
)

__all__ = ["DROPS", "QUARANTINE", "REJECTS", "RUNS", "RunTotals"]
