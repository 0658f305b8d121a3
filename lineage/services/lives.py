"""Write the histories of datasets that ended. One that never did costs an index look-up and has no row."""

from __future__ import annotations

from datetime import UTC, datetime

from lineage.domain.delta import Delta, Life
from lineage.domain.staircase import life_history
from lineage.services.upsert import Columns, Cursor, upsert

# When something became known that was folded before its dataset had a history.
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


def lives_write(cursor: Cursor, delta: Delta) -> None:
    """Bring the histories of the touched datasets up to date: read, recompute, write what differs."""
    touched = sorted(delta.drops.keys() | delta.writes.keys())
    present = _present(cursor, touched)
    started = [key for key in touched if key in delta.drops and key not in present]
    baseline = _last_writes(cursor, started)
    changed: dict[int, list[Life]] = {}
    for key in touched:
        if key not in present and key not in delta.drops:
            continue
        old = present.get(key, baseline.get(key, []))
        new = life_history([*old, *delta.drops.get(key, ()), *delta.writes.get(key, ())])
        if new != present.get(key, []):
            changed[key] = new
    if not changed:
        return
    cursor.execute("DELETE FROM lineage_life WHERE dataset_id = ANY(%b::bigint[])", [list(changed)])
    rows = [(key, step) for key, steps in sorted(changed.items()) for step in steps]
    columns: Columns = {
        "dataset_id": ("bigint", [key for key, _ in rows]),
        "event_time": ("timestamptz", [step.rank[0] for _, step in rows]),
        "identity": ("uuid", [step.rank[1] for _, step in rows]),
        "known_from": ("timestamptz", [step.known_from for _, step in rows]),
        "alive": ("boolean", [step.alive for _, step in rows]),
        "renamed_to": ("bigint", [step.renamed_to for _, step in rows]),
    }
    upsert(cursor, "lineage_life", columns, key="dataset_id, event_time, identity", update="")


def _present(cursor: Cursor, keys: list[int]) -> dict[int, list[Life]]:
    found: dict[int, list[Life]] = {}
    if keys:
        cursor.execute(
            "SELECT dataset_id, known_from, event_time, identity, alive, renamed_to FROM lineage_life"
            " WHERE dataset_id = ANY(%b::bigint[]) ORDER BY known_from",
            [keys],
        )
        for key, known_from, event_time, identity, alive, renamed_to in cursor.fetchall():
            found.setdefault(key, []).append(Life(known_from, (event_time, identity), alive, renamed_to))
    return found


def _last_writes(cursor: Cursor, keys: list[int]) -> dict[int, list[Life]]:
    """The last write known before the first end: an end that ranks below it never rules."""
    if not keys:
        return {}
    cursor.execute(
        "SELECT id, write_time, write_identity FROM lineage_dataset WHERE id = ANY(%b::bigint[]) AND write_time IS NOT NULL",
        [keys],
    )
    return {row[0]: [Life(_LONG_AGO, (row[1], row[2]), alive=True)] for row in cursor.fetchall()}
