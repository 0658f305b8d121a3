"""What a set of events says about the graph, as values that combine by union, minimum, maximum and last writer.

Every merge here is commutative, associative and idempotent; that is the whole reason why order, grouping and repetition of
events cannot matter. A *rank* is ``(event time, event identity)``: the total order in which the last writer is chosen.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from lineage.domain.ids import facet_digest
from lineage.domain.storable import storable_json

Rank = tuple[datetime, uuid.UUID]
RunRank = tuple[int, datetime, uuid.UUID]

INPUT, OUTPUT = 1, 2
# Where a set of explicit edges comes from: one register each, so that the removal of one facet leaves the others.
COLUMN_LINEAGE, DATASET_LINEAGE, JOB_LINEAGE = 1, 2, 3


@dataclass(slots=True)
class DatasetDelta:
    namespace: str
    name: str
    known_from: datetime
    last_event_time: datetime
    seen: bool = False
    write: Rank | None = None
    drop: Rank | None = None
    renamed_to: int | None = None
    symlinks_removed: datetime | None = None
    removals: list[tuple[datetime, datetime]] = field(default_factory=list)


@dataclass(slots=True)
class JobDelta:
    namespace: str
    name: str
    known_from: datetime
    last_event_time: datetime
    latest: tuple[Rank, uuid.UUID] | None = None
    parent: tuple[Rank, str, str] | None = None


@dataclass(slots=True)
class RunDelta:
    run_id: str
    job: tuple[Rank, int]
    known_from: datetime
    first_time: datetime
    last_time: datetime
    state: tuple[RunRank, str]
    started_at: datetime | None = None
    parent: tuple[Rank, uuid.UUID, str, str] | None = None
    root: tuple[Rank, uuid.UUID] | None = None
    nominal: tuple[Rank, datetime | None, datetime | None] | None = None
    io_sets: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class FacetDelta:
    """A facet as an event has it. Its text is made when it is asked for: of many events' facets, one is the last word."""

    rank: Rank
    recorded_at: datetime
    facet: Mapping[str, Any]

    @cached_property
    def body(self) -> str:
        return storable_json(self.facet)

    @cached_property
    def digest(self) -> str:
        return facet_digest(self.body)

    @property
    def deleted(self) -> bool:
        return bool(self.facet.get("_deleted"))


@dataclass(frozen=True, slots=True)
class StatementDelta:
    """An event that names inputs or outputs of a job (``io_set`` 0: none), or completes a run of it.

    ``done``: what the run named so far is complete. ``effect``: what it names as output is written, not only about to be.
    """

    known_from: datetime
    rank: Rank
    run_id: uuid.UUID
    io_set: int
    done: bool
    effect: bool


@dataclass(slots=True)
class IoSetDelta:
    job_id: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    explicit: tuple[int, ...]
    known_from: datetime


@dataclass(slots=True)
class SymlinkDelta:
    dataset_id: int
    namespace: str
    name: str
    type: str
    known_from: datetime
    last_time: datetime
    words: list[tuple[datetime, datetime]] = field(default_factory=list)


@dataclass(slots=True)
class VersionDelta:
    dataset_id: int
    kind: str
    version: str
    first: Rank
    run_id: uuid.UUID | None
    known_from: datetime


@dataclass(frozen=True, slots=True)
class FieldEdge:
    """One edge of an explicit edge set; an empty field means the dataset as a whole."""

    source: int
    source_field: int
    target_field: int
    transformations: str
    direct: bool
    masking: bool


@dataclass(slots=True)
class EdgeSet:
    job_id: int
    dataset_id: int
    source: int
    edges: tuple[FieldEdge, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """An event's statement that an edge set holds (``edge_set`` 0: that none does)."""

    known_from: datetime
    rank: Rank
    edge_set: int


@dataclass(frozen=True, slots=True)
class Life:
    """One event's statement that a dataset was written (alive), or dropped or renamed (not)."""

    known_from: datetime
    rank: Rank
    alive: bool
    renamed_to: int | None = None


FacetKey = tuple[str, int, str]
RunFacetKey = tuple[uuid.UUID, int, int, str]
ClaimKey = tuple[int, int, int]


@dataclass(slots=True)
class Delta:
    """Everything that a set of events contributes, keyed as the tables are."""

    events: int = 0
    namespaces: dict[str, datetime] = field(default_factory=dict)
    datasets: dict[int, DatasetDelta] = field(default_factory=dict)
    jobs: dict[int, JobDelta] = field(default_factory=dict)
    runs: dict[uuid.UUID, RunDelta] = field(default_factory=dict)
    facets: dict[FacetKey, FacetDelta] = field(default_factory=dict)
    run_facets: dict[RunFacetKey, FacetDelta] = field(default_factory=dict)
    fields: dict[int, tuple[int, str, datetime]] = field(default_factory=dict)
    io_sets: dict[int, IoSetDelta] = field(default_factory=dict)
    statements: dict[int, list[StatementDelta]] = field(default_factory=dict)
    edge_sets: dict[int, EdgeSet] = field(default_factory=dict)
    claims: dict[ClaimKey, list[Claim]] = field(default_factory=dict)
    symlinks: dict[int, SymlinkDelta] = field(default_factory=dict)
    versions: dict[int, VersionDelta] = field(default_factory=dict)
    drops: dict[int, list[Life]] = field(default_factory=dict)
    writes: dict[int, list[Life]] = field(default_factory=dict)
    # Writes that no statement of a job tells of: those of dataset events and of inputs.
    touches: dict[int, list[Life]] = field(default_factory=dict)


def later(old: Rank | None, new: Rank) -> bool:
    return old is None or new > old
