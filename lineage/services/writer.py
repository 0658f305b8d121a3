"""Write a delta into the projected tables: each write is the table's half of a merge in ``domain.delta``.

Runs in the projector's transaction, under its lock: register histories are read, recomputed and written back here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lineage.domain.delta import Delta, FacetDelta, Rank
from lineage.domain.ids import dataset_id
from lineage.errors import IdentifierCollision
from lineage.services import edges, lives, places, statements
from lineage.services.upsert import Columns, Cursor, last_writer, newer, upsert

__all__ = ["write"]

_FACET_UPDATE = ", ".join(
    f"{name} = excluded.{name}" for name in ("event_time", "identity", "recorded_at", "deleted", "digest", "body")
)
_FACET_NEWER = newer(["event_time", "identity"])


def write(cursor: Cursor, delta: Delta) -> set[int]:
    """Fold the delta into the tables; returns the ids of datasets that are new or whose schema changed."""
    _namespaces(cursor, delta)
    fresh = _datasets(cursor, delta)
    _jobs(cursor, delta)
    changed = _facets(cursor, delta)
    _run_facets(cursor, delta)
    _fields(cursor, delta)
    edges.io_sets_write(cursor, delta)
    _runs(cursor, delta)
    linked = places.words_write(cursor, delta)  # before the symlinks, whose last statement it reads
    _symlinks(cursor, delta)
    ended = lives.lives_write(cursor, delta)
    changed_at = {key: min(at) for key in linked | ended if (at := [m[key] for m in (linked, ended) if key in m])}
    known = [item.known_from for item in delta.datasets.values()] + [item.known_from for item in delta.jobs.values()]
    since = min(known, default=None)
    if since is not None:
        led, moved = places.places_write(cursor, delta, changed=changed_at, since=since)
        statements.statements_write(cursor, delta, places=led, moved=moved, since=since)
    edges.edge_sets_write(cursor, delta)
    edges.claims_write(cursor, delta)
    _versions(cursor, delta)
    return changed | {key for key in fresh if delta.datasets[key].seen}


def _time(rank: Rank | None) -> Any:
    return rank[0] if rank else None


def _identity(rank: Rank | None) -> Any:
    return rank[1] if rank else None


def _namespaces(cursor: Cursor, delta: Delta) -> None:
    items = sorted(delta.namespaces.items())
    columns: Columns = {
        "name": ("text", [key for key, _ in items]),
        "known_from": ("timestamptz", [value for _, value in items]),
    }
    upsert(cursor, "lineage_namespace", columns, key="name", update="known_from = excluded.known_from", where=edges.EARLIER)


def _datasets(cursor: Cursor, delta: Delta) -> set[int]:
    _refuse_collisions(cursor, "lineage_dataset", {key: (d.namespace, d.name) for key, d in delta.datasets.items()})
    items = sorted(delta.datasets.items())
    rows = [item for _, item in items]
    columns: Columns = {
        "id": ("bigint", [key for key, _ in items]),
        "node_id": ("bigint", [key for key, _ in items]),
        "namespace": ("text", [row.namespace for row in rows]),
        "name": ("text", [row.name for row in rows]),
        "seen": ("boolean", [row.seen for row in rows]),
        "known_from": ("timestamptz", [row.known_from for row in rows]),
        "last_event_at": ("timestamptz", [row.last_event_time for row in rows]),
        "write_time": ("timestamptz", [_time(row.write) for row in rows]),
        "write_identity": ("uuid", [_identity(row.write) for row in rows]),
        "drop_time": ("timestamptz", [_time(row.drop) for row in rows]),
        "drop_identity": ("uuid", [_identity(row.drop) for row in rows]),
        "renamed_to": ("bigint", [row.renamed_to for row in rows]),
        "symlinks_removed_at": ("timestamptz", [row.symlinks_removed for row in rows]),
    }
    update = ", ".join(
        [
            "seen = t.seen OR excluded.seen",
            "known_from = least(t.known_from, excluded.known_from)",
            "last_event_at = greatest(t.last_event_at, excluded.last_event_at)",
            "symlinks_removed_at = greatest(t.symlinks_removed_at, excluded.symlinks_removed_at)",
            last_writer("write", []),
            last_writer("drop", ["renamed_to"]),
        ]
    )
    written = upsert(cursor, "lineage_dataset", columns, key="id", update=update, returning="t.id, xmax = 0")
    return {row[0] for row in written if row[1]}


def _refuse_collisions(cursor: Cursor, table: str, named: Mapping[int, tuple[str, str]]) -> None:
    if not named:
        return
    cursor.execute(f"SELECT id, namespace, name FROM {table} WHERE id = ANY(%b::bigint[])", [list(named)])  # noqa: S608
    for key, namespace, name in cursor.fetchall():
        if named[key] != (namespace, name):
            raise IdentifierCollision(f"{named[key]} and {(namespace, name)} share the identifier {key}")


def _jobs(cursor: Cursor, delta: Delta) -> None:
    _refuse_collisions(cursor, "lineage_job", {key: (job.namespace, job.name) for key, job in delta.jobs.items()})
    items = sorted(delta.jobs.items())
    rows = [item for _, item in items]
    columns: Columns = {
        "id": ("bigint", [key for key, _ in items]),
        "namespace": ("text", [row.namespace for row in rows]),
        "name": ("text", [row.name for row in rows]),
        "known_from": ("timestamptz", [row.known_from for row in rows]),
        "last_event_at": ("timestamptz", [row.last_event_time for row in rows]),
        "latest_run_id": ("uuid", [row.latest[1] if row.latest else None for row in rows]),
        "latest_time": ("timestamptz", [row.latest[0][0] if row.latest else None for row in rows]),
        "latest_identity": ("uuid", [row.latest[0][1] if row.latest else None for row in rows]),
        "parent_namespace": ("text", [row.parent[1] if row.parent else None for row in rows]),
        "parent_name": ("text", [row.parent[2] if row.parent else None for row in rows]),
        "parent_time": ("timestamptz", [row.parent[0][0] if row.parent else None for row in rows]),
        "parent_identity": ("uuid", [row.parent[0][1] if row.parent else None for row in rows]),
    }
    update = ", ".join(
        [
            "known_from = least(t.known_from, excluded.known_from)",
            "last_event_at = greatest(t.last_event_at, excluded.last_event_at)",
            last_writer("latest", ["latest_run_id"]),
            last_writer("parent", ["parent_namespace", "parent_name"]),
        ]
    )
    upsert(cursor, "lineage_job", columns, key="id", update=update)


def _runs(cursor: Cursor, delta: Delta) -> None:
    items = sorted(delta.runs.items())
    rows = [item for _, item in items]
    io_sets = ["{" + ",".join(map(str, sorted(row.io_sets))) + "}" for row in rows]
    columns: Columns = {
        "id": ("uuid", [key for key, _ in items]),
        "run_id": ("text", [row.run_id for row in rows]),
        "job_id": ("bigint", [row.job[1] for row in rows]),
        "job_time": ("timestamptz", [row.job[0][0] for row in rows]),
        "job_identity": ("uuid", [row.job[0][1] for row in rows]),
        "known_from": ("timestamptz", [row.known_from for row in rows]),
        "first_time": ("timestamptz", [row.first_time for row in rows]),
        "last_time": ("timestamptz", [row.last_time for row in rows]),
        "started_at": ("timestamptz", [row.started_at for row in rows]),
        "state": ("text", [row.state[1] for row in rows]),
        "state_final": ("smallint", [row.state[0][0] for row in rows]),
        "state_time": ("timestamptz", [row.state[0][1] for row in rows]),
        "state_identity": ("uuid", [row.state[0][2] for row in rows]),
        "parent_run_id": ("uuid", [row.parent[1] if row.parent else None for row in rows]),
        "parent_namespace": ("text", [row.parent[2] if row.parent else None for row in rows]),
        "parent_name": ("text", [row.parent[3] if row.parent else None for row in rows]),
        "parent_time": ("timestamptz", [row.parent[0][0] if row.parent else None for row in rows]),
        "parent_identity": ("uuid", [row.parent[0][1] if row.parent else None for row in rows]),
        "root_run_id": ("uuid", [row.root[1] if row.root else None for row in rows]),
        "root_time": ("timestamptz", [row.root[0][0] if row.root else None for row in rows]),
        "root_identity": ("uuid", [row.root[0][1] if row.root else None for row in rows]),
        "nominal_start": ("timestamptz", [row.nominal[1] if row.nominal else None for row in rows]),
        "nominal_end": ("timestamptz", [row.nominal[2] if row.nominal else None for row in rows]),
        "nominal_time": ("timestamptz", [row.nominal[0][0] if row.nominal else None for row in rows]),
        "nominal_identity": ("uuid", [row.nominal[0][1] if row.nominal else None for row in rows]),
        "io_sets": ("text", io_sets),
    }
    upsert(
        cursor,
        "lineage_run",
        columns,
        key="id",
        update=_RUN_UPDATE,
        casts={"io_sets": "bigint[]"},
    )


_RUN_UPDATE = ", ".join(
    [
        "known_from = least(t.known_from, excluded.known_from)",
        "first_time = least(t.first_time, excluded.first_time)",
        "last_time = greatest(t.last_time, excluded.last_time)",
        "started_at = least(t.started_at, excluded.started_at)",
        "io_sets = ARRAY(SELECT DISTINCT unnest(t.io_sets || excluded.io_sets) ORDER BY 1)",
        last_writer("job", ["job_id"]),
        last_writer("state", ["state"], rank=["state_final", "state_time", "state_identity"]),
        last_writer("parent", ["parent_run_id", "parent_namespace", "parent_name"]),
        last_writer("root", ["root_run_id"]),
        last_writer("nominal", ["nominal_start", "nominal_end"]),
    ]
)


def _facet_columns(rows: Iterable[FacetDelta]) -> dict[str, tuple[str, list[Any]]]:
    rows = list(rows)
    return {
        "event_time": ("timestamptz", [row.rank[0] for row in rows]),
        "identity": ("uuid", [row.rank[1] for row in rows]),
        "recorded_at": ("timestamptz", [row.recorded_at for row in rows]),
        "deleted": ("boolean", [row.deleted for row in rows]),
        "digest": ("text", [row.digest for row in rows]),
        "body": ("jsonb", [row.body for row in rows]),
    }


def _facets(cursor: Cursor, delta: Delta) -> set[int]:
    schemas = {key[1]: facet for key, facet in delta.facets.items() if key[0] == "dataset" and key[2] == "schema"}
    cursor.execute(
        "SELECT subject_id, digest FROM lineage_facet"
        " WHERE subject_kind = 'dataset' AND name = 'schema' AND subject_id = ANY(%b::bigint[])",
        [list(schemas)],
    )
    present = dict(cursor.fetchall())
    items = sorted(delta.facets.items(), key=lambda item: item[0])
    columns: Columns = {
        "subject_kind": ("text", [key[0] for key, _ in items]),
        "subject_id": ("bigint", [key[1] for key, _ in items]),
        "name": ("text", [key[2] for key, _ in items]),
        **_facet_columns(facet for _, facet in items),
    }
    written = upsert(
        cursor,
        "lineage_facet",
        columns,
        key="subject_kind, subject_id, name",
        update=_FACET_UPDATE,
        where=_FACET_NEWER,
        returning="t.subject_kind, t.subject_id, t.name",
    )
    won = {row[1] for row in written if row[0] == "dataset" and row[2] == "schema"}
    return {key for key in won if present.get(key) != schemas[key].digest}


def _run_facets(cursor: Cursor, delta: Delta) -> None:
    items = sorted(delta.run_facets.items(), key=lambda item: item[0])
    columns: Columns = {
        "run_id": ("uuid", [key[0] for key, _ in items]),
        "dataset_id": ("bigint", [key[1] for key, _ in items]),
        "direction": ("smallint", [key[2] for key, _ in items]),
        "name": ("text", [key[3] for key, _ in items]),
        **_facet_columns(facet for _, facet in items),
    }
    upsert(
        cursor,
        "lineage_runfacet",
        columns,
        key="run_id, dataset_id, direction, name",
        update=_FACET_UPDATE,
        where=_FACET_NEWER,
    )


def _fields(cursor: Cursor, delta: Delta) -> None:
    missing = sorted(edges.missing(cursor, "lineage_field", {key: row[2] for key, row in delta.fields.items()}))
    columns: Columns = {
        "id": ("bigint", missing),
        "dataset_id": ("bigint", [delta.fields[key][0] for key in missing]),
        "name": ("text", [delta.fields[key][1] for key in missing]),
        "known_from": ("timestamptz", [delta.fields[key][2] for key in missing]),
    }
    upsert(cursor, "lineage_field", columns, key="id", update="known_from = excluded.known_from", where=edges.EARLIER)


def _versions(cursor: Cursor, delta: Delta) -> None:
    items = sorted(delta.versions.items())
    rows = [row for _, row in items]
    columns: Columns = {
        "id": ("bigint", [key for key, _ in items]),
        "dataset_id": ("bigint", [row.dataset_id for row in rows]),
        "kind": ("text", [row.kind for row in rows]),
        "version": ("text", [row.version for row in rows]),
        "run_id": ("uuid", [row.run_id for row in rows]),
        "first_time": ("timestamptz", [row.first[0] for row in rows]),
        "first_identity": ("uuid", [row.first[1] for row in rows]),
        "known_from": ("timestamptz", [row.known_from for row in rows]),
    }
    better = (
        "(excluded.run_id IS NULL, excluded.first_time, excluded.first_identity)"
        " < (t.run_id IS NULL, t.first_time, t.first_identity)"
    )
    chosen = ", ".join(
        f"{name} = CASE WHEN {better} THEN excluded.{name} ELSE t.{name} END"
        for name in ("run_id", "first_time", "first_identity")
    )
    upsert(
        cursor,
        "lineage_datasetversion",
        columns,
        key="id",
        update=f"{chosen}, known_from = least(t.known_from, excluded.known_from)",
        where=f"{better} OR {edges.EARLIER}",
    )


def _symlinks(cursor: Cursor, delta: Delta) -> None:
    items = sorted(delta.symlinks.items())
    rows = [row for _, row in items]
    columns: Columns = {
        "id": ("bigint", [key for key, _ in items]),
        "dataset_id": ("bigint", [row.dataset_id for row in rows]),
        "alias_id": ("bigint", [dataset_id(row.namespace, row.name) for row in rows]),
        "namespace": ("text", [row.namespace for row in rows]),
        "name": ("text", [row.name for row in rows]),
        "type": ("text", [row.type for row in rows]),
        "known_from": ("timestamptz", [row.known_from for row in rows]),
        "last_time": ("timestamptz", [row.last_time for row in rows]),
    }
    upsert(
        cursor,
        "lineage_symlink",
        columns,
        key="id",
        update="known_from = least(t.known_from, excluded.known_from), last_time = greatest(t.last_time, excluded.last_time)",
    )
