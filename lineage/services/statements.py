"""Fold statements of jobs into edges: the log grows, and the intervals of knowledge are made anew from the first moment on
that anything new is known. A job that says what it said before costs its row in the log and no edge is written."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lineage.domain.current import Base, Edge, Edges, Holds, IoNames, RunState, Said, bases, edges_at, intervals
from lineage.domain.delta import Delta, Rank
from lineage.domain.places import node_at
from lineage.services.places import Places, places_load
from lineage.services.upsert import Columns, Cursor, upsert

__all__ = ["statements_write"]

_COLUMNS = (
    "s.job_id, s.known_from, s.event_time, s.identity, s.run_id, s.io_set_id, s.done, s.effect, s.run_first_time,"
    " s.run_first_identity, s.run_done_time, s.run_done_identity, s.base_run_id, s.base_time, s.base_identity, s.floor_time,"
    " s.floor_identity"
)
_JOBS = "unnest(%b::bigint[], %b::timestamptz[]) AS k(job_id, since)"


@dataclass(slots=True)
class _Work:
    """What is looked at anew of one job: everything known from ``since`` on."""

    since: datetime
    moved: set[datetime] = field(default_factory=set)
    window: list[Said] = field(default_factory=list)
    fresh: list[Said] = field(default_factory=list)
    stale: list[Said] = field(default_factory=list)
    before: Base | None = None
    older: list[Said] = field(default_factory=list)
    whole: bool = False


def statements_write(cursor: Cursor, delta: Delta, *, places: Places, moved: dict[int, datetime], since: datetime) -> None:
    """Write new statements and the edges that follow. ``moved``: datasets that lead elsewhere, from which moment on.

    ``places``: those of the delta's datasets from ``since`` on, its first moment; others are read.
    """
    work = _touched(cursor, delta, moved)
    _windows(cursor, work, delta)
    work = {job: item for job, item in work.items() if item.fresh or item.moved}
    if not work:
        return
    _bases(cursor, work)
    present = _present(cursor, work)
    names = _Names(cursor, delta, places, since)
    names.load(said for item in work.values() for said in item.window)
    for job, item in work.items():
        item.whole = item.whole or _late(item, present.get(job, ()), names)
    whole = {job: item for job, item in work.items() if item.whole}
    _older(cursor, whole)
    names.load(said for item in whole.values() for said in item.older)
    _edges_write(cursor, work, present, names)
    _store(cursor, work)


def _touched(cursor: Cursor, delta: Delta, moved: dict[int, datetime]) -> dict[int, _Work]:
    work = {job: _Work(min(said.known_from for said in statements)) for job, statements in delta.statements.items()}
    if moved:
        cursor.execute(
            "SELECT m.job_id, k.since FROM unnest(%b::bigint[], %b::timestamptz[]) AS k(dataset_id, since)"
            " JOIN lineage_mention m USING (dataset_id)",
            [list(moved), list(moved.values())],
        )
        for job, since in cursor.fetchall():
            item = work.setdefault(job, _Work(since))
            item.since = min(item.since, since)
            item.moved.add(since)
    return work


def _keys(work: dict[int, _Work]) -> list[list[Any]]:
    return [list(work), [item.since for item in work.values()]]


def _windows(cursor: Cursor, work: dict[int, _Work], delta: Delta) -> None:
    """The statements known from ``since`` on: those in the log and those that are new."""
    if not work:
        return
    cursor.execute(
        f"SELECT {_COLUMNS} FROM {_JOBS} JOIN lineage_statement s ON s.job_id = k.job_id AND s.known_from >= k.since",  # noqa: S608
        _keys(work),
    )
    for row in cursor.fetchall():
        work[row[0]].window.append(_said(row))
    for job, statements in delta.statements.items():
        item = work[job]
        have = {(said.known_from, said.rank[1]) for said in item.window}
        for said in statements:
            key = (said.known_from, said.rank[1])
            if key not in have:
                have.add(key)
                item.fresh.append(Said(said.known_from, said.rank, said.run_id, said.io_set, said.done, said.effect))
        item.window = sorted([*item.window, *item.fresh], key=_order)


def _bases(cursor: Cursor, work: dict[int, _Work]) -> None:
    """Which run rules after each statement of the windows; what was known before is on the last statement before them."""
    cursor.execute(
        f"SELECT {_COLUMNS} FROM {_JOBS} CROSS JOIN LATERAL (SELECT * FROM lineage_statement s"  # noqa: S608
        " WHERE s.job_id = k.job_id AND s.known_from < k.since ORDER BY s.known_from DESC, s.identity DESC LIMIT 1) s",
        _keys(work),
    )
    for row in cursor.fetchall():
        work[row[0]].before = _said(row).base
    keys = sorted({(job, said.run_id) for job, item in work.items() for said in item.window})
    cursor.execute(
        f"SELECT {_COLUMNS} FROM unnest(%b::bigint[], %b::uuid[], %b::timestamptz[]) AS k(job_id, run_id, since)"  # noqa: S608
        " CROSS JOIN LATERAL (SELECT * FROM lineage_statement s WHERE s.job_id = k.job_id AND s.run_id = k.run_id"
        " AND s.known_from < k.since ORDER BY s.known_from DESC, s.identity DESC LIMIT 1) s",
        [[job for job, _ in keys], [run for _, run in keys], [work[job].since for job, _ in keys]],
    )
    runs: dict[int, dict[uuid.UUID, RunState]] = defaultdict(dict)
    for row in cursor.fetchall():
        said = _said(row)
        runs[row[0]][said.run_id] = said.state or RunState()
    for job, item in work.items():
        old = {id(said): (said.state, said.base) for said in item.window}
        bases(item.window, before=item.before, runs=runs[job])
        fresh = {id(said) for said in item.fresh}
        item.stale = [said for said in item.window if id(said) not in fresh and old[id(said)] != (said.state, said.base)]
        floor = _floor(item.before)
        item.whole = bool(item.moved) or any(_floor(said.base) != floor for said in item.window)


def _older(cursor: Cursor, work: dict[int, _Work]) -> None:
    """Statements before the windows that may still hold: those since the lowest floor."""
    floors: dict[int, datetime | None] = {}
    for job, item in work.items():
        ranks = [_floor(said.base) for said in item.window]
        if not item.window or item.moved:
            ranks.append(_floor(item.before))
        floors[job] = None if None in ranks else min(rank[0] for rank in ranks if rank)
    if not floors:
        return
    cursor.execute(
        f"SELECT {_COLUMNS} FROM unnest(%b::bigint[], %b::timestamptz[], %b::timestamptz[]) AS k(job_id, since, floor)"  # noqa: S608
        " JOIN lineage_statement s ON s.job_id = k.job_id AND (k.floor IS NULL OR s.event_time >= k.floor)"
        " WHERE s.known_from < k.since AND s.io_set_id <> 0",
        [list(floors), [work[job].since for job in floors], list(floors.values())],
    )
    for row in cursor.fetchall():
        work[row[0]].older.append(_said(row))


class _Names:
    """What statements name, and where those names lead."""

    def __init__(self, cursor: Cursor, delta: Delta, places: Places, since: datetime) -> None:
        self.cursor = cursor
        self.since = since
        self.places = places
        self.sets = {key: IoNames(row.inputs, row.outputs, frozenset(row.explicit)) for key, row in delta.io_sets.items()}
        # Nearly every name leads to one node from the start: no need to look at ranks and moments.
        self.simple: dict[int, int] = {}
        self._sort(places)

    def load(self, statements: Iterable[Said]) -> None:
        wanted = {said.io_set for said in statements if said.io_set}
        if missing := sorted(wanted - self.sets.keys()):
            self.cursor.execute(
                "SELECT id, inputs, outputs, explicit FROM lineage_ioset WHERE id = ANY(%b::bigint[])", [missing]
            )
            for key, inputs, outputs, explicit in self.cursor.fetchall():
                self.sets[key] = IoNames(tuple(inputs), tuple(outputs), frozenset(explicit))
        named = {key for io_set in wanted for key in self.named(io_set)}
        found = places_load(self.cursor, named - self.places.keys(), since=self.since)
        self.places |= found
        self._sort(found)

    def named(self, io_set: int) -> tuple[int, ...]:
        names = self.sets[io_set]
        return names.inputs + names.outputs

    def _sort(self, places: Places) -> None:
        for key, found in places.items():
            if len(found) == 1 and (found[0].known_to, found[0].after, found[0].until) == (None, None, None):
                self.simple[key] = found[0].node_id

    def node(self, key: int, rank: Rank, moment: datetime) -> int | None:
        lead = self.simple.get(key)
        return lead if lead is not None else node_at(self.places.get(key, ()), rank, moment)

    def turns(self, statements: Iterable[Said], since: datetime) -> set[datetime]:
        """Moments from which names of the statements lead elsewhere."""
        keys = {key for said in statements if said.io_set for key in self.named(said.io_set) if key not in self.simple}
        ends = {end for key in keys for place in self.places.get(key, ()) for end in (place.known_from, place.known_to)}
        return {end for end in ends if end is not None and end >= since}


def _late(item: _Work, present: Iterable[tuple[Edge, Holds]], names: _Names) -> bool:
    """Whether anything that bears on the job's edges was known later than what is folded only now."""
    if len(item.fresh) < len(item.window):
        return True
    since = item.since
    if any(holds.known_from >= since or (holds.known_to is not None and holds.known_to >= since) for _, holds in present):
        return True
    return bool(names.turns(item.window, since))


