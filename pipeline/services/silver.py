"""The Silver step: records judged by their contract, the good ones merged by business key, the others held back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from typing import Any

import pyarrow as pa
from django.conf import settings
from django.db import connection
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Trim

from catalog.domain.contract import Contract
from controlplane.lake import services as lake
from controlplane.telemetry.failpoints import failpoint
from pipeline.domain import scope
from pipeline.domain.decode import decoded_schema
from pipeline.domain.silver_sql import SilverSql, silver_schema, silver_sql
from pipeline.models import (
    BronzeFile,
    HeldState,
    PartitionSource,
    Reason,
    SilverReject,
    StepState,
    Work,
    WorkKind,
)
from pipeline.services import provenance
from pipeline.services.bronze import decoded_uri
from pipeline.services.held_rows import held_rows_save
from pipeline.services.steps import Outcome, StepContext, table_of

WHOLE = ""  # place of rows in a table without partitions
_TALLY = "SELECT COUNT(*) AS n, COUNT(CASE WHEN j.broken_rules <> '' THEN 1 END) AS broken FROM judged AS j"
Selection = dict[int, list[int] | None]  # Bronze file pk → record ordinals, None for all


def refresh(ctx: StepContext) -> Outcome:
    """Judge and merge everything that waits for the dataset."""
    files, selection = _selection(ctx.work)
    if not files:
        return Outcome()
    contract = ctx.contract
    sql = silver_sql(contract, business_zone=settings.BUSINESS_TIME_ZONE)
    outcome = Outcome(sql=sql.text, bronze_files=list(files.values()))
    with lake.engine().session() as session:
        with ctx.phase("judge"):
            outcome.inputs = _register(session, ctx, sql, files, selection)
            for name in ("typed", "judged", "incoming"):
                session.create(name, sql[name])
            rows_in, broken = session.fetch(_TALLY).to_pylist()[0].values()
            # Each reads the files once more, which most batches have no need of.
            rejected = session.fetch(sql["rejected"]) if broken else None
            quarantined = session.fetch(sql["quarantined"]) if _may_hold_unknown(files, contract) else None
            counts = session.fetch(sql["counts"]).to_pylist()
            again = session.fetch(sql["ordinals"]).to_pylist() if _partial(selection) else []
            outcome.rows_in = rows_in
        new_places = {row["place"] for row in counts}
        places = pa.table({"key_digest": pa.array([], pa.string()), "place": pa.array([], pa.string())})
        old_places: set[str] = set()
        if contract.partition and not contract.partition.stable:
            with ctx.phase("places"):
                places = session.fetch(sql["places"])
                old_places = _former_places(contract.dataset, places)
        replaced = sorted(new_places | old_places | _places_of_records(ctx, files, selection))
        outcome.rows_out = sum(row["row_count"] for row in counts)
        outcome.rows_rejected = rejected.num_rows if rejected else 0
        outcome.rows_quarantined = quarantined.num_rows if quarantined else 0
        if replaced:
            with ctx.phase("merge"):
                outcome.written = _merge(session, ctx, sql, replaced)
                failpoint("step.after_commit", contract.dataset)
                if places.num_rows:
                    places = session.fetch(sql["winners"])
            outcome.changed = True
        reference_keys = {ref: _keys(session, ref) for ref in _referenced_fields(ctx)} if replaced else {}
    if contract.partition:
        outcome.partitions = replaced
        outcome.touched = {contract.partition.column: replaced}
    outcome.apply = [
        lambda: provenance.sources_save(ctx.step, files=files, selection=selection, counts=counts, again=again),
        lambda: held_rows_save(ctx.step, files=files, selection=selection, rejected=rejected, quarantined=quarantined),
        lambda: _places_save(contract.dataset, places),
        lambda: _wake_waiting_rejects(ctx, reference_keys),
    ]
    return outcome


def _may_hold_unknown(files: dict[int, BronzeFile], contract: Contract) -> bool:
    """Whether a file has columns that the contract does not know; one accepted under another version may, whatever it says."""
    return any(file.unknown_columns or file.contract_version != contract.version for file in files.values())


def _selection(work: list[Work]) -> tuple[dict[int, BronzeFile], Selection]:
    files: dict[int, BronzeFile] = {}
    selection: Selection = {}
    for one in work:
        if one.bronze_file is None:
            continue
        pk = one.bronze_file.pk
        files[pk] = one.bronze_file
        if one.kind == WorkKind.FILE:
            selection[pk] = None
        else:
            rows = selection.get(pk, [])
            if rows is not None:
                selection[pk] = sorted({*rows, *one.payload["rows"]})
    return files, selection


def _partial(selection: Selection) -> bool:
    return any(rows is not None for rows in selection.values())


def _register(
    session: Any, ctx: StepContext, sql: SilverSql, files: dict[int, BronzeFile], selection: Selection
) -> dict[str, int | None]:
    """The records to judge, and the keys that they may refer to. Returns the table versions that were opened for those."""
    contract = ctx.contract
    schema = decoded_schema(contract)
    uris = [decoded_uri(file, contract) for file in files.values()]
    if not _partial(selection):
        session.register_files("landed", uris, schema)
    else:
        session.register_files("landed_files", uris, schema)
        columns = ", ".join(f"l.{name}" for name in schema.names)
        session.create("landed", f"SELECT {columns} FROM landed_files AS l WHERE {_record_predicate(files, selection)}")
    versions: dict[str, int | None] = {}
    for ref in sql.references:
        upstream = ctx.contracts[ref.dataset]
        key_schema = pa.schema([pa.field(ref.key, upstream.field(ref.key).arrow_type)])
        versions[ref.dataset] = session.register_table(f"{ref.view}_table", table_of(upstream), schema=key_schema)
        session.create(ref.view, f"SELECT DISTINCT k.{ref.key} AS ref_key FROM {ref.view}_table AS k")
    return versions


def _record_predicate(files: dict[int, BronzeFile], selection: Selection) -> str:
    parts = []
    for pk, rows in selection.items():
        here = f"l._bronze_file = '{files[pk].logical_id}'"
        parts.append(here if rows is None else f"({here} AND l._bronze_row IN ({', '.join(map(str, rows))}))")
    return " OR ".join(parts)


def _merge(session: Any, ctx: StepContext, sql: SilverSql, replaced: list[str]) -> Any:
    contract = ctx.contract
    part = contract.partition
    schema = silver_schema(contract)
    where = scope.predicate(part, replaced) if part else None
    session.register_table("present", table_of(contract), where=where, schema=schema)
    session.create("merged_rows", sql["merged"])
    return session.write(
        table_of(contract),
        f"SELECT {', '.join(f'm.{name}' for name in sql.columns)} FROM merged_rows AS m",
        schema=schema,
        partition_by=part.column if part else None,
        replace=partition_values(contract, replaced) if part else None,
        properties=table_properties(contract),
        metadata=ctx.commit_metadata(),
        before_commit=ctx.before_commit,
    )


def partitions_remove(contract: Contract, values: list[str] | None, *, holder: str) -> None:
    """Empty partitions (None: all) of the dataset's table, under its lease. Raises ``LeaseHeld``."""
    schema = silver_schema(contract)
    part = contract.partition
    columns = ", ".join(f"p.{name}" for name in schema.names)
    with lake.lease(table_of(contract), holder=holder) as lease, lake.engine().session() as session:
        session.register_table("present", table_of(contract), where="1 = 0" if part else None, schema=schema)
        session.write(
            table_of(contract),
            f"SELECT {columns} FROM present AS p WHERE 1 = 0",
            schema=schema,
            partition_by=part.column if part else None,
            replace=None if values is None else partition_values(contract, values),
            properties=table_properties(contract),
            metadata={"touchstone.purge": holder},
            before_commit=lambda: lake.check(lease),
        )


