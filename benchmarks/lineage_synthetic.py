"""A graph of any size for the lineage benchmark, loaded into the projected tables.

Datasets live in domains of 250: 25 sources, the rest made by one job each out of 1 to 9 others, mostly of their own domain,
some of another (8 %), some of the hubs that everybody reads (5 %; one source in a thousand datasets, the first far more than
the last). Ten columns each. For N datasets that is about 3 N edges and 10 N column edges, and what lies around a dataset is as
large at every N; only the hubs grow. Tables are UNLOGGED and indexed after loading, which changes nothing for readers.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg

from lineage.domain import ids

__all__ = ["DOMAIN", "HUB", "NAMESPACE", "dataset_name", "load"]

DOMAIN, SOURCES, COLUMNS = 250, 25, 10
NAMESPACE, JOBS = "bench://warehouse", "bench"
TABLES = (
    "lineage_dataset",
    "lineage_job",
    "lineage_run",
    "lineage_field",
    "lineage_edge",
    "lineage_place",
    "lineage_edgeset",
    "lineage_edgeclaim",
    "lineage_fieldedge",
    "lineage_facet",
)
LOADED_AT = "2026-01-01T00:00:00Z"

# A number in [0, 1) that depends on a row and on what it decides; an identifier that is spread like those of names.
_HELPERS = """
CREATE OR REPLACE FUNCTION pg_temp.u(n bigint, seed bigint) RETURNS float8 LANGUAGE sql IMMUTABLE AS
$$ SELECT (hashint8extended(n, seed) & 1048575) / 1048576.0 $$;
CREATE OR REPLACE FUNCTION pg_temp.spread(n bigint, seed bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$ SELECT hashint8extended(n, seed) & 9223372036854775807 $$;
"""

_INPUTS = """
CREATE TEMP TABLE made AS
WITH want AS (
    SELECT n, n %% {domain} AS p, CASE WHEN pg_temp.u(n, 1) < .38 THEN 1 WHEN pg_temp.u(n, 1) < .68 THEN 2
        WHEN pg_temp.u(n, 1) < .86 THEN 3 WHEN pg_temp.u(n, 1) < .955 THEN 5 ELSE 9 END AS k
    FROM generate_series(0, %(size)s - 1) n WHERE n %% {domain} >= {sources}
), picked AS (
    SELECT DISTINCT n, CASE
        WHEN pg_temp.u(n * 16 + i, 2) < .05 THEN floor(%(hubs)s * pg_temp.u(n * 16 + i, 3) ^ 3)::int * {domain}
        WHEN pg_temp.u(n * 16 + i, 2) < .13 THEN floor(%(domains)s * pg_temp.u(n * 16 + i, 3))::int * {domain}
            + floor(p * pg_temp.u(n * 16 + i, 4))::int
        ELSE n - 1 - floor(least(p, 60) * pg_temp.u(n * 16 + i, 3) ^ 1.5)::int END AS source
    FROM want CROSS JOIN LATERAL generate_series(1, k) i
)
SELECT n, array_agg(source ORDER BY source) AS inputs FROM picked GROUP BY n ORDER BY n
"""

_COLUMNS = {
    "lineage_field": "id, dataset_id, name, known_from",
    "lineage_edge": "job_id, dataset_id, direction, node_id, explicit, known_from, known_to",
    "lineage_place": "id, dataset_id, known_from, node_id",
    "lineage_edgeset": "id, job_id, dataset_id, source",
    "lineage_edgeclaim": "job_id, dataset_id, source, known_from, known_to, event_time, identity, edge_set_id",
    "lineage_fieldedge": "edge_set_id, source_dataset_id, source_field_id, target_dataset_id, target_field_id, direct, masking,"
    " transformations",
    "lineage_facet": "subject_kind, subject_id, name, event_time, identity, recorded_at, deleted, digest, body",
}

_ROWS = {
    "lineage_field": """
        SELECT pg_temp.spread(d.n * 16 + i, 7), d.id, 'c' || i, %(at)s::timestamptz FROM numbered d, generate_series(0, 9) i
    """,
    "lineage_edge": """
        SELECT j.job_id, s.id, 1, s.id, false, %(at)s::timestamptz, NULL::timestamptz
        FROM made m JOIN numbered j USING (n) CROSS JOIN unnest(m.inputs) x JOIN numbered s ON s.n = x
        UNION ALL SELECT j.job_id, j.id, 2, j.id, false, %(at)s::timestamptz, NULL::timestamptz
        FROM made m JOIN numbered j USING (n)
    """,
    "lineage_place": "SELECT id, id, %(at)s::timestamptz, id FROM numbered",
    "lineage_edgeset": "SELECT pg_temp.spread(n, 11), j.job_id, j.id, 1 FROM made m JOIN numbered j USING (n)",
    "lineage_edgeclaim": """
        SELECT j.job_id, j.id, 1, %(at)s::timestamptz, NULL::timestamptz, %(at)s::timestamptz, gen_random_uuid(),
            pg_temp.spread(n, 11) FROM made m JOIN numbered j USING (n)
    """,
    "lineage_fieldedge": """
        SELECT pg_temp.spread(m.n, 11), s.id, pg_temp.spread(s.n * 16 + (i * 7 + m.n) % 10, 7), t.id,
            pg_temp.spread(t.n * 16 + i, 7), true, i = 9,
            CASE WHEN i = 9 THEN '[{"type":"DIRECT","subtype":"TRANSFORMATION","masking":true}]'::jsonb
                ELSE '[{"type":"DIRECT","subtype":"IDENTITY","masking":false}]'::jsonb END
        FROM made m JOIN numbered t USING (n) CROSS JOIN generate_series(0, 9) i
        JOIN numbered s ON s.n = m.inputs[1 + i % array_length(m.inputs, 1)]
        UNION ALL SELECT pg_temp.spread(m.n, 11), s.id, pg_temp.spread(s.n * 16 + i, 7), t.id, 0, false, false,
            '[{"type":"INDIRECT","subtype":"FILTER","masking":false}]'::jsonb
        FROM made m JOIN numbered t USING (n) JOIN numbered s ON s.n = m.inputs[1]
        CROSS JOIN generate_series(0, CASE WHEN m.n % 5 = 0 THEN 1 ELSE 0 END) i
    """,
    "lineage_facet": """
        SELECT 'dataset', d.id, 'schema', %(at)s::timestamptz, gen_random_uuid(), %(at)s::timestamptz, false, md5(d.n::text),
            %(schema)s::jsonb FROM numbered d
        UNION ALL SELECT 'job', j.job_id, 'jobType', %(at)s::timestamptz, gen_random_uuid(), %(at)s::timestamptz, false,
            md5(j.n::text), '{"processingType":"BATCH","integration":"BENCH","jobType":"TASK"}'::jsonb
        FROM made m JOIN numbered j USING (n)
    """,
}


def dataset_name(number: int) -> str:
    return f"domain_{number // DOMAIN}.table_{number}"


HUB = 0  # the dataset that most read: a tenth of what the hubs get goes to the first thousandth of them


def load(database_url: str, size: int) -> dict[str, int]:
    """Fill an empty graph with ``size`` datasets (a multiple of 250); returns how many rows each table got."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        for setting in ("synchronous_commit = off", "maintenance_work_mem = '768MB'", "work_mem = '256MB'", "jit = off"):
            connection.execute(f"SET {setting}")
        indexes = _strip(connection)
        for statement in _HELPERS.strip().split(";\n"):
            connection.execute(statement)
        counts = _names(connection, size)
        values = {"size": size, "hubs": max(1, size // 1000), "domains": size // DOMAIN, "at": LOADED_AT, "schema": _schema()}
        connection.execute(_INPUTS.format(domain=DOMAIN, sources=SOURCES), values)
        connection.execute("ANALYZE made")
        for table, rows in _ROWS.items():
            sql = rows.replace("% ", "%% ").replace("%%(", "%(")
            counts[table] = connection.execute(f"INSERT INTO {table} ({_COLUMNS[table]}) {sql}", values).rowcount
        for definition in indexes:
            connection.execute(definition)
        connection.execute(f"VACUUM ANALYZE {', '.join(TABLES)}")
        connection.execute("CHECKPOINT")
        return counts


def _strip(connection: psycopg.Connection[Any]) -> list[str]:
    """Empty the tables and take their indexes away; returns what makes those again."""
    connection.execute(f"TRUNCATE {', '.join(TABLES)}, lineage_namespace")
    kept: list[str] = []
    for table in TABLES:
        constraints = connection.execute(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conrelid = %s::regclass AND contype IN ('p', 'u')",
            [table],
        ).fetchall()
        for name, definition in constraints:
            kept.append(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')
            connection.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
        for name, definition in connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s", [table]
        ).fetchall():
            kept.append(definition)
            connection.execute(f'DROP INDEX "{name}"')
        connection.execute(f"ALTER TABLE {table} SET UNLOGGED")
    return kept


def _names(connection: psycopg.Connection[Any], size: int) -> dict[str, int]:
    """Datasets, jobs and their latest runs, under identifiers that are hashes of their names."""
    connection.execute("INSERT INTO lineage_namespace VALUES (%s, %s), (%s, %s)", [NAMESPACE, LOADED_AT, JOBS, LOADED_AT])
    connection.execute("CREATE TEMP TABLE numbered (n bigint, id bigint, job_id bigint)")
    with connection.cursor() as cursor:
        with cursor.copy("COPY numbered FROM STDIN") as copy:
            for row in _numbered(size):
                copy.write_row(row)
        cursor.execute("ALTER TABLE numbered ADD PRIMARY KEY (n)")
        cursor.execute("ANALYZE numbered")
        common = {"at": LOADED_AT, "space": NAMESPACE, "jobs": JOBS, "run": str(uuid.UUID(int=0))}
        datasets = cursor.execute(
            "INSERT INTO lineage_dataset (id, node_id, namespace, name, seen, known_from, last_event_at)"
            f" SELECT id, id, %(space)s, 'domain_' || n / {DOMAIN} || '.table_' || n, true, %(at)s, %(at)s FROM numbered",
            common,
        ).rowcount
        jobs = cursor.execute(
            "INSERT INTO lineage_job (id, namespace, name, known_from, last_event_at, latest_run_id, latest_time)"
            f" SELECT job_id, %(jobs)s, 'domain_' || n / {DOMAIN} || '.make_' || n, %(at)s, %(at)s,"
            f" md5(n::text)::uuid, %(at)s FROM numbered WHERE n %% {DOMAIN} >= {SOURCES}",
            common,
        ).rowcount
        cursor.execute(
            "INSERT INTO lineage_run (id, run_id, job_id, job_time, job_identity, known_from, first_time, last_time, state,"
            " state_final, state_time, state_identity, io_sets)"
            " SELECT md5(n::text)::uuid, md5(n::text)::uuid::text, job_id, %(at)s, %(run)s, %(at)s, %(at)s, %(at)s, 'COMPLETE',"
            f" 1, %(at)s, %(run)s, '{{}}' FROM numbered WHERE n %% {DOMAIN} >= {SOURCES}",
            common,
        )
    return {"lineage_dataset": datasets, "lineage_job": jobs, "lineage_run": jobs}


def _numbered(size: int) -> Iterator[tuple[int, int, int]]:
    for number in range(size):
        name = dataset_name(number)
        yield number, ids.dataset_id(NAMESPACE, name), ids.job_id(JOBS, name.replace(".table_", ".make_"))


def _schema() -> str:
    columns = ", ".join(f'{{"name": "c{number}", "type": "VARCHAR"}}' for number in range(COLUMNS))
    return f'{{"fields": [{columns}]}}'
