"""From one row behind a figure to the rows of Silver it was made of, and to their records in the raw files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from catalog.domain.contract import BRONZE_FILE, BRONZE_ROW, Contract, Field
from controlplane.lake import services as lake
from controlplane.lake.errors import ObjectNotFound
from pipeline.domain.drill import DRILLS, KINDS, Kind, Origin
from pipeline.domain.records import Record, RecordMissing, record_at
from pipeline.models import BronzeFile, Drop, KpiValue
from pipeline.selectors_held import personal_columns
from pipeline.selectors_hops import Contracts, Hop, hops
from pipeline.selectors_rows import Opened, Wanted, reading, wanted_of
from pipeline.services.landing import store_key

ROWS_SHOWN = 20  # lines of one order


@dataclass(frozen=True)
class Value:
    """A column of a row. ``personal``: shown masked."""

    name: str
    value: Any
    personal: bool


@dataclass(frozen=True)
class Raw:
    """A record in its raw file. ``intact``: the bytes still have the SHA-256 of the manifest; ``fault``: why there is none."""

    file: BronzeFile
    drop: Drop | None
    ordinal: int
    record: Record | None
    personal: frozenset[str]
    intact: bool
    fault: str = ""

    @property
    def masked(self) -> str:
        return self.record.masked(self.personal) if self.record else ""

    @property
    def target(self) -> str:
        """The record in the audit log."""
        return f"bronze:{self.file.logical_id}#{self.ordinal}"

    @property
    def hides(self) -> list[str]:
        """Columns whose values are hidden."""
        return sorted(self.record.filled & self.personal) if self.record else []


@dataclass(frozen=True)
class LakeRow:
    """A row of a lake table with its values, and for Silver its record in Bronze."""

    dataset: str
    layer: str
    contract: Contract
    opened: Opened
    values: Sequence[Value]
    raw: Raw | None = None


@dataclass(frozen=True)
class Origins:
    """The rows of the fact, and what they were made of."""

    facts: Sequence[LakeRow]
    silver: Sequence[LakeRow]


def origins(value: KpiValue, *, kind: str, id_: str, part: str, place: str) -> Origins | None:
    """Where one row of a figure's side comes from; None when there is no such kind of row in the KPI.

    Tables are read at the versions that the figure's steps had read, while those are kept (see ``LakeRow.opened``).
    """
    known, drill = KINDS.get(kind), DRILLS.get(value.kpi)
    if known is None or drill is None:
        return None
    contracts = Contracts()
    found = hops(value.step, outputs={value.business_date.isoformat()}, contracts=contracts)
    fact_hop = _hop_at(found, known.fact, place)
    if fact_hop is None:
        return None
    reader = drill.reader or value.step.dataset
    facts = _read(
        _narrow(wanted_of(found, known.fact, reader=reader, contracts=contracts), [place]),
        _where(_key(known), id_=id_, part=part, place=place),
    )
    silver: list[LakeRow] = []
    for origin in known.origins:
        wanted = _narrow(wanted_of([*found, fact_hop], origin.dataset, reader=known.fact, contracts=contracts), [place])
        wanted = Wanted(wanted.contract, fact_hop.step.inputs.get(origin.dataset), wanted.writers)
        silver += _read(wanted, _where(origin, id_=id_, part=part, place=place))
    silver += _rate(facts, found, contracts)
    return Origins(facts, _with_records(silver, contracts))


def _hop_at(found: Sequence[Hop], dataset: str, place: str) -> Hop | None:
    """The step that had made a partition of a dataset."""
    mine = [hop for hop in found if hop.dataset == dataset and (hop.partitions is None or place in hop.partitions)]
    return max(mine, key=lambda hop: hop.step.pk, default=None)


def _narrow(wanted: Wanted, places: Sequence[str]) -> Wanted:
    writers = wanted.writers or {}
    return Wanted(wanted.contract, wanted.version, {place: writers.get(place, 0) for place in places})


def _key(kind: Kind) -> Origin:
    """Columns of the fact that hold a row's id, part and place: those of its first origin."""
    first = kind.origins[0]
    return Origin(kind.fact, first.id_column, first.place_column, first.part_column)


def _where(origin: Origin, *, id_: str, part: str, place: str) -> tuple[str, dict[str, str]]:
    tests = [f"CAST(r.{origin.id_column} AS VARCHAR) = $id", f"CAST(r.{origin.place_column} AS VARCHAR) = $place"]
    params = {"id": id_, "place": place}
    if origin.part_column and part:
        tests.append(f"CAST(r.{origin.part_column} AS VARCHAR) = $part")
        params["part"] = part
    return " AND ".join(tests), params


