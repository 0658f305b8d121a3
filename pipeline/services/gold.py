"""The Gold step: write, audit, publish. Only the partitions that a change can reach are computed anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from django.utils import timezone

from catalog.domain.contract import Contract
from controlplane.lake import services as lake
from controlplane.telemetry.failpoints import failpoint
from pipeline.domain import scope
from pipeline.domain.code import ROOT
from pipeline.domain.silver_sql import silver_schema
from pipeline.errors import GateBlocked
from pipeline.models import WorkKind
from pipeline.services import serving
from pipeline.services.silver import partition_values, table_properties
from pipeline.services.steps import Outcome, StepContext, table_of, work_announce_ahead
from quality import services as quality
from quality.domain import gate

GOLD_SQL = Path(ROOT) / "pipeline" / "sql" / "gold"
PARTITIONS_AT_ONCE = 62  # bounds the memory of a long backfill
INTERVALS_LISTED = 2000  # more changed keys than that travel as one span of time


def refresh(ctx: StepContext) -> Outcome:
    """Compute what the waiting work touches, judge it, commit it to the lake, and hand it to serving."""
    contract = ctx.contract
    sql = gold_sql(contract)
    outcome = Outcome(sql=sql)
    with ctx.phase("scope"):
        outputs = _outputs(ctx)
    if outputs is not None and not outputs:
        return outcome
    batches: list[list[str] | None] = [None] if outputs is None else list(scope.chunks(outputs, PARTITIONS_AT_ONCE))
    for batch in batches:
        _refresh_batch(ctx, sql, batch, outcome)
    outcome.partitions = sorted(outputs or ())
    outcome.changed = True
    for column, values in outcome.touched.items():
        outcome.touched[column] = sorted(set(values))
    return outcome


def gold_sql(contract: Contract) -> str:
    return (GOLD_SQL / str(contract.transform)).read_text()


def gold_schema(contract: Contract) -> pa.Schema:
    """Columns of a Gold table: its fields, and its partition column where that is no field."""
    fields = [pa.field(one.name, one.arrow_type) for one in contract.fields]
    part = contract.partition
    if part is not None and part.column not in contract.field_names:
        fields.append(pa.field(part.column, part.arrow_type))
    return pa.schema(fields)


def schema_of(contract: Contract) -> pa.Schema:
    return silver_schema(contract) if contract.layer == "silver" else gold_schema(contract)


def _refresh_batch(ctx: StepContext, sql: str, outputs: list[str] | None, outcome: Outcome) -> None:
    contract = ctx.contract
    with lake.engine().session() as session:
        with ctx.phase("compute"):
            outcome.inputs |= register_inputs(session, contract, ctx.contracts, outputs)
            session.create("candidate", sql, params=sql_params(sql, ctx))
        with ctx.phase("audit"):
            measured = session.fetch(gate.gate_sql(contract, table="candidate")).to_pylist()[0]
            _judge(ctx, outcome, measured)
        with ctx.phase("touch"):
            _announce_changes(session, ctx, outputs)
            if contract.partition is not None and outputs is not None:
                outcome.touched.setdefault(contract.partition.column, []).extend(outputs)
        with ctx.phase("write"):
            part = contract.partition
            columns = ", ".join(f"c.{name}" for name in gold_schema(contract).names)
            outcome.written = session.write(
                table_of(contract),
                f"SELECT {columns} FROM candidate AS c",
                schema=gold_schema(contract),
                partition_by=part.column if part else None,
                replace=partition_values(contract, outputs) if part and outputs is not None else None,
                properties=table_properties(contract),
                metadata=ctx.commit_metadata(),
                before_commit=ctx.before_commit,
            )
            failpoint("step.after_commit", contract.dataset)
            outcome.rows_out += measured["row_count"]
        if contract.serve:
            published = session.fetch(f"SELECT {columns} FROM candidate AS c")
            outcome.apply.append(lambda: serving.publish(ctx, published, outputs))
            if contract.kpi:
                outcome.apply.append(lambda: serving.kpi_values_save(ctx, published))


def sql_params(sql: str, ctx: StepContext) -> dict[str, Any]:
    return {"as_of": ctx.run.as_of} if "$as_of" in sql else {}


def register_inputs(
    session: Any, contract: Contract, contracts: dict[str, Contract], outputs: list[str] | None
) -> dict[str, int | None]:
    """Every input as a view cut to what the output partitions need, and ``scope`` with those partitions.

    Returns the table version that was opened of each input; None where there was no table yet.
    """
    windows: dict[str, list[str] | None] = {}
    for one in contract.inputs:
        values = None if outputs is None else scope.read_values(one, outputs)
        if one.dataset in windows:
            known = windows[one.dataset]
            values = None if known is None or values is None else sorted({*known, *values})
        windows[one.dataset] = values
    versions: dict[str, int | None] = {}
    for dataset, values in windows.items():
        upstream = contracts[dataset]
        where = None if values is None or upstream.partition is None else scope.predicate(upstream.partition, values)
        versions[dataset] = session.register_table(dataset, table_of(upstream), where=where, schema=schema_of(upstream))
    if outputs is not None and contract.partition is not None:
        part = contract.partition
        rows = pa.array(partition_values(contract, outputs), part.arrow_type)
        session.register_arrow("scope", pa.table({part.column: rows}))
    return versions


def _judge(ctx: StepContext, outcome: Outcome, measured: dict[str, Any]) -> None:
    contract = ctx.contract
    verdicts = gate.judge(contract, measured)
    outcome.null_ratios = gate.null_ratios(contract, measured)
    outcome.verdicts = [
        {"rule": one.rule, "column": one.column, "status": one.status, "observed": one.observed, "limit": one.limit}
        for one in verdicts
    ]
    quality.results_record(
        dataset=f"{contract.layer}.{contract.dataset}",
        run_key=str(ctx.step.uuid),
        verdicts=verdicts,
        evaluated_at=timezone.now(),
    )
    blocking = [str(one) for one in verdicts if one.blocks]
    if blocking:
        raise GateBlocked(f"not published, the last good version stays: {'; '.join(blocking[:5])}")


# --- what a change reaches ------------------------------------------------------------------------------------------


def _outputs(ctx: StepContext) -> set[str] | None:
    """Output partitions to compute anew; None for a table without partitions."""
    contract = ctx.contract
    if contract.partition is None:
        return None
    outputs: set[str] = set()
    for one in ctx.work:
        if one.kind == WorkKind.PARTITIONS:
            outputs |= _everything(ctx) if one.payload.get("all") else set(one.payload["values"])
        elif one.kind == WorkKind.TOUCHED:
            for given in contract.inputs:
                if given.dataset == one.upstream:
                    outputs |= scope.outputs_touched(contract, given, one.payload, today=ctx.today)
    intervals = [one for one in ctx.work if one.kind == WorkKind.INTERVALS]
    if intervals:
        outputs |= _partitions_of_intervals(ctx, intervals)
    return outputs


def _everything(ctx: StepContext) -> set[str]:
    return partitions_possible(ctx.contract, ctx.contracts, today=ctx.today, listing=table_partitions)


def partitions_possible(
    contract: Contract, contracts: dict[str, Contract], *, today: date, listing: Callable[[Contract], list[str]]
) -> set[str]:
    """Every output partition that the inputs could fill: what a full rebuild computes. ``listing``: a table's partitions."""
    found = set(listing(contract))
    for one in contract.inputs:
        upstream = contracts[one.dataset]
        if upstream.partition is None:
            continue
        if one.trigger == upstream.partition.column:
            found |= scope.outputs_touched(contract, one, {one.trigger: listing(upstream)}, today=today)
        elif one.trigger is not None:  # it announces another column, whose values lie within what is read
            found |= scope.outputs_within_reach(contract, one, listing(upstream), today=today)
    return found