def _edges_write(cursor: Cursor, work: dict[int, _Work], present: dict[int, list[tuple[Edge, Holds]]], names: _Names) -> None:
    gone: list[tuple[Any, ...]] = []
    rows: list[tuple[Any, ...]] = []
    for job, item in work.items():
        old = present.get(job, [])
        before = {edge: Holds(h.known_from, None, h.explicit) for edge, h in old if h.known_from < item.since}
        states = _whole(item, names) if item.whole else _grown(item, before, names)
        new = dict(_keyed(intervals(before, states)))
        was = dict(_keyed(old))
        if new == was:
            continue
        gone += [(job, *key) for key in was.keys() - new.keys()]
        rows += [(job, *key, holds.known_to, holds.explicit) for key, holds in new.items() if was.get(key) != holds]
    _edges_store(cursor, gone, rows)


def _keyed(found: Iterable[tuple[Edge, Holds]]) -> Iterable[tuple[tuple[Any, ...], Holds]]:
    for edge, holds in found:
        yield (*edge, holds.known_from), holds


def _whole(item: _Work, names: _Names) -> list[tuple[datetime, Edges]]:
    """What holds from each moment on, out of the statements since the floor."""
    said = sorted([*item.older, *(one for one in item.window if one.io_set)], key=_order)
    moments = {one.known_from for one in item.window} | item.moved | names.turns(said, item.since)
    states: list[tuple[datetime, Edges]] = []
    base, floor, following, heard = item.before, _floor(item.before), 0, 0
    above: list[Said] = []
    for moment in sorted(moment for moment in moments if moment >= item.since):
        while following < len(item.window) and item.window[following].known_from <= moment:
            base = item.window[following].base
            following += 1
        before, floor = floor, _floor(base)
        while heard < len(said) and said[heard].known_from <= moment:
            above.append(said[heard])
            heard += 1
        if floor is not None:
            lower = before is None or floor < before
            above = [one for one in (said[:heard] if lower else above) if one.rank >= floor]
        states.append((moment, edges_at(above, moment, names.sets.__getitem__, names.node)))
    return states


