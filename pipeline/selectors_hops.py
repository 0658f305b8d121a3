"""Down the steps: which step had made what each step read, level by level, from the versions that steps remember."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from catalog import selectors as catalog
from catalog.domain.contract import Contract
from pipeline.domain import scope
from pipeline.models import Step

MAX_DEPTH = 12  # the contracts form a DAG; a chain longer than this is a mistake in the data

# Who had written a partition last when the reader opened the table. ``version`` NULL: the reader kept none (it is older than
# this record keeping), so what came before it counts.
_PARTITION_SQL = """
SELECT r.place, w.step_id
FROM unnest(%s::int[], %s::text[], %s::text[], %s::bigint[], %s::bigint[]) AS r(place, dataset, partition, version, reader)
CROSS JOIN LATERAL (
  SELECT step_id FROM pipeline_partitionwrite
  WHERE dataset = r.dataset AND partition = r.partition AND (r.version IS NULL OR table_version <= r.version)
    AND step_id < r.reader
  ORDER BY table_version DESC, step_id DESC LIMIT 1
) AS w
"""

# The newest refresh in a table that was read as a whole.
_TABLE_SQL = """
SELECT r.place, w.id
FROM unnest(%s::int[], %s::text[], %s::bigint[], %s::bigint[]) AS r(place, dataset, version, reader)
CROSS JOIN LATERAL (
  SELECT id FROM pipeline_step
  WHERE dataset = r.dataset AND state = 'succeeded' AND table_version IS NOT NULL AND id < r.reader
    AND (r.version IS NULL OR table_version <= r.version)
  ORDER BY id DESC LIMIT 1
) AS w
"""


@dataclass
class Hop:
    """One step on the way, and what was read of its table.

    ``partitions`` None: the table as a whole (its newest refresh is the step). ``versions``: the table versions that readers
    opened; ``exact`` False when a reader kept no version. ``depth`` 0 is the figure's own step.
    """

    contract: Contract
    step: Step
    partitions: set[str] | None
    depth: int
    read_by: set[str] = field(default_factory=set)
    versions: set[int] = field(default_factory=set)
    exact: bool = True

    @property
    def dataset(self) -> str:
        return self.contract.dataset


@dataclass(frozen=True)
class _Read:
    """A reader asks for one partition (or None: everything) of an input."""

    reader: Hop
    dataset: str
    partition: str | None
    version: int | None
    exact: bool


class Contracts:
    """Contracts by the version that a step worked under; one query for all versions, texts from the catalog's cache."""

    def __init__(self) -> None:
        self.current: Mapping[str, Contract] = catalog.contracts_current()
        self._keys = catalog.contract_version_keys()

    def of(self, dataset: str, version: str) -> Contract | None:
        """The contract as of a version; the current one when the version is unknown."""
        found = self._keys.get((dataset, version))
        return catalog.contract_by_version(found[0]) if found is not None else self.current.get(dataset)

    def sha256(self, dataset: str, version: str) -> str:
        """SHA-256 of the contract's text; empty when the version is unknown."""
        return self._keys.get((dataset, version), (0, ""))[1]


def hops(step: Step, *, outputs: set[str], contracts: Contracts) -> list[Hop]:
    """Every step behind the partitions ``outputs`` that ``step`` had written. Two queries a level, and one for its steps."""
    contract = contracts.of(step.dataset, step.contract_version)
    if contract is None:
        return []
    start = Hop(contract, step, set(outputs), 0)
    found: dict[int, Hop] = {step.pk: start}
    frontier: list[tuple[Hop, set[str] | None]] = [(start, set(outputs))]
    for depth in range(1, MAX_DEPTH):
        reads = [read for hop, wanted in frontier for read in _reads(hop, wanted, contracts)]
        if not reads:
            break
        writers = _writers(reads)
        steps = Step.objects.select_related("run").in_bulk(set(writers.values()) - set(found))
        following: dict[int, tuple[Hop, set[str] | None]] = {}
        for place, read in enumerate(reads):
            pk = writers.get(place)
            if pk is None:
                continue
            hop = found.get(pk) or _hop(steps[pk], depth, contracts)
            if hop is None:
                continue
            found[pk] = hop
            new = _add(hop, read, depth)
            if new:
                _, wanted = following.get(pk, (hop, set()))
                following[pk] = (hop, None if wanted is None or read.partition is None else {*wanted, read.partition})
        frontier = list(following.values())
    return list(found.values())


def _reads(hop: Hop, wanted: set[str] | None, contracts: Contracts) -> list[_Read]:
    """What the hop's step read to compute the partitions ``wanted``.

    Silver names no inputs: it reads the keys that its rows may refer to, but no value comes from there.
    """
    found: list[_Read] = []
    kept = bool(hop.step.inputs)
    for given in hop.contract.inputs:
        upstream = contracts.current.get(given.dataset)
        if upstream is None:
            continue
        version = hop.step.inputs.get(given.dataset)
        if kept and version is None:
            continue  # there was no table yet
        whole = wanted is None or upstream.partition is None
        values = None if whole or wanted is None else scope.read_values(given, sorted(wanted))
        found += [_Read(hop, given.dataset, value, version, kept) for value in (values if values is not None else [None])]
    return found


def _writers(reads: Sequence[_Read]) -> dict[int, int]:
    """Place in ``reads`` → the step that had written it last."""
    single = [(place, read) for place, read in enumerate(reads) if read.partition is not None]
    whole = [(place, read) for place, read in enumerate(reads) if read.partition is None]
    with connection.cursor() as cursor:
        rows: list[tuple[int, int]] = []
        if single:
            columns: list[Any] = [[place for place, _ in single], *_columns([read for _, read in single], partitions=True)]
            cursor.execute(_PARTITION_SQL, columns)
            rows += cursor.fetchall()
        if whole:
            columns = [[place for place, _ in whole], *_columns([read for _, read in whole], partitions=False)]
            cursor.execute(_TABLE_SQL, columns)
            rows += cursor.fetchall()
    return dict(rows)


def _columns(reads: Sequence[_Read], *, partitions: bool) -> list[Any]:
    found: list[Any] = [[read.dataset for read in reads]]
    if partitions:
        found.append([read.partition for read in reads])
    return [*found, [read.version for read in reads], [read.reader.step.pk for read in reads]]


def _hop(step: Step, depth: int, contracts: Contracts) -> Hop | None:
    contract = contracts.of(step.dataset, step.contract_version)
    return None if contract is None else Hop(contract, step, set(), depth)


def _add(hop: Hop, read: _Read, depth: int) -> bool:
    """Note a reader. True when it reads something that has not been followed yet."""
    hop.read_by.add(read.reader.dataset)
    hop.depth = max(hop.depth, depth)
    hop.exact = hop.exact and read.exact
    if read.version is not None:
        hop.versions.add(read.version)
    if hop.partitions is None:
        return False
    if read.partition is None:
        hop.partitions = None
        return True
    new = read.partition not in hop.partitions
    hop.partitions.add(read.partition)
    return new
