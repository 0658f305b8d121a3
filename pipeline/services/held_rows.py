"""Rows that Silver held back, in PostgreSQL: by COPY, because a batch may hold back thousands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa
from django.db import connection
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from catalog.domain.contract import BRONZE_FILE, BRONZE_ROW
from pipeline.domain.decode import UNKNOWN
from pipeline.models import BronzeFile, HeldState, QuarantinedRow, SilverReject, Step

Row = tuple[int, int, str, str]  # Bronze file pk, ordinal, record as JSON, rules (joined by commas) or column

# What the two tables differ in: (column, how it is made of the row's last text, columns that make a row unique).
_DETAIL = {
    SilverReject: ("rules", "string_to_array(h.detail, ',')", "bronze_file_id, row"),
    QuarantinedRow: ('"column"', "h.detail", 'bronze_file_id, row, "column"'),
}


def held_rows_save(
    step: Step,
    *,
    files: Mapping[int, BronzeFile],
    selection: Mapping[int, list[int] | None],
    rejected: pa.Table | None,
    quarantined: pa.Table | None,
) -> None:
    """Record what was held back; what was held before in the same records and is not any more becomes resolved.

    ``selection``: Bronze file pk → ordinals of the records that were judged, None for all. ``rejected`` and ``quarantined``:
    rows of the Silver statements of these names, None for none.
    """
    pks = {file.logical_id: pk for pk, file in files.items()}
    now = timezone.now()
    held: tuple[tuple[type[SilverReject | QuarantinedRow], list[Row]], ...] = (
        (SilverReject, list(_rejects(rejected, pks)) if rejected else []),
        (QuarantinedRow, list(_unknowns(quarantined, pks)) if quarantined else []),
    )
    for model, rows in held:
        in_scope = _in_scope(model, selection)
        before = list(in_scope.values_list("pk", flat=True)) if rows else []
        in_scope.exclude(state=HeldState.RESOLVED).update(
            state=HeldState.RESOLVED, resolved_at=now, last_tried_at=now, step=step
        )
        if rows:
            _upsert(model, rows, step=step, now=now)
        if before:
            model.objects.filter(pk__in=before, state=HeldState.OPEN).update(tries=F("tries") + 1)


def _rejects(rejected: pa.Table, pks: Mapping[str, int]) -> Iterator[Row]:
    for row in rejected.to_pylist():
        file, ordinal, rules = pks[row.pop(BRONZE_FILE)], row.pop(BRONZE_ROW), row.pop("broken_rules")
        yield file, ordinal, json.dumps(row), rules.rstrip(",")


def _unknowns(quarantined: pa.Table, pks: Mapping[str, int]) -> Iterator[Row]:
    for row in quarantined.to_pylist():
        file, ordinal, unknown = pks[row.pop(BRONZE_FILE)], row.pop(BRONZE_ROW), json.loads(row.pop(UNKNOWN))
        record = json.dumps(row | unknown)
        for column in unknown:
            yield file, ordinal, record, column


def _upsert(model: type[SilverReject | QuarantinedRow], rows: Iterable[Row], *, step: Step, now: datetime) -> None:
    column, detail, unique = _DETAIL[model]
    also = f", {column} = EXCLUDED.{column}" if column not in unique else ""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.held_rows")
        cursor.execute("CREATE TEMPORARY TABLE held_rows (file bigint, row bigint, record jsonb, detail text) ON COMMIT DROP")
        with cursor.copy("COPY held_rows FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        cursor.execute(
            f"INSERT INTO {model._meta.db_table} (dataset, bronze_file_id, row, record, state, step_id,"
            f" first_seen_at, last_tried_at, tries, {column})"
            f" SELECT %(dataset)s, h.file, h.row, h.record, %(state)s, %(step)s, %(now)s, %(now)s, 1, {detail}"
            " FROM held_rows AS h"
            f" ON CONFLICT ({unique}) DO UPDATE SET state = EXCLUDED.state, record = EXCLUDED.record,"
            f" step_id = EXCLUDED.step_id, last_tried_at = EXCLUDED.last_tried_at, resolved_at = NULL{also}",
            {"dataset": step.dataset, "state": HeldState.OPEN.value, "step": step.pk, "now": now},
        )
        cursor.execute("DROP TABLE held_rows")


def _in_scope(model: Any, selection: Mapping[int, list[int] | None]) -> QuerySet[Any]:
    wanted = Q(bronze_file__in=[pk for pk, rows in selection.items() if rows is None])
    for pk, rows in selection.items():
        if rows is not None:
            wanted |= Q(bronze_file=pk, row__in=rows)
    found: QuerySet[Any] = model.objects.filter(wanted)
    return found