def partition_values(contract: Contract, texts: Iterable[str]) -> list[Any]:
    """Partition values as Python values of the column's type."""
    assert contract.partition is not None
    return list(texts) if contract.partition.kind == "hash" else [date.fromisoformat(text) for text in texts]


def table_properties(contract: Contract) -> dict[str, str]:
    """Delta properties. Statistics only over columns without personal data: they stay in the log after an erasure."""
    plain = [one.name for one in contract.fields if one.classification != "high" and one.pii is None]
    return {"delta.dataSkippingStatsColumns": ",".join(plain), "delta.checkpointInterval": "20"}


# --- where rows lie -------------------------------------------------------------------------------------------------


def _former_places(dataset: str, places: pa.Table) -> set[str]:
    """Partitions that hold an older version of an incoming key elsewhere than where it belongs now."""
    if not places.num_rows:
        return set()
    with connection.cursor() as cursor:
        _copy_places(cursor, places)
        cursor.execute(
            "SELECT DISTINCT k.partition FROM incoming_places i JOIN pipeline_keyplace k"
            " ON k.dataset = %s AND k.key_digest = i.key_digest WHERE k.partition <> i.place",
            [dataset],
        )
        former = {row[0] for row in cursor.fetchall()}
        cursor.execute("DROP TABLE incoming_places")
    return former


