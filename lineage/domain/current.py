"""Which edges of a job hold: those named since its last completed run began.

A *statement* is an event that names inputs or outputs of a job, or completes a run of it. A run that completed and named
anything is a base; so is a job event, and the run of a streaming job as soon as it names anything. The base with the
highest completion rules, the first statement of its run is the *floor*, and the edges named at or above the floor hold:
by that run, by runs that are still at work, by runs that failed since. Before there is a base, all hold.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lineage.domain.delta import INPUT, OUTPUT, Rank

__all__ = ["Base", "Edge", "Edges", "Holds", "IoNames", "RunState", "Said", "bases", "edges_at", "intervals"]


@dataclass(frozen=True, slots=True)
class RunState:
    """What is known of a run: its first statement that names anything, its last completion."""

    first: Rank | None = None
    done: Rank | None = None


@dataclass(frozen=True, slots=True)
class Base:
    """The run whose statements rule, since its completion ranks highest."""

    run_id: uuid.UUID
    done: Rank
    floor: Rank


@dataclass(slots=True)
class Said:
    """One statement, and what was known after it of its run (``state``) and of its job (``base``)."""

    known_from: datetime
    rank: Rank
    run_id: uuid.UUID
    io_set: int
    done: bool
    effect: bool
    state: RunState | None = None
    base: Base | None = None


@dataclass(frozen=True, slots=True)
class IoNames:
    """What a statement names. ``explicit``: outputs whose sources a ``lineage`` facet states."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    explicit: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Holds:
    """An edge holds from a moment of knowledge to another (None: still)."""

    known_from: datetime
    known_to: datetime | None
    explicit: bool


# (dataset as named, direction, node) → explicit
Edge = tuple[int, int, int]
Edges = dict[Edge, bool]


def bases(said: Sequence[Said], *, before: Base | None, runs: dict[uuid.UUID, RunState]) -> None:
    """Set ``state`` and ``base`` of statements, given in the order of knowledge, from what was known before them."""
    base = before
    for item in said:
        state = runs.get(item.run_id) or RunState()
        first = item.rank if item.io_set and (state.first is None or item.rank < state.first) else state.first
        done = item.rank if item.done and (state.done is None or item.rank > state.done) else state.done
        if first is not state.first or done is not state.done:
            state = RunState(first, done)
        runs[item.run_id] = state
        if first and done and (base is None or base.run_id == item.run_id or done > base.done):
            base = Base(item.run_id, done, first)
        item.state, item.base = state, base


def edges_at(
    said: Iterable[Said],
    moment: datetime,
    names: Callable[[int], IoNames],
    node: Callable[[int, Rank, datetime], int | None],
) -> Edges:
    """The edges that statements name, united, as their names lead at a moment."""
    found: Edges = {}
    for item in said:
        named = names(item.io_set)
        for direction, keys in ((INPUT, named.inputs), (OUTPUT, named.outputs)):
            for key in keys:
                lead = node(key, item.rank, moment)
                if lead is None:
                    continue
                edge = (key, direction, lead)
                found[edge] = found.get(edge, False) or (direction == OUTPUT and key in named.explicit)
    return found


def intervals(before: Mapping[Edge, Holds], states: Sequence[tuple[datetime, Edges]]) -> list[tuple[Edge, Holds]]:
    """Intervals of knowledge out of what held before the first moment and what holds from each moment on.

    ``before``: open at the first moment. Gives those intervals too, ended where the states end them.
    """
    open_ = {edge: (holds.known_from, holds.explicit) for edge, holds in before.items()}
    done: list[tuple[Edge, Holds]] = []
    for moment, now in states:
        for edge in [edge for edge, (_, explicit) in open_.items() if now.get(edge) is not explicit]:
            known_from, explicit = open_.pop(edge)
            done.append((edge, Holds(known_from, moment, explicit)))
        for edge, explicit in now.items():
            open_.setdefault(edge, (moment, explicit))
    done += [(edge, Holds(known_from, None, explicit)) for edge, (known_from, explicit) in open_.items()]
    return done
