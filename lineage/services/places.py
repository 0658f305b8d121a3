"""Write where the names of datasets lead. Most names lead to themselves from the start and cost one row."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from lineage.domain.delta import Delta
from lineage.domain.ids import content_id
from lineage.domain.places import Link, Names, Place, Word, deciding, intervals
from lineage.services.lives import lives_load
from lineage.services.upsert import Columns, Cursor, upsert

__all__ = ["Places", "places_load", "places_write", "words_write"]

Places = dict[int, list[Place]]


def places_load(cursor: Cursor, keys: Iterable[int], *, since: datetime) -> Places:
    """Places that hold at or after a moment of knowledge, or did just before it."""
    found: Places = {}
    if wanted := list(keys):
        cursor.execute(
            "SELECT dataset_id, known_from, known_to, after_time, after_identity, until_time, until_identity, node_id"
            " FROM lineage_place WHERE dataset_id = ANY(%b::bigint[]) AND (known_to IS NULL OR known_to >= %b)"
            " ORDER BY dataset_id, known_from",
            [wanted, since],
        )
        for key, known_from, known_to, after, after_id, until, until_id, node in cursor.fetchall():
            place = Place(known_from, known_to, after and (after, after_id), until and (until, until_id), node)
            found.setdefault(key, []).append(place)
    return found


def places_write(
    cursor: Cursor, delta: Delta, *, changed: dict[int, datetime], since: datetime
) -> tuple[Places, dict[int, datetime]]:
    """Bring places up to date. ``changed``: datasets with new ends, writes or symlinks; ``since``: the delta's first moment.

    Gives the places of the delta's datasets and, per dataset that leads elsewhere than was known, from which moment on.
    """
    present = places_load(cursor, delta.datasets, since=since)
    earlier = _earlier(cursor, delta, present)
    made: Places = {}
    if earlier or changed:
        cursor.execute(
            "SELECT alias_id FROM lineage_symlink WHERE alias_id = ANY(%b::bigint[])"
            " UNION SELECT dataset_id FROM lineage_symlink WHERE dataset_id = ANY(%b::bigint[])"
            " UNION SELECT dataset_id FROM lineage_life WHERE dataset_id = ANY(%b::bigint[])"
            " UNION SELECT renamed_to FROM lineage_life WHERE renamed_to = ANY(%b::bigint[])",
            [list(earlier)] * 4,
        )
        tied = {row[0] for row in cursor.fetchall()}
        names = _names(cursor, changed.keys() | tied)
        present |= places_load(cursor, names.known.keys() - present.keys(), since=since)
        held = {key: [p for p in present.get(key, ()) if p.known_from < since] for key in names.known}
        made = intervals(names, before=held, since=since)
    # A name that leads to itself from the start leads nowhere else by being known earlier.
    plain = earlier - made.keys()
    made |= {key: [Place(delta.datasets[key].known_from, None, None, None, key)] for key in plain}
    moved = {key: places for key, places in made.items() if set(places) != set(present.get(key, ()))}
    _store(cursor, moved, present, since)
    moments = {
        key: moment
        for key, places in moved.items()
        if key not in plain and (moment := _since(present.get(key, []), places)) is not None
    }
    return present | made, moments


def _earlier(cursor: Cursor, delta: Delta, present: Places) -> set[int]:
    """Datasets of which nothing was known, or only from a later moment on. One that is gone has no place and is neither."""
    unsure = {key for key, item in delta.datasets.items() if key not in present or item.known_from < present[key][0].known_from}
    if not unsure:
        return unsure
    cursor.execute(
        "SELECT dataset_id, min(known_from) FROM lineage_place WHERE dataset_id = ANY(%b::bigint[]) GROUP BY dataset_id",
        [list(unsure)],
    )
    known = dict(cursor.fetchall())
    return {key for key in unsure if key not in known or delta.datasets[key].known_from < known[key]}


def _since(old: list[Place], new: list[Place]) -> datetime | None:
    """The first moment for which the new places say something else than the old ones. None: there were none."""
    if not old:
        return min((place.known_from for place in new), default=None)
    moments: list[datetime] = []
    left = {(place.known_from, place.after, place.until, place.node_id): place.known_to for place in old}
    right = {(place.known_from, place.after, place.until, place.node_id): place.known_to for place in new}
    for key in left.keys() | right.keys():
        if key in left and key in right:
            ends = [end for end in (left[key], right[key]) if end is not None]
            moments += [min(ends)] if left[key] != right[key] else []
        else:
            moments.append(key[0])
    return min(moments, default=None)


def _store(cursor: Cursor, made: Places, present: Places, since: datetime) -> None:
    if gone := [key for key in made if key in present]:
        cursor.execute(
            "DELETE FROM lineage_place WHERE dataset_id = ANY(%b::bigint[]) AND (known_to IS NULL OR known_to >= %b)",
            [gone, since],
        )
    rows = [(key, place) for key, places in sorted(made.items()) for place in places]
    columns: Columns = {
        "id": ("bigint", [_id(key, place) for key, place in rows]),
        "dataset_id": ("bigint", [key for key, _ in rows]),
        "known_from": ("timestamptz", [place.known_from for _, place in rows]),
        "known_to": ("timestamptz", [place.known_to for _, place in rows]),
        "after_time": ("timestamptz", [place.after and place.after[0] for _, place in rows]),
        "after_identity": ("uuid", [place.after and place.after[1] for _, place in rows]),
        "until_time": ("timestamptz", [place.until and place.until[0] for _, place in rows]),
        "until_identity": ("uuid", [place.until and place.until[1] for _, place in rows]),
        "node_id": ("bigint", [place.node_id for _, place in rows]),
    }
    upsert(cursor, "lineage_place", columns, key="id", update="")
    nodes = {key: _node(key, places) for key, places in made.items()}
    if shared := sorted((key, node) for key, node in nodes.items() if node != key or key in present):
        cursor.execute(
            "UPDATE lineage_dataset d SET node_id = n.node_id FROM unnest(%b::bigint[], %b::bigint[]) AS n(id, node_id)"
            " WHERE d.id = n.id AND d.node_id <> n.node_id",
            [[key for key, _ in shared], [node for _, node in shared]],
        )


def _id(key: int, place: Place) -> int:
    marks = [rank and [rank[0].isoformat(), str(rank[1])] for rank in (place.after, place.until)]
    return content_id("place", [key, place.known_from.isoformat(), *marks, place.node_id])


def _node(key: int, places: list[Place]) -> int:
    """The node a name stands for now; of one that was renamed the node it became; of one that is gone its own."""
    now = [place for place in places if place.known_to is None]
    now.sort(key=lambda place: (place.until is None, place.until or ()))
    return now[-1].node_id if now else key


def _names(cursor: Cursor, start: set[int]) -> Names:
    """Everything that symlinks and renames connect with the start, in as many queries as the longest chain has links."""
    names = Names()
    links: dict[int, tuple[int, int]] = {}
    reached, frontier = set(start), set(start)
    while frontier:
        cursor.execute(
            "SELECT id, dataset_id, alias_id FROM lineage_symlink WHERE dataset_id = ANY(%b::bigint[])"
            " OR alias_id = ANY(%b::bigint[])",
            [list(frontier)] * 2,
        )
        found = {row[0]: (row[1], row[2]) for row in cursor.fetchall()}
        cursor.execute(
            "SELECT DISTINCT dataset_id, renamed_to FROM lineage_life WHERE renamed_to IS NOT NULL"
            " AND (dataset_id = ANY(%b::bigint[]) OR renamed_to = ANY(%b::bigint[]))",
            [list(frontier)] * 2,
        )
        ends = {end for pair in [*found.values(), *cursor.fetchall()] for end in pair}
        links |= found
        frontier = ends - reached
        reached |= ends
    if not reached:
        return names
    cursor.execute("SELECT id, known_from FROM lineage_dataset WHERE id = ANY(%b::bigint[])", [list(reached)])
    names.known = dict(cursor.fetchall())
    names.lives = {key: deciding(lives) for key, lives in lives_load(cursor, reached).items()}
    words: dict[int, list[Word]] = {}
    cursor.execute(
        "SELECT dataset_id, link_id, known_from, event_time FROM lineage_symlinkword WHERE dataset_id = ANY(%b::bigint[])",
        [list(reached)],
    )
    for key, link_id, known_from, time in cursor.fetchall():
        side = words.setdefault(link_id, []) if link_id else names.removals.setdefault(key, [])
        side.append(Word(known_from, time))
    names.links = [Link(*pair, tuple(words.get(link_id, ()))) for link_id, pair in sorted(links.items())]
    return names


def words_write(cursor: Cursor, delta: Delta) -> dict[int, datetime]:
    """Keep when symlinks were stated and removed; returns the datasets with anything new, from which moment on.

    A statement that repeats what is known is kept only beside a removal: without one it decides nothing.
    """
    removals = {key: item.removals for key, item in delta.datasets.items() if item.removals}
    if not removals and not delta.symlinks:
        return {}
    keys = {link.dataset_id for link in delta.symlinks.values()} | removals.keys()
    cursor.execute(
        "SELECT dataset_id, link_id, known_from, event_time FROM lineage_symlinkword WHERE dataset_id = ANY(%b::bigint[])",
        [list(keys)],
    )
    known = set(cursor.fetchall())
    removed = {row[0] for row in known if row[1] == 0} | removals.keys()
    first: dict[int, datetime] = {}
    for _, link_id, known_from, _ in known:
        first[link_id] = min(first.get(link_id, known_from), known_from)
    fresh = {(key, 0, *word) for key, words in removals.items() for word in words}
    for link_id, link in delta.symlinks.items():
        start = first.get(link_id)
        words = link.words if link.dataset_id in removed else [min(link.words)]
        fresh |= {
            (link.dataset_id, link_id, *word)
            for word in words
            if link.dataset_id in removed or start is None or word[0] < start
        }
    fresh |= _last_words(cursor, removals)
    fresh -= known
    rows = sorted(fresh)
    names = (("dataset_id", "bigint"), ("link_id", "bigint"), ("known_from", "timestamptz"), ("event_time", "timestamptz"))
    columns: Columns = {name: (kind, [row[index] for row in rows]) for index, (name, kind) in enumerate(names)}
    upsert(cursor, "lineage_symlinkword", columns, key="dataset_id, link_id, known_from, event_time", update="")
    moved: dict[int, datetime] = {}
    for key, _, known_from, _ in rows:
        moved[key] = min(moved.get(key, known_from), known_from)
    return moved


def _last_words(
    cursor: Cursor, removals: dict[int, list[tuple[datetime, datetime]]]
) -> set[tuple[int, int, datetime, datetime]]:
    """For a removal said before what is known already: the newest statement of each link, known by then at the latest."""
    if not removals:
        return set()
    cursor.execute(
        "SELECT dataset_id, id, known_from, last_time FROM lineage_symlink WHERE dataset_id = ANY(%b::bigint[])",
        [list(removals)],
    )
    found = set()
    for key, link_id, known_from, last in cursor.fetchall():
        found |= {
            (key, link_id, max(known_from, moment), last)
            for moment, said in removals[key]
            if last > said and moment >= known_from
        }
    return found
