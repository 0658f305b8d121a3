"""Why two figures of the same day differ: what the later one was computed from that the earlier one was not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from controlplane.lake.errors import LakeError
from pipeline.models import KpiValue
from pipeline.selectors_files import TrailFile
from pipeline.selectors_rows import Row, Rows, side_rows, sides
from pipeline.selectors_trail import Trail, TrailDataset, trail_of

ROWS_COMPARED = 20_000  # more than that is not read for a page


@dataclass(frozen=True)
class Difference:
    """One thing that differs. ``kind``: contract, code, build, moment or recomputed; ``dataset`` empty: the figure itself."""

    kind: str
    dataset: str
    before: str
    after: str


@dataclass(frozen=True)
class FileDifference:
    """Files of a dataset that only one of the figures stands on, or that brought another number of rows."""

    dataset: str
    added: Sequence[TrailFile]
    gone: Sequence[TrailFile]
    other: Sequence[tuple[TrailFile, TrailFile]]


@dataclass(frozen=True)
class RowDifference:
    """A row behind the figure that appeared (before None), went (after None) or counts for another amount."""

    before: Row | None
    after: Row | None

    @property
    def row(self) -> Row:
        found = self.after or self.before
        assert found is not None
        return found

    @property
    def moved(self) -> Decimal:
        return (self.after.amount if self.after else Decimal(0)) - (self.before.amount if self.before else Decimal(0))


@dataclass(frozen=True)
class SideDifference:
    """Rows of one side that differ, largest first. ``explained``: they add up to the difference of the published sums."""

    side: str
    plural: str
    rows: Sequence[RowDifference]
    moved: Decimal
    published: Decimal
    readable: bool

    @property
    def explained(self) -> bool:
        return self.readable and self.moved == self.published


@dataclass(frozen=True)
class Comparison:
    """All that is known of why the figure changed."""

    before: Trail
    after: Trail
    differences: Sequence[Difference]
    files: Sequence[FileDifference]
    sides: Sequence[SideDifference]

    @property
    def moved(self) -> Decimal | None:
        old, new = self.before.value.value, self.after.value.value
        return None if old is None or new is None else new - old

    @property
    def files_added(self) -> int:
        return sum(len(one.added) for one in self.files)


def compare(before: KpiValue, after: KpiValue, *, with_rows: bool = True) -> Comparison | None:
    """What differs between two figures of one KPI and day; None when either has no trail.

    ``with_rows`` reads the rows behind both from the lake, as far as their table versions are still there.
    """
    old, new = trail_of(before, files_limit=None), trail_of(after, files_limit=None)
    if old is None or new is None:
        return None
    olds, news = ({one.dataset: one for one in found.datasets} for found in (old, new))
    names = [one.dataset for one in new.datasets] + sorted(set(olds) - set(news))
    differences = [one for name in names for one in _differences(name, olds.get(name), news.get(name))]
    if before.as_of != after.as_of and "$as_of" in new.figure.steps[0].code.text:
        differences.append(Difference("moment", "", before.as_of.isoformat(), after.as_of.isoformat()))
    files = [_files(name, olds.get(name), news.get(name)) for name in names]
    return Comparison(
        before=old,
        after=new,
        differences=differences,
        files=[one for one in files if one.added or one.gone or one.other],
        sides=[_side(side.name, before, after) for side in sides(after.kpi)] if with_rows else [],
    )


def _differences(name: str, old: TrailDataset | None, new: TrailDataset | None) -> list[Difference]:
    if old is None or new is None:
        return [Difference("input", name, "read" if old else "not read", "read" if new else "not read")]
    first, second = old.steps[0], new.steps[0]
    builds = (_build(old), _build(new))
    pairs = (
        ("contract", first.contract_version, second.contract_version),
        ("code", first.code.sha256, second.code.sha256),
        ("build", *builds),
    )
    return [Difference(kind, name, a, b) for kind, a, b in pairs if a and b and a != b]


def _build(one: TrailDataset) -> str:
    build, step = one.step.build, one.step
    parts = (
        build.get("version"),
        build.get("code") or step.run.code_version,
        (build.get("commit") or "")[:12],
        build.get("engine"),
    )
    return " · ".join(part for part in parts if part)


def _files(name: str, old: TrailDataset | None, new: TrailDataset | None) -> FileDifference:
    olds = {file.pk: file for file in old.files.listed} if old else {}
    news = {file.pk: file for file in new.files.listed} if new else {}
    return FileDifference(
        name,
        added=[file for pk, file in news.items() if pk not in olds],
        gone=[file for pk, file in olds.items() if pk not in news],
        other=[(olds[pk], file) for pk, file in news.items() if pk in olds and olds[pk].rows != file.rows],
    )


def _side(name: str, before: KpiValue, after: KpiValue) -> SideDifference:
    published = _published(after, name) - _published(before, name)
    plural = next(one.plural for one in sides(after.kpi) if one.name == name)
    read = [_readable(value, name) for value in (before, after)]
    old, new = read
    if old is None or new is None:
        return SideDifference(name, plural, [], Decimal(0), published, readable=False)
    olds, news = ({(row.kind, row.id, row.part): row for row in found.rows} for found in (old, new))
    rows = [RowDifference(olds.get(key), news.get(key)) for key in {**olds, **news}]
    changed = [one for one in rows if one.before is None or one.after is None or one.moved]
    moved = sum((one.moved for one in changed), Decimal(0))
    changed.sort(key=lambda one: (-abs(one.moved), one.row.kind, one.row.id, one.row.part))
    return SideDifference(name, plural, changed, moved, published, readable=True)


def _published(value: KpiValue, side: str) -> Decimal:
    return (value.numerator if side == "numerator" else value.denominator) or Decimal(0)


def _readable(value: KpiValue, side: str) -> Rows | None:
    """All rows of a side as the figure counted them; None when they are no longer kept, or too many for a page."""
    if _published(value, side) > ROWS_COMPARED and value.kpi != "net_revenue":
        return None
    try:
        found = side_rows(value, side, everything=True)
    except LakeError:
        return None
    return found if found is not None and found.adds_up and len(found.rows) <= ROWS_COMPARED else None