def _places_save(dataset: str, places: pa.Table) -> None:
    if not places.num_rows:
        return
    with connection.cursor() as cursor:
        _copy_places(cursor, places)
        cursor.execute(
            "INSERT INTO pipeline_keyplace (dataset, key_digest, partition)"
            " SELECT DISTINCT ON (key_digest) %s, key_digest, place FROM incoming_places"
            " ON CONFLICT (dataset, key_digest) DO UPDATE SET partition = EXCLUDED.partition"
            " WHERE pipeline_keyplace.partition <> EXCLUDED.partition",
            [dataset],
        )
        cursor.execute("DROP TABLE incoming_places")


def _copy_places(cursor: Any, places: pa.Table) -> None:
    cursor.execute("DROP TABLE IF EXISTS pg_temp.incoming_places")
    cursor.execute("CREATE TEMPORARY TABLE incoming_places (key_digest uuid, place varchar(40))")
    with cursor.copy("COPY incoming_places FROM STDIN") as copy:
        lines = (
            f"{digest[:32]}\t{place}\n"
            for digest, place in zip(places["key_digest"].to_pylist(), places["place"].to_pylist(), strict=True)
        )
        copy.write("".join(lines))


def _places_of_records(ctx: StepContext, files: dict[int, BronzeFile], selection: Selection) -> set[str]:
    """Partitions that an earlier judgement of these very records filled: a stricter contract may take rows out of them."""
    whole = [pk for pk in files if selection[pk] is None]
    again = set(PartitionSource.objects.filter(bronze_file__in=whole).values_list("bronze_file", flat=True))
    return set(
        PartitionSource.objects.filter(dataset=ctx.contract.dataset, bronze_file__in=again)
        .exclude(partition=WHOLE)
        .values_list("partition", flat=True)
    ) | ({WHOLE} if again and ctx.contract.partition is None else set())


# --- references that heal -------------------------------------------------------------------------------------------


def _referenced_fields(ctx: StepContext) -> set[str]:
    """Our fields that other datasets refer to."""
    return {
        key
        for contract in ctx.contracts.values()
        for dataset, key in contract.references.values()
        if dataset == ctx.contract.dataset
    }


def _keys(session: Any, column: str) -> list[str]:
    values = session.fetch(f"SELECT DISTINCT CAST(i.{column} AS VARCHAR) AS k FROM incoming AS i")
    return [value for value in values["k"].to_pylist() if value is not None]


def _wake_waiting_rejects(ctx: StepContext, keys: dict[str, list[str]]) -> None:
    """Rows elsewhere that were rejected for want of a key that has now arrived are judged again."""
    in_run = set(ctx.run.steps.filter(state=StepState.WAITING).values_list("dataset", flat=True))
    for consumer in ctx.contracts.values():
        for name, (dataset, key) in consumer.references.items():
            if dataset != ctx.contract.dataset or not keys.get(key):
                continue
            waiting = SilverReject.objects.filter(
                dataset=consumer.dataset, state=HeldState.OPEN, rules__contains=[f"reference:{name}"]
            ).annotate(wanted=Trim(KeyTextTransform(name, "record")))  # records hold the text as it was sent
            waiting = waiting.filter(wanted__in=keys[key])
            rows: dict[int, list[int]] = defaultdict(list)
            for file_pk, row in waiting.values_list("bronze_file_id", "row"):
                rows[file_pk].append(row)
            Work.objects.bulk_create(
                Work(
                    dataset=consumer.dataset,
                    kind=WorkKind.ROWS,
                    reason=Reason.REPROCESS,
                    upstream=ctx.contract.dataset,
                    bronze_file_id=file_pk,
                    payload={"rows": sorted(ordinals)},
                    run=ctx.run if consumer.dataset in in_run else None,
                    correlation_id=ctx.run.correlation_id,
                )
                for file_pk, ordinals in rows.items()
            )