def _grown(item: _Work, before: dict[Edge, Holds], names: _Names) -> list[tuple[datetime, Edges]]:
    """The floor stands where it stood: what held before holds on, and what is stated at or above the floor is added."""
    edges: Edges = {edge: holds.explicit for edge, holds in before.items()}
    floor = _floor(item.before)
    states: list[tuple[datetime, Edges]] = []
    for said in item.window:
        if not said.io_set or (floor is not None and said.rank < floor):
            continue
        stated = edges_at([said], said.known_from, names.sets.__getitem__, names.node)
        if all(edge in edges and (edges[edge] or not explicit) for edge, explicit in stated.items()):
            continue
        edges = edges | {edge: explicit or edges.get(edge, False) for edge, explicit in stated.items()}
        if states and states[-1][0] == said.known_from:
            states[-1] = (said.known_from, edges)
        else:
            states.append((said.known_from, edges))
    return states


def _present(cursor: Cursor, work: dict[int, _Work]) -> dict[int, list[tuple[Edge, Holds]]]:
    cursor.execute(
        "SELECT e.job_id, e.dataset_id, e.direction, e.node_id, e.known_from, e.known_to, e.explicit"  # noqa: S608
        f" FROM {_JOBS} JOIN lineage_edge e ON e.job_id = k.job_id AND (e.known_to IS NULL OR e.known_to >= k.since)",
        _keys(work),
    )
    found: dict[int, list[tuple[Edge, Holds]]] = defaultdict(list)
    for job, dataset, direction, node, known_from, known_to, explicit in cursor.fetchall():
        found[job].append(((dataset, direction, node), Holds(known_from, known_to, explicit)))
    return found


