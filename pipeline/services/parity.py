"""The parity canary: the same drops through two engines into two scratch lakes, compared table by table by one reader."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone

from catalog.domain.contract import Contract
from catalog.selectors import contracts_current
from controlplane.lake import services as lake
from controlplane.lake.services import LakeConfig
from pipeline.domain import scope
from pipeline.domain.dag import Dag
from pipeline.domain.decode import decode, decoded_schema
from pipeline.domain.silver_sql import silver_schema, silver_sql
from pipeline.errors import DropRefused
from pipeline.models import BronzeFile
from pipeline.services import gold
from pipeline.services.landing import decoded_uri, parquet_bytes, subject_tokens
from pipeline.services.silver import partition_values
from pipeline.services.steps import table_of


@dataclass(frozen=True)
class TableParity:
    """One table on both engines: rows and content hash each."""

    table: str
    rows: tuple[int, int]
    hashes: tuple[str, str]

    @property
    def equal(self) -> bool:
        return self.rows[0] == self.rows[1] and self.hashes[0] == self.hashes[1]


def compare(*, drops: str | None, engines: list[str], keep: str | None, as_of: datetime | None = None) -> list[TableParity]:
    """Build every table on both engines from the same drops, from nothing, and compare them.

    ``drops``: folder of ``dataset/file``; None takes this installation's Bronze files. ``keep``: folder that keeps both lakes.
    """
    as_of = as_of or timezone.now()
    contracts = contracts_current()
    root = Path(keep or tempfile.mkdtemp(prefix="touchstone-parity-"))
    try:
        files = _from_folder(Path(drops), contracts, root / "decoded") if drops else _from_bronze(contracts)
        lakes = []
        for number, name in enumerate(engines):
            place = replace(lake.config(), root=str(root / f"{number}-{name}"))
            Path(place.root).mkdir(parents=True, exist_ok=True)
            build(engine=name, place=place, contracts=contracts, files=files, as_of=as_of)
            lakes.append(place)
        return [_compare_table(contracts[name], lakes) for name in Dag(contracts).order()]
    finally:
        if keep is None:
            shutil.rmtree(root, ignore_errors=True)


def build(
    *, engine: str, place: LakeConfig, contracts: dict[str, Contract], files: dict[str, list[str]], as_of: datetime
) -> None:
    """Every table of the contracts from decoded drops (dataset → Parquet addresses) in the lake at ``place``, from nothing."""
    today = as_of.astimezone(ZoneInfo(settings.BUSINESS_TIME_ZONE)).date()
    for name in Dag(contracts).order():
        contract = contracts[name]
        with lake.engine(engine, at=place).session() as session:
            if contract.layer == "silver":
                _build_silver(session, contract, contracts, files.get(name, []))
            else:
                _build_gold(session, contract, contracts, place=place, today=today, as_of=as_of)


def _build_silver(session: Any, contract: Contract, contracts: dict[str, Contract], uris: list[str]) -> None:
    sql = silver_sql(contract, business_zone=settings.BUSINESS_TIME_ZONE)
    session.register_files("landed", uris, decoded_schema(contract))
    for ref in sql.references:
        upstream = contracts[ref.dataset]
        session.register_table(f"{ref.view}_table", table_of(upstream), schema=silver_schema(upstream))
        session.create(ref.view, f"SELECT DISTINCT k.{ref.key} AS ref_key FROM {ref.view}_table AS k")
    session.register_table("present", table_of(contract), schema=silver_schema(contract))
    for statement in ("typed", "judged", "incoming"):
        session.create(statement, sql[statement])
    part = contract.partition
    places = sorted({row["place"] for row in session.fetch(sql["counts"]).to_pylist()})
    session.write(
        table_of(contract),
        sql["merged"],
        schema=silver_schema(contract),
        partition_by=part.column if part else None,
        replace=partition_values(contract, places) if part else None,
    )


def _build_gold(
    session: Any, contract: Contract, contracts: dict[str, Contract], *, place: LakeConfig, today: date, as_of: datetime
) -> None:
    def listing(one: Contract) -> list[str]:
        return lake.table_partitions(table_of(one), at=place) if lake.table_exists(table_of(one), at=place) else []

    part = contract.partition
    outputs = None
    if part is not None:
        outputs = sorted(gold.partitions_possible(contract, contracts, today=today, listing=listing))
    sql = gold.gold_sql(contract)
    for batch in [None] if outputs is None else scope.chunks(outputs, gold.PARTITIONS_AT_ONCE):
        gold.register_inputs(session, contract, contracts, batch)
        session.create("candidate", sql, params={"as_of": as_of} if "$as_of" in sql else {})
        columns = ", ".join(f"c.{name}" for name in gold.gold_schema(contract).names)
        session.write(
            table_of(contract),
            f"SELECT {columns} FROM candidate AS c",
            schema=gold.gold_schema(contract),
            partition_by=part.column if part else None,
            replace=partition_values(contract, batch) if part and batch is not None else None,
        )


def _from_bronze(contracts: dict[str, Contract]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for file in BronzeFile.objects.filter(dataset__in=contracts).order_by("id"):
        found.setdefault(file.dataset, []).append(decoded_uri(file, contracts[file.dataset]))
    return found


def _from_folder(folder: Path, contracts: dict[str, Contract], target: Path) -> dict[str, list[str]]:
    """Decode a folder's drops as landing would; what the edge refuses is left out, a drop seen twice counts once."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*/*")):
        contract = contracts.get(path.parent.name)
        if contract is None or not path.is_file():
            continue
        logical_id = f"{contract.dataset}-{hashlib.sha256(path.read_bytes()).hexdigest()[:32]}"
        decoded_path = target / f"{logical_id}.parquet"
        if decoded_path.exists():
            continue
        try:
            decoded = decode(path, contract, logical_id=logical_id, tokens=subject_tokens)
        except DropRefused:
            continue
        decoded_path.parent.mkdir(parents=True, exist_ok=True)
        decoded_path.write_bytes(parquet_bytes(decoded))
        found.setdefault(contract.dataset, []).append(str(decoded_path))
    return found


def _compare_table(contract: Contract, lakes: list[LakeConfig]) -> TableParity:
    name = table_of(contract)
    rows, hashes = [], []
    for place in lakes:
        if not lake.table_exists(name, at=place):
            rows.append(0)
            hashes.append("")
            continue
        with lake.engine("duckdb", at=place).session() as session:  # one reader for both
            session.register_table("t", name)
            rows.append(int(session.fetch("SELECT COUNT(*) AS n FROM t")["n"][0].as_py()))
        hashes.append(lake.content_hash(name, at=place))
    return TableParity(name, (rows[0], rows[1]), (hashes[0], hashes[1]))
