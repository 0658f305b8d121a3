"""The rows that a published figure was counted from, read from the table versions that its step had read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from django.db import connection

from catalog.domain.contract import Contract
from controlplane.lake import services as lake
from controlplane.lake.errors import SnapshotGone, TableNotFound
from pipeline.domain import scope
from pipeline.domain.drill import DRILLS, Drill, Side
from pipeline.models import KpiValue
from pipeline.selectors_hops import Contracts, Hop, hops
from pipeline.services.gold import schema_of
from pipeline.services.steps import table_of

PER_PAGE = 50
T = TypeVar("T")

_ROWS_SQL = """
SELECT s.kind, s.id, s.part, s.place, s.channel, s.region, s.detail, s.happened_at, s.amount FROM side_rows AS s
WHERE ($channel = '' OR s.channel = $channel) AND ($region = '' OR s.region = $region)
ORDER BY s.amount DESC, s.kind, s.id, s.part LIMIT $top OFFSET $skip
"""
_GROUPS_SQL = """
SELECT s.channel, s.region, COUNT(*) AS n, SUM(s.amount) AS total FROM side_rows AS s GROUP BY s.channel, s.region
"""
_NEWEST_SQL = """
SELECT p.partition, w.step_id FROM unnest(%s::text[]) AS p(partition)
CROSS JOIN LATERAL (
  SELECT step_id FROM pipeline_partitionwrite WHERE dataset = %s AND partition = p.partition
  ORDER BY table_version DESC, step_id DESC LIMIT 1
) AS w
"""


@dataclass(frozen=True)
class Wanted:
    """A table to read as a reader saw it: ``version`` (None: not kept), cut to ``writers`` (partition → step; None: whole)."""

    contract: Contract
    version: int | None
    writers: Mapping[str, int] | None


@dataclass(frozen=True)
class Opened:
    """How a table was read. ``state``: ``version`` (the very version), ``unchanged`` (the newest, whose partitions are still
    those that were read) or ``rewritten`` (the newest; the version is no longer kept and the partitions were replaced since).
    """

    dataset: str
    wanted: int | None
    used: int | None
    state: str


@dataclass(frozen=True)
class Row:
    """One row of a side. ``place``: the partition of the fact that holds it."""

    kind: str
    id: str
    part: str
    place: str
    channel: str
    region: str
    detail: str
    happened_at: Any
    amount: Decimal


@dataclass(frozen=True)
class Rows:
    """Rows of a side, those that the filters select counted apart. ``published``: what they should add up to."""

    side: Side
    drill: Drill
    opened: Sequence[Opened]
    count: int
    total: Decimal
    published: Decimal | None
    selected_count: int
    selected_total: Decimal
    rows: Sequence[Row]
    channels: Sequence[str]
    regions: Sequence[str]
    page: int

    @property
    def adds_up(self) -> bool:
        return self.total == (self.published or 0)

    @property
    def rewritten(self) -> bool:
        return any(one.state == "rewritten" for one in self.opened)

    @property
    def pages(self) -> int:
        return max(1, -(-self.selected_count // PER_PAGE))


def sides(key: str) -> tuple[Side, ...]:
    """Sides of a KPI that can be followed to their rows; none for a KPI that nobody has described."""
    found = DRILLS.get(key)
    return found.sides if found else ()


def side_rows(
    value: KpiValue, name: str, *, channel: str = "", region: str = "", page: int = 1, everything: bool = False
) -> Rows | None:
    """Rows of a side of a figure, largest amounts first; None when the KPI has no such side.

    ``everything``: all selected rows instead of a page of them.
    """
    drill = DRILLS.get(value.kpi)
    side = drill.side(name) if drill else None
    if drill is None or side is None:
        return None
    wanted = _facts(value, drill, side)
    params = {"day": value.business_date} | ({"as_of": value.as_of} if side.takes_as_of else {})

    def read(session: Any, opened: Sequence[Opened]) -> Rows:
        session.create("side_rows", side.sql, params=params)
        groups = session.fetch(_GROUPS_SQL).to_pylist()
        chosen = [one for one in groups if channel in ("", one["channel"]) and region in ("", one["region"])]
        window = {"top": 2**31 - 1 if everything else PER_PAGE, "skip": 0 if everything else PER_PAGE * (page - 1)}
        found = session.fetch(_ROWS_SQL, params={"channel": channel, "region": region, **window})
        return Rows(
            side=side,
            drill=drill,
            opened=opened,
            count=sum(one["n"] for one in groups),
            total=sum((one["total"] for one in groups), Decimal(0)),
            published=value.numerator if name == "numerator" else value.denominator,
            selected_count=sum(one["n"] for one in chosen),
            selected_total=sum((one["total"] for one in chosen), Decimal(0)),
            rows=[Row(**one) for one in found.to_pylist()],
            channels=sorted({one["channel"] for one in groups if one["channel"]}),
            regions=sorted({one["region"] for one in groups if one["region"]}),
            page=page,
        )

    return reading(wanted, read)


def _facts(value: KpiValue, drill: Drill, side: Side) -> list[Wanted]:
    contracts = Contracts()
    found = hops(value.step, outputs={value.business_date.isoformat()}, contracts=contracts)
    return [wanted_of(found, fact, reader=drill.reader or value.step.dataset, contracts=contracts) for fact in side.facts]


def wanted_of(found: Sequence[Hop], dataset: str, *, reader: str, contracts: Contracts) -> Wanted:
    """A table of the trail as the newest step of ``reader`` had opened it."""
    readers = [hop for hop in found if hop.dataset == reader]
    version = max(readers, key=lambda hop: hop.step.pk).step.inputs.get(dataset) if readers else None
    mine = sorted((hop for hop in found if hop.dataset == dataset), key=lambda hop: hop.step.pk)
    contract = mine[-1].contract if mine else contracts.current[dataset]
    if any(hop.partitions is None for hop in mine):
        return Wanted(contract, version, None)
    return Wanted(contract, version, {place: hop.step.pk for hop in mine for place in hop.partitions or ()})


def reading(wanted: Sequence[Wanted], read: Callable[[Any, Sequence[Opened]], T]) -> T:
    """``read`` with the tables open under their datasets' names: at their versions, else (those being gone) as they are now."""
    try:
        with _session(wanted, at_version=True) as (session, opened):
            return read(session, opened)
    except (SnapshotGone, TableNotFound):
        with _session(wanted, at_version=False) as (session, opened):
            return read(session, opened)


@contextmanager
def _session(wanted: Sequence[Wanted], *, at_version: bool) -> Iterator[tuple[Any, list[Opened]]]:
    # Whoever wrote the table, this engine reads it, here and at once.
    with lake.engine("duckdb").session() as session:
        yield session, [_open(session, one, at_version=at_version) for one in wanted]


def _open(session: Any, one: Wanted, *, at_version: bool) -> Opened:
    contract = one.contract
    where = None
    if one.writers is not None and contract.partition is not None:
        where = scope.predicate(contract.partition, one.writers)
    version = one.version if at_version else None
    used = session.register_table(
        contract.dataset, table_of(contract), where=where, schema=schema_of(contract), version=version
    )
    if version is not None:
        return Opened(contract.dataset, one.version, used, "version")
    return Opened(contract.dataset, one.version, used, "unchanged" if _unchanged(one) else "rewritten")


def _unchanged(one: Wanted) -> bool:
    """Whether the partitions that were read are still those that stood there then."""
    if one.writers is None:
        return False
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST_SQL, [list(one.writers), one.contract.dataset])
        return dict(cursor.fetchall()) == dict(one.writers)