def _read(
    wanted: Wanted, condition: tuple[str, dict[str, Any]], *, order_by: str = "", limit: int = ROWS_SHOWN
) -> list[LakeRow]:
    contract = wanted.contract
    where, params = condition
    names = [one.name for one in contract.fields]
    if contract.layer == "silver":
        names += [BRONZE_FILE, BRONZE_ROW]
    columns = ", ".join(f"r.{name}" for name in names)
    order = order_by or ", ".join(f"r.{name}" for name in contract.key)
    sql = f"SELECT {columns} FROM {contract.dataset} AS r WHERE {where} ORDER BY {order} LIMIT {limit}"  # noqa: S608

    def read(session: Any, opened: Sequence[Opened]) -> list[LakeRow]:
        rows = session.fetch(sql, params=params).to_pylist()
        return [LakeRow(contract.dataset, contract.layer, contract, opened[0], _values(contract, row)) for row in rows]

    return reading([wanted], read)


def _values(contract: Contract, row: dict[str, Any]) -> list[Value]:
    fields = {one.name: one for one in contract.fields}
    return [Value(name, _plain(value), name in fields and _personal(fields[name])) for name, value in row.items()]


def _plain(value: Any) -> Any:
    """Times exactly as they are stored, in UTC; truth values as SQL writes them."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return str(value).lower() if isinstance(value, bool) else value


def _personal(field: Field) -> bool:
    return bool(field.pii) or field.classification == "high"


def _rate(facts: Sequence[LakeRow], found: Sequence[Hop], contracts: Contracts) -> list[LakeRow]:
    """The published rate that an amount in another currency was converted with."""
    if not facts:
        return []
    values = {one.name: one.value for one in facts[0].values}
    stamp, currency = values.get("fx_rate_hour"), values.get("currency")
    if currency in (None, "EUR") or not stamp:
        return []
    hour = datetime.fromisoformat(str(stamp))
    wanted = wanted_of(found, "fx_rates", reader="dim_fx_rate", contracts=contracts)
    days = [(hour + timedelta(days=offset)).date().isoformat() for offset in (-1, 0, 1)]
    condition = ("r.currency = $currency AND r.rate_hour = $hour", {"currency": currency, "hour": hour})
    return _read(_narrow(wanted, days), condition, order_by="r.updated_at", limit=1)


# --- Bronze -----------------------------------------------------------------------------------------------------------


def _with_records(rows: Sequence[LakeRow], contracts: Contracts) -> list[LakeRow]:
    places = [{one.name: one.value for one in row.values} for row in rows]
    files = {
        file.logical_id: file for file in BronzeFile.objects.filter(logical_id__in={place[BRONZE_FILE] for place in places})
    }
    drops: dict[int, Drop] = {}
    for drop in Drop.objects.filter(bronze_file__in=[file.pk for file in files.values()]).order_by("-id"):
        drops[int(drop.bronze_file_id or 0)] = drop
    contents: dict[str, tuple[bytes | None, bool]] = {}
    made = []
    for row, place in zip(rows, places, strict=True):
        file = files.get(place[BRONZE_FILE])
        raw = None
        if file is not None:
            if file.logical_id not in contents:
                contents[file.logical_id] = _content(file)
            contract = contracts.of(file.dataset, file.contract_version) or row.contract
            raw = _raw(file, drops.get(file.pk), int(place[BRONZE_ROW]), contract, content=contents[file.logical_id])
        made.append(LakeRow(row.dataset, row.layer, row.contract, row.opened, row.values, raw))
    return made


def _content(file: BronzeFile) -> tuple[bytes | None, bool]:
    """The file's bytes, and whether they are those of the manifest."""
    try:
        data = lake.store().get(store_key(file.uri))
    except ObjectNotFound:
        return None, False
    return data, hashlib.sha256(data).hexdigest() == file.sha256


def _raw(file: BronzeFile, drop: Drop | None, ordinal: int, contract: Contract, *, content: tuple[bytes | None, bool]) -> Raw:
    data, intact = content
    if data is None or contract.source is None:
        return Raw(file, drop, ordinal, None, frozenset(), intact, "the raw file is no longer in the store")
    try:
        record = record_at(data, contract.source, ordinal)
    except (RecordMissing, ValueError) as error:
        why = str(error) if isinstance(error, RecordMissing) else "the bytes do not read as the contract's format any more"
        return Raw(file, drop, ordinal, None, frozenset(), intact, why)
    return Raw(file, drop, ordinal, record, frozenset(personal_columns(file.dataset, record.columns)), intact)
