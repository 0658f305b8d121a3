"""Where the names of datasets lead: to which node of the graph, for what was said of a name when.

A name has ends (dropped, renamed). They cut the order of events into stretches: what was said of the name up to an end
belongs to what ended there. After a DROP that is nothing; after a RENAME it goes on under the new name; after the last end
the name stands for itself, once something wrote it again. Names that symlinks join are one node. All of this is known from
some moment on, so a name's places are intervals of knowledge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lineage.domain.delta import Life, Rank

__all__ = ["Link", "Names", "Place", "Word", "deciding", "intervals", "node_at"]


@dataclass(frozen=True, slots=True)
class Word:
    """A statement of a link, or a removal of all links of a dataset: when it became known, when it was said."""

    known_from: datetime
    time: datetime


@dataclass(frozen=True, slots=True)
class Link:
    """A symlink from a dataset to the identifier of another name."""

    dataset_id: int
    alias_id: int
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """What was said of a name after ``after`` (None: ever) up to ``until`` (None: still) leads to ``node_id``."""

    known_from: datetime
    known_to: datetime | None
    after: Rank | None
    until: Rank | None
    node_id: int

    def holds(self, rank: Rank) -> bool:
        return (self.after is None or rank > self.after) and (self.until is None or rank <= self.until)


@dataclass(slots=True)
class Names:
    """Datasets that symlinks or renames connect, and all that is known of them. ``known``: when each was first named."""

    known: dict[int, datetime] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    removals: dict[int, list[Word]] = field(default_factory=dict)
    lives: dict[int, list[Life]] = field(default_factory=dict)


_Stretch = tuple[Rank | None, Rank | None, int]


def intervals(names: Names, *, before: Mapping[int, Iterable[Place]], since: datetime) -> dict[int, list[Place]]:
    """The places of each name from a moment of knowledge on. ``before``: those that held just before it."""
    done: dict[int, list[Place]] = {key: [] for key in names.known}
    open_: dict[int, dict[_Stretch, datetime]] = {
        key: {(place.after, place.until, place.node_id): place.known_from for place in before.get(key, ())}
        for key in names.known
    }
    for moment in _moments(names):
        if moment < since:
            continue
        now = _stretches(names, moment)
        for key, begun in open_.items():
            stretches = now.get(key, set())
            for stretch in [item for item in begun if item not in stretches]:
                done[key].append(Place(begun.pop(stretch), moment, *stretch))
            for stretch in stretches:
                begun.setdefault(stretch, moment)
    for key, begun in open_.items():
        done[key] += [Place(known_from, None, *stretch) for stretch, known_from in begun.items()]
    return done


def deciding(lives: Iterable[Life]) -> list[Life]:
    """The ends, and of the writes those that bring a name back after one: the first known above each end."""
    lives = list(lives)
    ends = [life for life in lives if not life.alive]
    writes = [life for life in lives if life.alive]
    back = {
        min(above, key=lambda life: (life.known_from, life.rank))
        for end in ends
        if (above := [life for life in writes if life.rank > end.rank])
    }
    return [*ends, *sorted(back, key=lambda life: life.rank)]


def node_at(places: Iterable[Place], rank: Rank, moment: datetime) -> int | None:
    """The node that something said of a name at ``rank`` leads to, as known at a moment; None: it is gone."""
    for place in places:
        if place.known_from <= moment and (place.known_to is None or place.known_to > moment) and place.holds(rank):
            return place.node_id
    return None


def _moments(names: Names) -> list[datetime]:
    moments = set(names.known.values())
    moments |= {word.known_from for link in names.links for word in link.words}
    moments |= {word.known_from for words in names.removals.values() for word in words}
    moments |= {life.known_from for lives in names.lives.values() for life in lives}
    return sorted(moments)


def _stretches(names: Names, moment: datetime) -> dict[int, set[_Stretch]]:
    nodes = _nodes(names, moment)
    lives = {
        key: [life for life in known if life.known_from <= moment and not (not life.alive and life.renamed_to == key)]
        for key, known in names.lives.items()
    }
    ends = {key: sorted((life for life in known if not life.alive), key=lambda life: life.rank) for key, known in lives.items()}
    found: dict[int, set[_Stretch]] = {}
    for key in nodes:
        after: Rank | None = None
        stretches: set[_Stretch] = set()
        for end in ends.get(key, ()):
            node = _follow(end, ends, nodes)
            if node is not None:
                stretches.add((after, end.rank, node))
            after = end.rank
        if after is None or any(life.alive and life.rank > after for life in lives[key]):
            stretches.add((after, None, nodes[key]))
        found[key] = stretches
    return found


def _follow(end: Life, ends: Mapping[int, list[Life]], nodes: Mapping[int, int]) -> int | None:
    """Over renames to the name that stands now; ranks only rise, so a circle of renames ends too."""
    while end.renamed_to is not None:
        target, rank = end.renamed_to, end.rank
        following = next((item for item in ends.get(target, ()) if item.rank > rank), None)
        if following is None:
            return nodes.get(target)
        end = following
    return None


def _nodes(names: Names, moment: datetime) -> dict[int, int]:
    """The smallest identifier among the names joined at a moment; names not heard of by then have no node."""
    parent: dict[int, int] = {}

    def root(item: int) -> int:
        parent.setdefault(item, item)
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    present = {key for key, known_from in names.known.items() if known_from <= moment}
    for link in names.links:
        said = [word.time for word in link.words if word.known_from <= moment]
        removed = [word.time for word in names.removals.get(link.dataset_id, ()) if word.known_from <= moment]
        if said and (not removed or max(said) > max(removed)):
            parent[root(link.dataset_id)] = root(link.alias_id)
    groups: dict[int, int] = {}
    for key in sorted(present):
        groups.setdefault(root(key), key)
    return {key: groups[root(key)] for key in present}
