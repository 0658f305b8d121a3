"""A published figure computed again in a scratch lake, with the SQL, contracts and raw files that it was made from.

Nothing is written to the lake or to the tables of the pipeline. The engine is that of the settings, save where the cluster
could not see a scratch folder of this machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from django.conf import settings

from catalog.domain.contract import BRONZE_FILE, Contract
from catalog.selectors import contracts_current
from controlplane.lake import services as lake
from controlplane.lake.errors import SnapshotGone, TableNotFound
from controlplane.lake.portable.types import arrow_type_sql
from controlplane.lake.services import LakeConfig
from pipeline.domain import scope
from pipeline.domain.code import code_version
from pipeline.domain.decode import decoded_schema
from pipeline.domain.silver_sql import SilverSql, silver_schema, silver_sql
from pipeline.errors import NotReproducible, Overloaded
from pipeline.models import BronzeFile
from pipeline.selectors_reproduce import Epoch, Node, NodeKey, Part, Plan, contract_at, epochs_with, sql_text
from pipeline.services import gold, watermarks
from pipeline.services.events import sha256_of
from pipeline.services.landing import decoded_uri
from pipeline.services.raw_files import Checked, files_check, records_write
from pipeline.services.silver import partition_values
from pipeline.services.steps import table_of

Source = Literal["bronze", "delta"]
NOWHERE = "scratch/nothing"  # a table that never exists: reads as an empty view
_STATEMENT = re.compile(r"^-- (\w+)$", re.MULTILINE)
SCRATCH_FACTOR = 4  # text, typed rows and tables beside each other


@dataclass(frozen=True)
class Progress:
    """What the computation is doing: ``done`` of ``total`` datasets, and the files checked so far."""

    done: int
    total: int
    now: str
    files_checked: int = 0
    files_total: int = 0


@dataclass(frozen=True)
class Table:
    """A table that was computed again, beside what the lake holds of the version that the figure was made from.

    ``kept_hash`` None: the lake keeps that version no more, so there is nothing to compare with.
    """

    dataset: str
    layer: str
    partitions: tuple[str, ...] | None
    rows: int
    content_hash: str
    table_version: int | None
    kept_rows: int | None
    kept_hash: str | None
    moved_files: tuple[str, ...] = ()  # logical ids of files that hold other versions of the same keys

    @property
    def equal(self) -> bool | None:
        return None if self.kept_hash is None else self.kept_hash == self.content_hash


@dataclass
class Recomputed:
    """The figure as it came out (``value`` … None and ``present`` False: no row for the day), and what lay on the way."""

    present: bool
    value: Decimal | None
    numerator: Decimal | None
    denominator: Decimal | None
    tables: list[Table] = field(default_factory=list)
    checked: Checked = field(default_factory=lambda: Checked(0, 0, ()))
    engine: str = ""
    code_version: str = ""


def recompute(
    plan: Plan, *, folder: Path, source: Source = "bronze", progress: Callable[[Progress], None] = lambda _: None
) -> Recomputed:
    """Compute the plan's figure again under ``folder``, which the caller removes.

    ``progress`` is called often and may raise to stop. Raises NotReproducible when something needed is gone or was changed,
    Overloaded when the disk's watermark would be passed.
    """
    work = _Work(plan, folder=folder, source=source, progress=progress)
    tables = [f"{node.layer}/{node.contract.dataset}" for node in plan.nodes]
    with lake.reading(sorted(set(tables)), holder="reproduce"):
        return work.run()


def tables_kept(plan: Plan) -> list[tuple[Node, int | None, str | None]]:
    """(table, rows, content hash) of what the lake keeps of each version that the figure was made from; None: no more."""
    return [(node, *_kept(node)) for node in plan.nodes]


def table_content(
    dataset: str, partitions: Sequence[str] | None, version: str, *, table_version: int | None
) -> tuple[int, str] | None:
    """(rows, content hash) of partitions (None: all) in the columns of a contract version; ``table_version`` None: as of now.

    None when that version of the table is not kept any more.
    """
    contract = contract_at(dataset, version)
    where = scope.predicate(contract.partition, partitions) if contract.partition and partitions is not None else None
    try:
        return lake.rows_content(table_of(contract), schema=gold.schema_of(contract), where=where, version=table_version)
    except SnapshotGone:
        return None
    except TableNotFound:
        return 0, ""


class _Work:
    def __init__(self, plan: Plan, *, folder: Path, source: Source, progress: Callable[[Progress], None]) -> None:
        self.plan, self.folder, self.source, self.report = plan, folder, source, progress
        real = lake.config()
        self.place: LakeConfig = replace(real, root=str(folder / "lake"), temp=folder / "engine", storage_options={})
        # A cluster reads and writes where its lake is; it does not see a folder of this machine.
        self.engine = settings.ENV.engine if real.is_local else "duckdb"
        self.names = _table_names(plan.nodes)
        self.written: set[NodeKey] = set()
        self.schemas: dict[NodeKey, pa.Schema] = {}
        self.moved: dict[NodeKey, tuple[str, ...]] = {}
        self.done = 0

    def run(self) -> Recomputed:
        Path(self.place.root).mkdir(parents=True, exist_ok=True)
        nodes = self.plan.nodes
        checked = Checked(0, 0, ())
        if self.source == "bronze":
            self._disk(sum(file.size_bytes for node in nodes for file in self.plan.files_of(node)))
            for node in nodes:
                self._widen(node)
            checked = self._check_files()
        result = Recomputed(False, None, None, None, checked=checked, engine=self.engine, code_version=code_version())
        for node in nodes:
            self._say(f"computing {node.contract.dataset}")
            self._disk(0)
            self._compute(node)
            result.tables.append(self._measured(node))
            self.done += 1
        self._say("comparing")
        self._figure(result)
        return result

    def _say(self, now: str, *, checked: int = 0, total: int = 0) -> None:
        self.report(Progress(self.done, len(self.plan.nodes), now, checked, total))

    def _disk(self, size_bytes: int) -> None:
        for mark in watermarks.readings(size_bytes=size_bytes * SCRATCH_FACTOR // 3):  # readings count a drop three times
            if mark.name == "disk" and mark.passed:
                reason = f"{mark.title} is {mark.used:.0f} {mark.unit}, the limit is {mark.limit:.0f}. Free disk space first."
                raise Overloaded(status=mark.status, reason=reason, retry_after_s=300)

    def _check_files(self) -> Checked:
        wanted = {file.pk: file for node in self.plan.nodes for file in self.plan.files_of(node)}
        total = len(wanted)
        return files_check(
            (wanted[pk] for pk in sorted(wanted)),
            progress=lambda number: self._say("checking raw files", checked=number, total=total),
        )

    # --- one table ------------------------------------------------------------------------------------------------------

    def _compute(self, node: Node) -> None:
        if node.layer == "gold":
            for part in sorted(node.parts, key=lambda one: one.step.pk):  # later contracts only add columns
                self._gold(node, part)
        elif self.source == "delta":
            self._from_lake(node)
        elif node.epochs:
            self._silver(node)

    def _gold(self, node: Node, part: Part) -> None:
        contract, sql = part.contract, _gold_text(part)
        schema = gold.gold_schema(contract)
        contracts = {name: self._contract_read(name, key) for name, key in node.reads.items()}
        names = {name: self.names[key] if key in self.written else NOWHERE for name, key in node.reads.items()}
        batches: list[list[str] | None] = [None]
        if part.partitions is not None:
            batches = list(scope.chunks(part.partitions, gold.PARTITIONS_AT_ONCE))
        columns = ", ".join(f"c.{name}" for name in schema.names)
        for batch in batches:
            with lake.engine(self.engine, at=self.place).session() as session:
                gold.register_inputs(_Renamed(session, names), contract, contracts, batch)
                session.create("candidate", sql, params={"as_of": part.step.run.as_of} if "$as_of" in sql else {})
                session.write(
                    self.names[node.key],
                    f"SELECT {columns} FROM candidate AS c",
                    schema=schema,
                    partition_by=contract.partition.column if contract.partition else None,
                    replace=partition_values(contract, batch) if batch is not None else None,
                )
        self._wrote(node, schema)

    def _contract_read(self, dataset: str, key: NodeKey | None) -> Contract:
        if key is None:  # there was no table: only the shape of an empty view is asked for
            return contracts_current()[dataset]
        return next(node.contract for node in self.plan.nodes if node.key == key)

    def _wrote(self, node: Node, schema: pa.Schema) -> None:
        self.written.add(node.key)
        known = self.schemas.get(node.key)
        more = [one for one in schema if known is not None and one.name not in known.names]
        self.schemas[node.key] = schema if known is None else pa.schema([*known, *more])

    # --- Silver from its raw files ----------------------------------------------------------------------------------------

    def _widen(self, node: Node) -> None:
        """Add the files that hold other versions of the same keys, where rows may move between partitions."""
        if node.layer != "silver" or not node.searched or not node.files:
            return
        self._say(f"looking for moved rows of {node.contract.dataset}")
        others = [self.plan.files[pk] for pk in sorted(node.searched)]
        found = self._files_with_same_keys(node.contract, self.plan.files_of(node), others)
        if found:
            node.epochs = epochs_with(node, found)
            self.moved[node.key] = tuple(self.plan.files[pk].logical_id for pk in found)

    def _files_with_same_keys(self, contract: Contract, files: Iterable[BronzeFile], others: list[BronzeFile]) -> list[int]:
        columns = pa.schema([*(pa.field(name, pa.string()) for name in contract.key), pa.field(BRONZE_FILE, pa.string())])
        same = " AND ".join(f"clean(m.{name}) = clean(o.{name})" for name in contract.key)
        try:
            with lake.engine("duckdb").session() as session:
                session.register_files("mine", [decoded_uri(file, contract) for file in files], columns)
                session.register_files("others", [decoded_uri(file, contract) for file in others], columns)
                sql = f"SELECT DISTINCT o.{BRONZE_FILE} AS f FROM others AS o JOIN mine AS m ON {same}"
                hit = set(session.fetch(sql)["f"].to_pylist())
        except SnapshotGone:
            return [file.pk for file in others]  # all of them, then: slower, and as exact
        return [file.pk for file in others if file.logical_id in hit]

    def _silver(self, node: Node) -> None:
        with lake.engine(self.engine, at=self.place).session() as session:
            former: SilverSql | None = None
            contract = node.contract
            for number, epoch in enumerate(node.epochs):
                contract = epoch.contract
                sql = _silver_text(epoch)
                path = self.folder / "landed" / f"{node.contract.dataset}-{node.step.pk}-{number}.parquet"
                files = [self.plan.files[pk] for pk in sorted(epoch.files)]
                records_write(path, files, contract, rows=epoch.rows, scratch=self.folder)
                session.register_files("landed", [str(path)], decoded_schema(contract))
                self._references(session, node, sql)
                self._present(session, contract, former)
                for name in ("typed", "judged", "incoming"):
                    session.create(name, sql[name])
                session.create("merged_rows", sql["merged"])
                path.unlink()
                former = sql
            assert former is not None
            part = contract.partition
            where = f" WHERE {scope.predicate(part, node.partitions)}" if part and node.partitions is not None else ""
            session.write(
                self.names[node.key],
                f"SELECT {', '.join(f'm.{name}' for name in former.columns)} FROM merged_rows AS m{where}",
                schema=silver_schema(contract),
                partition_by=part.column if part else None,
            )
        self._wrote(node, silver_schema(contract))

    def _references(self, session: Any, node: Node, sql: SilverSql) -> None:
        for ref in sql.references:
            key = node.reads.get(ref.dataset)
            upstream = self._contract_read(ref.dataset, key)
            shape = pa.schema([pa.field(ref.key, upstream.field(ref.key).arrow_type)])
            table = self.names[key] if key in self.written and key is not None else NOWHERE
            session.register_table(f"{ref.view}_table", table, schema=shape)
            session.create(ref.view, f"SELECT DISTINCT k.{ref.key} AS ref_key FROM {ref.view}_table AS k")

    def _present(self, session: Any, contract: Contract, former: SilverSql | None) -> None:
        """What the judgements before left, in the columns of this contract."""
        schema = silver_schema(contract)
        if former is None:
            session.register_arrow("present", schema.empty_table())
            return
        columns = ", ".join(
            f"CAST({f'm.{one.name}' if one.name in former.columns else 'NULL'} AS {arrow_type_sql(one.type, 'duckdb')})"
            f" AS {one.name}"
            for one in schema
        )
        session.create("present", f"SELECT {columns} FROM merged_rows AS m")

    def _from_lake(self, node: Node) -> None:
        """The Silver table as of the version that was read, as long as the lake keeps it."""
        if node.table_version is None:
            return
        contract, schema = node.contract, silver_schema(node.contract)
        part = contract.partition
        columns = ", ".join(f"k.{name}" for name in schema.names)
        try:
            with lake.engine(self.engine, at=self.place).session() as session:
                session.register_table(
                    "kept",
                    table_of(contract),
                    where=_where(node),
                    schema=schema,
                    version=node.table_version,
                    at=lake.config(),
                )
                session.write(
                    self.names[node.key],
                    f"SELECT {columns} FROM kept AS k",
                    schema=schema,
                    partition_by=part.column if part else None,
                )
        except (SnapshotGone, TableNotFound) as gone:
            keep = settings.ENV.version_retention_min
            raise NotReproducible(
                f"version {node.table_version} of silver.{contract.dataset} is not kept any more: the lake keeps versions for"
                f" {keep} minutes. Reproduce from the raw files instead.",
                [{"kind": "version", "dataset": contract.dataset, "table_version": node.table_version, "record": None}],
            ) from gone
        self._wrote(node, schema)

    # --- comparing --------------------------------------------------------------------------------------------------------

    def _measured(self, node: Node) -> Table:
        contract = node.contract
        schema = gold.schema_of(contract)
        made, where = partitions_made(node), _where(node)
        rows, digest = 0, ""
        if node.key in self.written:
            rows, digest = lake.rows_content(self.names[node.key], schema=schema, where=where, at=self.place)
        kept_rows, kept_hash = _kept(node)
        if not rows and not kept_rows and (digest == "" or kept_hash == ""):
            digest, kept_hash = "", None if kept_hash is None else ""  # nothing on both sides, with or without a table
        return Table(
            contract.dataset,
            contract.layer,
            made,
            rows,
            digest,
            node.table_version,
            kept_rows,
            kept_hash,
            self.moved.get(node.key, ()),
        )

    def _figure(self, result: Recomputed) -> None:
        node = self.plan.nodes[-1]
        if node.key not in self.written:
            return
        with lake.engine("duckdb", at=self.place).session() as session:
            session.register_table("figure", self.names[node.key], schema=gold.gold_schema(node.contract))
            day = self.plan.value.business_date.isoformat()
            sql = f"SELECT f.value, f.numerator, f.denominator FROM figure AS f WHERE f.business_date = DATE '{day}'"
            rows = session.fetch(sql).to_pylist()
        if rows:
            result.present = True
            result.value, result.numerator, result.denominator = (
                rows[0][name] for name in ("value", "numerator", "denominator")
            )


def _kept(node: Node) -> tuple[int | None, str | None]:
    """(rows, content hash) of the part that the figure read, as of the version that it read."""
    if node.table_version is None:  # no step had written anything yet
        return 0, ""
    schema = gold.schema_of(node.contract)
    try:
        return lake.rows_content(table_of(node.contract), schema=schema, where=_where(node), version=node.table_version)
    except (SnapshotGone, TableNotFound):
        return None, None


class _Renamed:
    """A session in which inputs are found under the names that their scratch tables have."""

    def __init__(self, session: Any, names: Mapping[str, str]) -> None:
        self._session, self._names = session, names

    def register_table(self, name: str, _table: str, **options: Any) -> int | None:
        found: int | None = self._session.register_table(name, self._names[name], **options)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


def _table_names(nodes: Iterable[Node]) -> dict[NodeKey | None, str]:
    return {node.key: f"{node.layer}/{node.contract.dataset}/s{node.step.pk}" for node in nodes}


def _where(node: Node) -> str | None:
    """The part of the table that was computed, as a predicate; None for all of it."""
    part = node.contract.partition
    made = partitions_made(node)
    return scope.predicate(part, made) if part is not None and made is not None else None


def partitions_made(node: Node) -> tuple[str, ...] | None:
    """Gold: the wanted partitions that a step had filled; Silver: all that were wanted."""
    if node.contract.partition is None or node.partitions is None:
        return None
    if node.layer == "silver":
        return tuple(sorted(node.partitions))
    return tuple(sorted(value for part in node.parts for value in part.partitions or ()))


def _gold_text(part: Part) -> str:
    text = sql_text(part.step.sql_sha256)
    if text is None:
        text = gold.gold_sql(part.contract)
        if sha256_of(text) != part.step.sql_sha256:
            raise NotReproducible(_unknown_sql(part.contract, part.step.sql_sha256))
    return text


def _silver_text(epoch: Epoch) -> SilverSql:
    built = silver_sql(epoch.contract, business_zone=settings.BUSINESS_TIME_ZONE)
    if sha256_of(built.text) == epoch.sql_sha256:
        return built
    text = sql_text(epoch.sql_sha256)
    if text is None:
        raise NotReproducible(_unknown_sql(epoch.contract, epoch.sql_sha256))
    # Silver's text is its statements one after the other, each behind a line with its name (``SilverSql.text``).
    pieces = _STATEMENT.split(text)
    statements = {name: body.strip() for name, body in zip(pieces[1::2], pieces[2::2], strict=True)}
    return SilverSql(statements, built.references, built.columns)


def _unknown_sql(contract: Contract, sha256: str) -> str:
    return f"the SQL that made {contract.layer}.{contract.dataset} (SHA-256 {sha256}) was not kept, and today's is another"
