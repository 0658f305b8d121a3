"""The raw files behind partitions of Silver as they were when a step had written them, and the rows held back at a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from pipeline.selectors_hops import Hop

FILES_SHOWN = 25
HELD_LIMIT = 10_000  # counts of held rows stop here

# Files that had brought rows into what was read, newest first, with totals over all of them. What a file had brought into a
# partition is its newest whole judgement up to the step that wrote the partition, plus what was judged again after that.
_FILES_SQL = """
WITH wanted AS (
  SELECT * FROM unnest(%(datasets)s::text[], %(partitions)s::text[], %(steps)s::bigint[]) AS w(dataset, partition, step)
),
taken AS (
  SELECT p.dataset, p.partition, p.bronze_file_id, p.rows, coalesce(p.step_id, 0) AS step_id,
         coalesce(max(coalesce(p.step_id, 0)) FILTER (WHERE p.whole) OVER once, 0) AS whole_step
  FROM (
    SELECT s.* FROM wanted w
    JOIN pipeline_partitionsource s
      ON s.dataset = w.dataset AND s.partition = w.partition AND (s.step_id IS NULL OR s.step_id <= w.step)
    WHERE w.partition IS NOT NULL
    UNION ALL
    SELECT s.* FROM wanted w
    JOIN pipeline_partitionsource s ON s.dataset = w.dataset AND (s.step_id IS NULL OR s.step_id <= w.step)
    WHERE w.partition IS NULL
  ) p
  WINDOW once AS (PARTITION BY p.dataset, p.partition, p.bronze_file_id)
),
brought AS (
  SELECT dataset, bronze_file_id, sum(rows) AS rows, min(step_id) AS first_step
  FROM taken WHERE step_id >= whole_step
  GROUP BY dataset, bronze_file_id HAVING sum(rows) > 0
),
ranked AS (
  SELECT b.*, count(*) OVER w AS files_total, sum(b.rows) OVER w AS rows_total,
         row_number() OVER (PARTITION BY b.dataset ORDER BY b.bronze_file_id DESC) AS place
  FROM brought b WINDOW w AS (PARTITION BY b.dataset)
)
SELECT r.dataset, f.id, f.logical_id, f.filename, f.uri, f.sha256, r.rows, f.rows, f.size_bytes, f.received_at,
       f.contract_version, f.source, d.received_by, d.uuid, f.schema_hash, r.first_step, r.files_total, r.rows_total
FROM ranked r
JOIN pipeline_bronzefile f ON f.id = r.bronze_file_id
LEFT JOIN LATERAL (
  SELECT uuid, received_by FROM pipeline_drop WHERE bronze_file_id = f.id ORDER BY id LIMIT 1
) d ON true
WHERE %(limit)s::int IS NULL OR r.place <= %(limit)s::int
ORDER BY r.dataset, r.place
"""

# Rows of a table's files that were held back at a moment, by rule. A row that was let go and held back again later counts as
# held all the while.
_HELD_SQL = """
SELECT dataset, kind, rule, count(*) FROM (
  (SELECT r.dataset, 'reject' AS kind, r.rules, r.first_seen_at, r.resolved_at FROM silver_rejects r
   WHERE r.bronze_file_id = ANY(%(files)s) LIMIT %(limit)s)
  UNION ALL
  (SELECT q.dataset, 'quarantine', ARRAY['unknown_column:' || q."column"], q.first_seen_at, q.resolved_at
   FROM silver_quarantine q WHERE q.bronze_file_id = ANY(%(files)s) LIMIT %(limit)s)
) AS held CROSS JOIN unnest(held.rules) AS rule
WHERE first_seen_at <= %(moment)s AND (resolved_at IS NULL OR resolved_at > %(moment)s)
GROUP BY dataset, kind, rule ORDER BY dataset, kind, count(*) DESC, rule
"""


@dataclass(frozen=True)
class TrailFile:
    """One raw file behind a figure. ``rows`` of its ``file_rows`` had gone into the partitions that were read.

    ``first_step``: primary key of the step that took it in first (0: unknown).
    """

    dataset: str
    pk: int
    logical_id: str
    filename: str
    uri: str
    sha256: str
    rows: int
    file_rows: int
    size_bytes: int
    received_at: datetime
    contract_version: str
    source: str
    received_by: str
    drop_uuid: Any
    schema_hash: str
    first_step: int


@dataclass(frozen=True)
class HeldRule:
    """Rows of the listed files that a rule held back at the moment. ``kind``: reject or quarantine."""

    kind: str
    rule: str
    rows: int


@dataclass
class Files:
    """Files of one dataset: those listed, and totals over all."""

    listed: list[TrailFile] = field(default_factory=list)
    total: int = 0
    rows_total: int = 0
    held: list[HeldRule] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return len(self.listed) == self.total

    @property
    def left_out(self) -> int:
        return self.total - len(self.listed)

    def held_rows(self, kind: str) -> int:
        return sum(one.rows for one in self.held if one.kind == kind)


def add(
    hops_by_dataset: Mapping[str, Sequence[Hop]], *, into: Mapping[str, Files], known_at: datetime, limit: int | None
) -> None:
    """Fill in the files behind the hops of each Silver dataset, and what was held back of the listed ones at ``known_at``."""
    wanted: list[tuple[str, str | None, int]] = []
    for dataset, found in hops_by_dataset.items():
        if any(hop.partitions is None for hop in found):  # read as a whole: what the newest of its readers saw
            wanted.append((dataset, None, max(hop.step.pk for hop in found)))
            continue
        newest: dict[str, int] = {}
        for hop in found:
            for partition in hop.partitions or ():
                newest[partition] = max(newest.get(partition, 0), hop.step.pk)
        wanted += [(dataset, partition, step) for partition, step in sorted(newest.items())]
    columns: dict[str, Any] = {
        "datasets": [one[0] for one in wanted],
        "partitions": [one[1] for one in wanted],
        "steps": [one[2] for one in wanted],
    }
    with connection.cursor() as cursor:
        cursor.execute(_FILES_SQL, {**columns, "limit": limit})
        for *values, files_total, rows_total in cursor.fetchall():
            file = TrailFile(*values)
            files = into[file.dataset]
            files.listed.append(file)
            files.total, files.rows_total = files_total, int(rows_total)
        listed = [file.pk for files in into.values() for file in files.listed]
        cursor.execute(_HELD_SQL, {"files": listed, "moment": known_at, "limit": HELD_LIMIT})
        for dataset, kind, rule, rows in cursor.fetchall():
            into[dataset].held.append(HeldRule(kind, rule, rows))