def table_partitions(contract: Contract) -> list[str]:
    """Partition values that the dataset's table holds; none before its first refresh."""
    return lake.table_partitions(table_of(contract)) if lake.table_exists(table_of(contract)) else []


def _partitions_of_intervals(ctx: StepContext, intervals: Iterable[Any]) -> set[str]:
    """Own partitions that hold rows of a changed key within its changed interval (or within a span of time)."""
    contract = ctx.contract
    part = contract.partition
    assert part is not None
    present = table_partitions(contract)
    found: set[str] = set()
    for one in intervals:
        given = next(item for item in contract.inputs if item.dataset == one.upstream and item.dimension)
        key, time = given.dimension or ("", "")
        low, high = one.payload["span"]
        near = [value for value in present if _within(value, low, high)]
        if one.payload.get("keys") is None:
            found |= set(near)
        elif near:
            found |= _search(contract, near, key, time, one.payload["keys"])
    return found


def _within(day: str, low: str | None, high: str | None) -> bool:
    """Whether a day may hold rows of [low, high); a day of slack each way for time zones."""
    this = date.fromisoformat(day)
    slack = timedelta(days=1)
    after = low is None or this >= datetime.fromisoformat(low).date() - slack
    return after and (high is None or this <= datetime.fromisoformat(high).date() + slack)


def _search(contract: Contract, near: list[str], key: str, time: str, keys: list[list[str | None]]) -> set[str]:
    part = contract.partition
    assert part is not None
    columns: list[list[Any]] = [[], [], []]
    for name, low, high in keys:
        columns[0].append(name)
        columns[1].append(datetime.fromisoformat(low) if low else None)
        columns[2].append(datetime.fromisoformat(high) if high else None)
    stamp = pa.timestamp("us", "UTC")
    changed = pa.table(
        {"k": pa.array(columns[0], pa.string()), "low": pa.array(columns[1], stamp), "high": pa.array(columns[2], stamp)}
    )
    with lake.engine().session() as session:
        session.register_table("own", table_of(contract), where=scope.predicate(part, near), schema=gold_schema(contract))
        session.register_arrow("changed", changed)
        hit = session.fetch(
            f"SELECT DISTINCT CAST(o.{part.column} AS VARCHAR) AS place FROM own AS o JOIN changed AS c ON c.k = o.{key}"
            f" WHERE (c.low IS NULL OR o.{time} >= c.low) AND (c.high IS NULL OR o.{time} < c.high)"
        )
    return set(hit["place"].to_pylist())


