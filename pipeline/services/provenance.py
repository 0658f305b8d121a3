"""What a step remembers of itself, so that any figure can be followed down later: versions read, code, files by partition."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import transaction

from pipeline.domain.code import code_version, commit
from pipeline.models import (
    BronzeFile,
    HeldState,
    PartitionSource,
    PartitionWrite,
    SilverReject,
    SqlText,
    Step,
    StepRows,
)

WHOLE_TABLE = ""

_known_texts: set[str] = set()  # SQL that this process knows to be kept


def step_remember(step: Step, *, inputs: Mapping[str, int | None], sql: str) -> None:
    """Note what the step read, with which code, and which partitions it replaced. The caller saves the step afterwards.

    ``step.partitions`` and ``step.table_version`` are set already; a step that wrote nothing replaced nothing.
    """
    step.inputs = dict(sorted(inputs.items()))
    step.build = build()
    _text_keep(sql)
    if step.table_version is not None:
        PartitionWrite.objects.bulk_create(
            PartitionWrite(dataset=step.dataset, partition=one, table_version=step.table_version, step=step)
            for one in step.partitions or [WHOLE_TABLE]
        )


def build() -> dict[str, str]:
    """The program that runs here: {code, commit, version, engine}."""
    from pipeline.services.events import engine_text

    return {
        "code": code_version(),
        "commit": commit(),
        "version": str(settings.SPECTACULAR_SETTINGS["VERSION"]),
        "engine": engine_text(),
    }


def _text_keep(sql: str) -> None:
    digest = hashlib.sha256(sql.encode()).hexdigest()
    if not sql or digest in _known_texts:
        return
    SqlText.objects.bulk_create([SqlText(sha256=digest, text=sql)], ignore_conflicts=True)
    transaction.on_commit(lambda: _known_texts.add(digest))


def sources_save(
    step: Step,
    *,
    files: Mapping[int, BronzeFile],
    selection: Mapping[int, list[int] | None],
    counts: Sequence[Mapping[str, Any]],
    again: Sequence[Mapping[str, Any]],
) -> None:
    """Note which records were judged, and which files brought how many rows into which partitions.

    Called before the step's held rows are saved.

    ``counts``: accepted rows by ``_bronze_file`` and ``place``. ``again``: the accepted records one by one, of use for files of
    which only some records were judged again; only those that were held back until now come on top. A file that is judged
    anew as a whole and brings nothing into a partition any more gets a row with 0 there.
    """
    StepRows.objects.bulk_create(
        StepRows(step=step, bronze_file_id=pk, rows=rows) for pk, rows in selection.items() if rows is not None
    )
    by_logical_id = {file.logical_id: file for file in files.values()}
    whole = {pk for pk, rows in selection.items() if rows is None}
    brought = {
        (by_logical_id[row["_bronze_file"]].pk, row["place"]): row["row_count"]
        for row in counts
        if by_logical_id[row["_bronze_file"]].pk in whole
    }
    before = PartitionSource.objects.filter(dataset=step.dataset, bronze_file__in=whole).exclude(step=step)
    for pk, place in before.values_list("bronze_file", "partition").distinct():
        brought.setdefault((pk, place), 0)
    partial = set(files) - whole
    held = set(
        SilverReject.objects.filter(bronze_file__in=partial)
        .exclude(state=HeldState.RESOLVED)
        .values_list("bronze_file__logical_id", "row")
    )
    released = Counter(
        (by_logical_id[row["_bronze_file"]].pk, row["place"])
        for row in again
        if (row["_bronze_file"], row["_bronze_row"]) in held
    )
    PartitionSource.objects.bulk_create(
        PartitionSource(dataset=step.dataset, partition=place, bronze_file_id=pk, step=step, rows=rows, whole=pk in whole)
        for (pk, place), rows in (*brought.items(), *released.items())
    )
