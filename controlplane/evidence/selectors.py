"""Reads of evidence: the whole trail of a figure as plain JSON."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from controlplane.evidence.domain.spelling import moment_text, number_text
from controlplane.lake import services as lake
from pipeline import selectors_trail
from pipeline.selectors_files import TrailFile
from pipeline.selectors_trail import Contract, KpiValue, Step, Trail, TrailDataset, TrailStep
from quality.selectors import QualityResult

FORMAT = "touchstone/provenance/1"
FILES_LISTED = 1000  # files per dataset; the totals count all of them


def provenance(
    key: str,
    day: date,
    *,
    at: datetime | None = None,
    value_pk: int | None = None,
    files_limit: int | None = FILES_LISTED,
) -> dict[str, Any] | None:
    """The trail of a KPI's figure down to the raw files, JSON-able and without personal data; None when there is none.

    ``at``: as it was known at a moment; ``value_pk``: a given figure; else the newest. Decimals are text, times ISO 8601 UTC,
    lists in a fixed order, so that the same figure always gives the same text (but for ``figure.confirmed``, which grows
    while later refreshes find the same figure, and ``code.same_today``). ``files_limit``: files listed per dataset, None: all.
    """
    found = selectors_trail.trail(key=key, day=day, at=at, value_pk=value_pk, files_limit=files_limit)
    return None if found is None else trail_json(found)


def trail_json(found: Trail) -> dict[str, Any]:
    """``provenance`` of a trail at hand."""
    texts = {step.code.sha256: step.code.text for one in found.datasets for step in one.steps if step.code.text}
    return {
        "format": FORMAT,
        "figure": _figure(found),
        "exact": found.exact,
        "datasets": [_dataset(one) for one in found.datasets],
        "sql": dict(sorted(texts.items())),
    }


def figure_json(contract: Contract, value: KpiValue) -> dict[str, Any]:
    """A published figure, its step and its run."""
    kpi = contract.kpi
    return {
        "kpi": value.kpi,
        "title": kpi.title if kpi else value.kpi,
        "unit": kpi.unit if kpi else "",
        "business_date": value.business_date.isoformat(),
        "id": value.pk,
        "value": number_text(value.value),
        "numerator": number_text(value.numerator),
        "denominator": number_text(value.denominator),
        "as_of": moment_text(value.as_of),
        "computed_at": moment_text(value.computed_at),
        "dataset": contract.dataset,
        "step": str(value.step.uuid),
        "run": str(value.step.run.uuid),
    }


def _figure(found: Trail) -> dict[str, Any]:
    return figure_json(found.contract, found.value) | {
        "environment": found.value.step.run.environment,
        "previous_id": found.previous.pk if found.previous else None,
        "confirmed": {
            "count": found.confirmed.count,
            "last_at": moment_text(found.confirmed.last.finished_at) if found.confirmed.last else None,
        },
    }


def _dataset(one: TrailDataset) -> dict[str, Any]:
    return {
        "dataset": one.dataset,
        "layer": one.layer,
        "depth": one.depth,
        "read_by": one.read_by,
        "partition_column": one.contract.partition.column if one.contract.partition else None,
        "partitions": None if one.partitions is None else sorted(one.partitions),
        "versions_read": one.versions,
        "exact": one.exact,
        "table_uri": lake.table_uri(f"{one.layer}/{one.dataset}"),
        "steps": [_step(step) for step in one.steps],
        "files": {
            "total": one.files.total,
            "rows_total": one.files.rows_total,
            "complete": one.files.complete,
            "listed": [_file(file) for file in one.files.listed],
        },
        "held_rows": [{"kind": held.kind, "rule": held.rule, "rows": held.rows} for held in one.files.held],
    }


def _step(one: TrailStep) -> dict[str, Any]:
    step = one.step
    return {
        "step": str(step.uuid),
        "run": str(step.run.uuid),
        "environment": step.run.environment,
        "state": step.state,
        "started_at": moment_text(step.started_at),
        "finished_at": moment_text(step.finished_at),
        "contract": {"version": one.contract_version, "sha256": one.contract_sha256},
        "code": code_json(one),
        "inputs": {name: step.inputs[name] for name in sorted(step.inputs)},
        "table_version": step.table_version,
        "partitions": None if one.hop.partitions is None else sorted(one.hop.partitions),
        "versions_read": one.versions,
        "exact": one.hop.exact,
        "rows": {
            "in": step.rows_in,
            "out": step.rows_out,
            "rejected": step.rows_rejected,
            "quarantined": step.rows_quarantined,
        },
        "quality": [_verdict(verdict) for verdict in one.verdicts],
    }


def code_json(one: TrailStep) -> dict[str, Any]:
    """{sql_sha256, path, same_today, code_version, commit, version, engine}: what a step ran."""
    build = build_of(one.step)
    return {
        "sql_sha256": one.code.sha256,
        "path": one.code.path,
        "same_today": one.code.same,
        "code_version": build["code"],
        "commit": build["commit"],
        "version": build["version"],
        "engine": build["engine"],
    }


def build_of(step: Step) -> dict[str, str]:
    """The program that carried a step out; empty where a step from before this was kept says nothing."""
    kept = {name: str(step.build.get(name, "")) for name in ("code", "commit", "version", "engine")}
    return kept | {"code": kept["code"] or step.run.code_version}


def _file(file: TrailFile) -> dict[str, Any]:
    return {
        "logical_id": file.logical_id,
        "uri": file.uri,
        "sha256": file.sha256,
        "size_bytes": file.size_bytes,
        "rows": file.file_rows,
        "rows_used": int(file.rows),
        "received_at": moment_text(file.received_at),
        "source": file.source,
        "drop": str(file.drop_uuid) if file.drop_uuid else None,
        "contract_version": file.contract_version,
        "schema_hash": file.schema_hash,
    }


def _verdict(one: QualityResult) -> dict[str, Any]:
    return {
        "rule": one.rule,
        "column": one.column,
        "status": str(one.status),
        "observed": one.observed,
        "limit": one.limit,
        "unit": one.unit,
        "critical": one.critical,
        "evaluated_at": moment_text(one.evaluated_at),
    }


__all__ = ["FILES_LISTED", "FORMAT", "build_of", "code_json", "figure_json", "provenance", "trail_json"]