def _announce_changes(session: Any, ctx: StepContext, outputs: list[str] | None) -> None:
    """Tell those downstream what the candidate changes: values of announced date columns, intervals of a dimension."""
    contract = ctx.contract
    part = contract.partition
    others = [column for column in contract.touches if part is None or column != part.column]
    is_dimension = any(
        one.dimension and one.dataset == contract.dataset for other in ctx.contracts.values() for one in other.inputs
    )
    if not others and not is_dimension:
        return
    where = scope.predicate(part, outputs) if part is not None and outputs is not None else None
    session.register_table("former", table_of(contract), where=where, schema=gold_schema(contract))
    intervals = _changed_intervals(session, contract) if is_dimension else None
    touched: dict[str, list[str]] = {}
    for column in others:
        session_sql = _changed_sql(contract, [*contract.key, column])
        values = session.fetch(
            f"SELECT DISTINCT CAST(x.{column} AS VARCHAR) AS v FROM ({session_sql}) AS x WHERE x.{column} IS NOT NULL"
        )
        if values.num_rows:
            touched[column] = sorted(values["v"].to_pylist())
    if touched or intervals:
        work_announce_ahead(ctx, touched=touched, intervals=intervals)


def _changed_sql(contract: Contract, wanted: list[str]) -> str:
    """Rows of the candidate that were not there before, and rows that are not there any more."""
    names = list(dict.fromkeys(gold_schema(contract).names))
    new = ", ".join(f"c.{name}" for name in names)
    old = ", ".join(f"f.{name}" for name in names)
    picked = list(dict.fromkeys(wanted))
    return (
        f"SELECT {', '.join(f'n.{name}' for name in picked)} FROM"
        f" (SELECT {new} FROM candidate AS c EXCEPT SELECT {old} FROM former AS f) AS n"
        f" UNION ALL SELECT {', '.join(f'o.{name}' for name in picked)} FROM"
        f" (SELECT {old} FROM former AS f EXCEPT SELECT {new} FROM candidate AS c) AS o"
    )


def _changed_intervals(session: Any, contract: Contract) -> dict[str, Any] | None:
    """Keys of a dimension and the spans of time in which they read differently now: payload of interval work."""
    changed = session.fetch(_intervals_sql(contract)).to_pylist()
    if not changed:
        return None
    lows = [row["low"] for row in changed]
    highs = [row["high"] for row in changed]
    span = [None if None in lows else min(lows).isoformat(), None if None in highs else max(highs).isoformat()]
    if len(changed) > INTERVALS_LISTED:
        return {"span": span, "keys": None}
    keys = [[row["k"], _iso(row["low"]), _iso(row["high"])] for row in changed]
    return {"span": span, "keys": sorted(keys, key=lambda key: [value or "" for value in key])}


def _intervals_sql(contract: Contract) -> str:
    """(k, low, high): where another version holds now than did before.

    A version that only ends earlier or later (another one was put behind it) differs between its two ends, not from its start:
    otherwise every change would reach back over all of a key's history.
    """
    key = contract.key[0]
    same = [name for name in gold_schema(contract).names if name not in ("valid_to", "is_current")]
    equal = " AND ".join(
        f"f.{name} = c.{name}" if name in (key, "valid_from") else f"f.{name} IS NOT DISTINCT FROM c.{name}" for name in same
    )
    return (
        f"SELECT c.{key} AS k, c.valid_from AS low, c.valid_to AS high FROM candidate AS c"
        f" WHERE NOT EXISTS (SELECT 1 FROM former AS f WHERE {equal})"
        f" UNION SELECT f.{key} AS k, f.valid_from AS low, f.valid_to AS high FROM former AS f"
        f" WHERE NOT EXISTS (SELECT 1 FROM candidate AS c WHERE {equal})"
        f" UNION SELECT c.{key} AS k,"
        " CASE WHEN c.valid_to IS NULL THEN f.valid_to WHEN f.valid_to IS NULL OR c.valid_to < f.valid_to THEN c.valid_to"
        " ELSE f.valid_to END AS low,"
        " CASE WHEN c.valid_to IS NULL OR f.valid_to IS NULL THEN NULL WHEN c.valid_to < f.valid_to THEN f.valid_to"
        " ELSE c.valid_to END AS high"
        f" FROM candidate AS c JOIN former AS f ON {equal} WHERE c.valid_to IS DISTINCT FROM f.valid_to"
    )


def _iso(value: Any) -> str | None:
    return value.isoformat() if value is not None else None


__all__ = ["gold_schema", "gold_sql", "refresh", "register_inputs", "schema_of"]
