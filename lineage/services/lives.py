"""The ends of datasets and what wrote them since. A dataset that never ended costs an index look-up and has no row."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from lineage.domain.delta import Delta, Life, Rank
from lineage.domain.places import deciding
from lineage.services.upsert import Columns, Cursor, upsert

__all__ = ["lives_load", "lives_write"]


def lives_write(cursor: Cursor, delta: Delta) -> dict[int, datetime]:
    """Add ends, and writes of names that ended; returns the datasets that may lead elsewhere now, from which moment on."""
    touched = delta.drops.keys() | delta.writes.keys() | delta.touches.keys()
    present = lives_load(cursor, touched)
    fresh: dict[int, list[Life]] = {}
    moved: dict[int, datetime] = {}
    for key in touched & (present.keys() | delta.drops.keys() | delta.touches.keys()):
        known = present.get(key, [])
        ends = _new(known, delta.drops.get(key, ()))
        kept = [*ends, *_new(known, delta.touches.get(key, ()))]
        told = list(delta.writes.get(key, ()))
        if ends:
            told += _writes_since(cursor, key, min(life.rank for life in ends))
        lowest = min((life.rank for life in (*known, *ends) if not life.alive), default=None)
        if lowest is not None:
            kept += [life for life in _new([*known, *kept], told) if life.rank > lowest]
        if kept:
            fresh[key] = kept
            if set(deciding([*known, *kept])) != set(deciding(known)):
                moved[key] = min(life.known_from for life in kept)
    rows = [(key, life) for key, lives in sorted(fresh.items()) for life in lives]
    columns: Columns = {
        "dataset_id": ("bigint", [key for key, _ in rows]),
        "event_time": ("timestamptz", [life.rank[0] for _, life in rows]),
        "identity": ("uuid", [life.rank[1] for _, life in rows]),
        "known_from": ("timestamptz", [life.known_from for _, life in rows]),
        "alive": ("boolean", [life.alive for _, life in rows]),
        "renamed_to": ("bigint", [life.renamed_to for _, life in rows]),
    }
    upsert(cursor, "lineage_life", columns, key="dataset_id, event_time, identity, alive", update="")
    return moved


def lives_load(cursor: Cursor, keys: Iterable[int]) -> dict[int, list[Life]]:
    found: dict[int, list[Life]] = {}
    if wanted := list(keys):
        cursor.execute(
            "SELECT dataset_id, known_from, event_time, identity, alive, renamed_to FROM lineage_life"
            " WHERE dataset_id = ANY(%b::bigint[]) ORDER BY known_from, event_time, identity",
            [wanted],
        )
        for key, known_from, event_time, identity, alive, renamed_to in cursor.fetchall():
            found.setdefault(key, []).append(Life(known_from, (event_time, identity), alive, renamed_to))
    return found


def _new(known: Iterable[Life], told: Iterable[Life]) -> list[Life]:
    have = {(life.rank, life.alive) for life in known}
    unique = {(life.rank, life.alive): life for life in told if (life.rank, life.alive) not in have}
    return sorted(unique.values(), key=lambda life: (life.known_from, life.rank))


def _writes_since(cursor: Cursor, key: int, end: Rank) -> list[Life]:
    """What job statements folded before say about writes after an end that is only now known."""
    cursor.execute(
        "SELECT s.known_from, s.event_time, s.identity FROM lineage_mention m"
        " JOIN lineage_statement s ON s.job_id = m.job_id AND s.event_time >= %b"
        " JOIN lineage_ioset i ON i.id = s.io_set_id"
        " WHERE m.dataset_id = %b AND s.effect AND i.outputs @> ARRAY[%b::bigint]",
        [end[0], key, key],
    )
    rows: list[tuple[datetime, datetime, Any]] = cursor.fetchall()
    return [Life(known_from, (time, identity), alive=True) for known_from, time, identity in rows if (time, identity) > end]
