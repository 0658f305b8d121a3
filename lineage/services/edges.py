"""Write the edges of a delta: what jobs read and write, explicit edge sets, and the histories of which set held when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lineage.domain.delta import Claim, Delta
from lineage.domain.staircase import staircase
from lineage.services.upsert import Columns, Cursor, upsert

EARLIER = "excluded.known_from < t.known_from"


def missing(cursor: Cursor, table: str, wanted: Mapping[int, Any]) -> set[int]:
    """Ids that are not there, or are known from a later moment than now stated: most events repeat what is known."""
    if not wanted:
        return set()
    cursor.execute(f"SELECT id, known_from FROM {table} WHERE id = ANY(%b::bigint[])", [list(wanted)])  # noqa: S608
    known = dict(cursor.fetchall())
    return {key for key, known_from in wanted.items() if key not in known or known_from < known[key]}


def io_sets_write(cursor: Cursor, delta: Delta) -> None:
    fresh = sorted(missing(cursor, "lineage_ioset", {key: row.known_from for key, row in delta.io_sets.items()}))
    rows = [delta.io_sets[key] for key in fresh]
    columns: Columns = {
        "id": ("bigint", fresh),
        "job_id": ("bigint", [row.job_id for row in rows]),
        "inputs": ("text", ["{" + ",".join(map(str, row.inputs)) + "}" for row in rows]),
        "outputs": ("text", ["{" + ",".join(map(str, row.outputs)) + "}" for row in rows]),
        "explicit": ("text", ["{" + ",".join(map(str, row.explicit)) + "}" for row in rows]),
        "known_from": ("timestamptz", [row.known_from for row in rows]),
    }
    upsert(
        cursor,
        "lineage_ioset",
        columns,
        key="id",
        update="known_from = excluded.known_from",
        where=EARLIER,
        casts={"inputs": "bigint[]", "outputs": "bigint[]", "explicit": "bigint[]"},
    )
    pairs = sorted({(key, row.job_id) for row in rows for side in (row.inputs, row.outputs) for key in side})
    columns = {"dataset_id": ("bigint", [key for key, _ in pairs]), "job_id": ("bigint", [job for _, job in pairs])}
    upsert(cursor, "lineage_mention", columns, key="dataset_id, job_id", update="")


def edge_sets_write(cursor: Cursor, delta: Delta) -> None:
    if not delta.edge_sets:
        return
    cursor.execute("SELECT id FROM lineage_edgeset WHERE id = ANY(%b::bigint[])", [list(delta.edge_sets)])
    present = {row[0] for row in cursor.fetchall()}
    fresh = sorted(key for key in delta.edge_sets if key not in present)
    sets = [delta.edge_sets[key] for key in fresh]
    columns: Columns = {
        "id": ("bigint", fresh),
        "job_id": ("bigint", [item.job_id for item in sets]),
        "dataset_id": ("bigint", [item.dataset_id for item in sets]),
        "source": ("smallint", [item.source for item in sets]),
    }
    upsert(cursor, "lineage_edgeset", columns, key="id", update="")
    edges = [(key, item.dataset_id, edge) for key, item in zip(fresh, sets, strict=True) for edge in item.edges]
    columns = {
        "edge_set_id": ("bigint", [key for key, _, _ in edges]),
        "source_dataset_id": ("bigint", [edge.source for _, _, edge in edges]),
        "source_field_id": ("bigint", [edge.source_field for _, _, edge in edges]),
        "target_dataset_id": ("bigint", [target for _, target, _ in edges]),
        "target_field_id": ("bigint", [edge.target_field for _, _, edge in edges]),
        "direct": ("boolean", [edge.direct for _, _, edge in edges]),
        "masking": ("boolean", [edge.masking for _, _, edge in edges]),
        "transformations": ("jsonb", [edge.transformations for _, _, edge in edges]),
    }
    key = "edge_set_id, source_dataset_id, source_field_id, target_field_id"
    upsert(cursor, "lineage_fieldedge", columns, key=key, update="")


def claims_write(cursor: Cursor, delta: Delta) -> None:
    """Bring the histories of the touched registers up to date, from the first moment on at which a new claim is known."""
    if not delta.claims:
        return
    keys = sorted(delta.claims)
    since = [min(claim.known_from for claim in delta.claims[key]) for key in keys]
    cursor.execute(
        "SELECT c.job_id, c.dataset_id, c.source, c.known_from, c.known_to, c.event_time, c.identity, c.edge_set_id"
        " FROM unnest(%b::bigint[], %b::bigint[], %b::smallint[], %b::timestamptz[]) AS k(job_id, dataset_id, source, since)"
        # Older ones than the one that ruled just before the moment cannot change.
        " CROSS JOIN LATERAL (SELECT max(p.known_from) AS known_from FROM lineage_edgeclaim p WHERE p.job_id = k.job_id"
        " AND p.dataset_id = k.dataset_id AND p.source = k.source AND p.known_from < k.since) p"
        " JOIN lineage_edgeclaim c ON c.job_id = k.job_id AND c.dataset_id = k.dataset_id AND c.source = k.source"
        " AND c.known_from >= coalesce(p.known_from, k.since)",
        [[key[0] for key in keys], [key[1] for key in keys], [key[2] for key in keys], since],
    )
    present: dict[Any, list[tuple[Claim, Any]]] = {}
    for job_id, dataset_id, source, known_from, known_to, event_time, identity, edge_set in cursor.fetchall():
        claim = Claim(known_from, (event_time, identity), edge_set)
        present.setdefault((job_id, dataset_id, source), []).append((claim, known_to))
    gone: list[tuple[Any, ...]] = []
    rows: list[tuple[Any, ...]] = []
    for key in keys:
        old = present.get(key, [])
        new = staircase([*(claim for claim, _ in old), *delta.claims[key]])
        timed = list(zip(new, [*(claim.known_from for claim in new[1:]), None], strict=True))
        starts = {claim.known_from for claim in new}
        gone += [(*key, claim.known_from) for claim, _ in old if claim.known_from not in starts]
        rows += [
            (*key, claim.known_from, end, claim.rank[0], claim.rank[1], claim.edge_set)
            for claim, end in timed
            if (claim, end) not in old
        ]
    _claims_store(cursor, gone, rows)


def _claims_store(cursor: Cursor, gone: list[tuple[Any, ...]], rows: list[tuple[Any, ...]]) -> None:
    if gone:
        cursor.execute(
            "DELETE FROM lineage_edgeclaim c USING unnest(%b::bigint[], %b::bigint[], %b::smallint[], %b::timestamptz[])"
            " AS k(job_id, dataset_id, source, known_from) WHERE (c.job_id, c.dataset_id, c.source, c.known_from)"
            " = (k.job_id, k.dataset_id, k.source, k.known_from)",
            [list(column) for column in zip(*gone, strict=True)],
        )
    names = ("job_id", "dataset_id", "source", "known_from", "known_to", "event_time", "identity", "edge_set_id")
    kinds = ("bigint", "bigint", "smallint", "timestamptz", "timestamptz", "timestamptz", "uuid", "bigint")
    columns = {name: (kind, [row[index] for row in rows]) for index, (name, kind) in enumerate(zip(names, kinds, strict=True))}
    upsert(
        cursor,
        "lineage_edgeclaim",
        columns,
        key="job_id, dataset_id, source, known_from",
        update=", ".join(f"{name} = excluded.{name}" for name in names[4:]),
    )