_EDGE = (
    ("job_id", "bigint"),
    ("dataset_id", "bigint"),
    ("direction", "smallint"),
    ("node_id", "bigint"),
    ("known_from", "timestamptz"),
    ("known_to", "timestamptz"),
    ("explicit", "boolean"),
)


def _edges_store(cursor: Cursor, gone: list[tuple[Any, ...]], rows: list[tuple[Any, ...]]) -> None:
    if gone:
        cursor.execute(
            "DELETE FROM lineage_edge e"
            " USING unnest(%b::bigint[], %b::bigint[], %b::smallint[], %b::bigint[], %b::timestamptz[])"
            " AS k(job_id, dataset_id, direction, node_id, known_from)"
            " WHERE (e.job_id, e.dataset_id, e.direction, e.node_id, e.known_from)"
            " = (k.job_id, k.dataset_id, k.direction, k.node_id, k.known_from)",
            [list(column) for column in zip(*gone, strict=True)],
        )
    columns: Columns = {name: (kind, [row[index] for row in rows]) for index, (name, kind) in enumerate(_EDGE)}
    upsert(
        cursor,
        "lineage_edge",
        columns,
        key="job_id, dataset_id, direction, node_id, known_from",
        update="known_to = excluded.known_to, explicit = excluded.explicit",
    )


def _order(said: Said) -> tuple[datetime, uuid.UUID]:
    return (said.known_from, said.rank[1])


def _floor(base: Base | None) -> Rank | None:
    return base.floor if base else None


def _said(row: tuple[Any, ...]) -> Said:
    state = RunState(row[8] and (row[8], row[9]), row[10] and (row[10], row[11]))
    base = Base(row[12], (row[13], row[14]), (row[15], row[16])) if row[12] else None
    return Said(row[1], (row[2], row[3]), row[4], row[5], row[6], row[7], state, base)


def _store(cursor: Cursor, work: dict[int, _Work]) -> None:
    """New statements, and those known before whose run or base is another now that an earlier one turned up."""
    rows = [(job, said) for job, item in work.items() for said in (*item.fresh, *item.stale)]
    columns: Columns = {
        "job_id": ("bigint", [job for job, _ in rows]),
        "known_from": ("timestamptz", [said.known_from for _, said in rows]),
        "identity": ("uuid", [said.rank[1] for _, said in rows]),
        "event_time": ("timestamptz", [said.rank[0] for _, said in rows]),
        "run_id": ("uuid", [said.run_id for _, said in rows]),
        "io_set_id": ("bigint", [said.io_set for _, said in rows]),
        "done": ("boolean", [said.done for _, said in rows]),
        "effect": ("boolean", [said.effect for _, said in rows]),
    }
    states = [said.state or RunState() for _, said in rows]
    ranks: list[tuple[str, list[Rank | None]]] = [
        ("run_first", [state.first for state in states]),
        ("run_done", [state.done for state in states]),
        ("base", [said.base.done if said.base else None for _, said in rows]),
        ("floor", [_floor(said.base) for _, said in rows]),
    ]
    kept: dict[str, tuple[str, list[Any]]] = {
        "base_run_id": ("uuid", [said.base.run_id if said.base else None for _, said in rows])
    }
    for name, values in ranks:
        kept[f"{name}_time"] = ("timestamptz", [rank and rank[0] for rank in values])
        kept[f"{name}_identity"] = ("uuid", [rank and rank[1] for rank in values])
    update = ", ".join(f"{name} = excluded.{name}" for name in kept)
    upsert(cursor, "lineage_statement", {**columns, **kept}, key="job_id, known_from, identity", update=update)
