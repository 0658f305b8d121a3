"""The reference of ``pipeline_overhead``: the same drops through the same SQL in one process of DuckDB and delta-rs.

No Django, no database, no queue, no lineage, no quality gate, no leases, no manifests: the drops are decoded, DuckDB runs
the SQL of every dataset over all of it at once, and each result is written as one Delta table.
"""

from __future__ import annotations

import hashlib
import time
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
from deltalake import write_deltalake

from catalog.domain.contract import Contract
from catalog.domain.odcs import parse
from controlplane.embedded.home import ROOT
from controlplane.lake.portable.render import render
from controlplane.lake.portable.types import arrow_type_sql
from pipeline.domain import scope
from pipeline.domain.dag import Dag
from pipeline.domain.decode import decode, decoded_schema
from pipeline.domain.silver_sql import silver_schema, silver_sql
from pipeline.errors import DropRefused

BUSINESS_ZONE = "Europe/Paris"
SQL = ROOT / "pipeline" / "sql" / "gold"


def run(*, drops: str, target: str, as_of: str) -> dict[str, Any]:
    """Build every table from the drops in ``drops/<dataset>/``. Returns seconds, rows decoded and rows by table."""
    contracts = {one.dataset: one for one in map(_contract, sorted((ROOT / "pipeline" / "contracts").glob("*.odcs.yaml")))}
    started = time.perf_counter()
    connection = duckdb.connect(config={"threads": 2})
    connection.execute("SET TimeZone = 'UTC'")
    moment = datetime.fromisoformat(as_of)
    today = moment.astimezone(ZoneInfo(BUSINESS_ZONE)).date()
    decoded = _decode(Path(drops), contracts)
    rows = {}
    for name in Dag(contracts).order():
        contract = contracts[name]
        if contract.layer == "silver":
            rows[name] = _silver(connection, contract, decoded.get(name, []), Path(target))
        else:
            rows[name] = _gold(connection, contract, contracts, today, moment, Path(target))
    connection.close()
    landed = sum(table.num_rows for tables in decoded.values() for table in tables)
    return {"seconds": time.perf_counter() - started, "landed": landed, "rows": rows}


def _contract(path: Path) -> Contract:
    return parse(path.read_text(), filename=path.name)


def _decode(folder: Path, contracts: dict[str, Contract]) -> dict[str, list[pa.Table]]:
    found: dict[str, dict[str, pa.Table]] = {}
    for path in sorted(folder.glob("*/*")):
        contract = contracts.get(path.parent.name)
        if contract is None:
            continue
        logical_id = f"{contract.dataset}-{hashlib.sha256(path.read_bytes()).hexdigest()[:32]}"
        if logical_id in found.setdefault(contract.dataset, {}):
            continue  # the same drop twice
        try:
            found[contract.dataset][logical_id] = decode(path, contract, logical_id=logical_id, tokens=_tokens).table
        except DropRefused:
            continue
    return {dataset: list(tables.values()) for dataset, tables in found.items()}


def _tokens(values: Any) -> list[str]:
    return [f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:32]}" for text in map(_digest, values)]


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def _silver(connection: Any, contract: Contract, tables: list[pa.Table], target: Path) -> int:
    sql = silver_sql(contract, business_zone=BUSINESS_ZONE)
    schema = decoded_schema(contract)
    landed = pa.concat_tables([table.select(schema.names).cast(schema) for table in tables]) if tables else schema.empty_table()
    _create(connection, "landed", landed)
    for ref in sql.references:
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {ref.view} AS SELECT DISTINCT {ref.key} AS ref_key FROM silver_{ref.dataset}"
        )
    _create(connection, "present", silver_schema(contract).empty_table())
    for name in ("typed", "judged", "incoming"):
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {render(sql[name], 'duckdb')}")
    return _write(connection, contract, sql["merged"], silver_schema(contract), target)


def _gold(
    connection: Any, contract: Contract, contracts: dict[str, Contract], today: date, as_of: datetime, target: Path
) -> int:
    part = contract.partition
    for one in contract.inputs:
        layer = contracts[one.dataset].layer
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {one.dataset} AS SELECT * FROM {layer}_{one.dataset}")
    if part is not None:
        outputs = sorted(_outputs(connection, contract, contracts, today))
        values = outputs if part.kind == "hash" else [date.fromisoformat(text) for text in outputs]
        _create(connection, "scope", pa.table({part.column: pa.array(values, part.arrow_type)}))
    text = (SQL / str(contract.transform)).read_text()
    params = {"as_of": as_of} if "$as_of" in text else {}
    fields = [pa.field(one.name, one.arrow_type) for one in contract.fields]
    if part is not None and part.column not in contract.field_names:
        fields.append(pa.field(part.column, part.arrow_type))
    return _write(connection, contract, text, pa.schema(fields), target, params)


def _outputs(connection: Any, contract: Contract, contracts: dict[str, Contract], today: date) -> set[str]:
    """Every output partition that the inputs can fill."""
    found: set[str] = set()
    for one in contract.inputs:
        if one.trigger is not None:
            layer = contracts[one.dataset].layer
            rows = connection.execute(f"SELECT DISTINCT CAST({one.trigger} AS VARCHAR) FROM {layer}_{one.dataset}").fetchall()
            values = [row[0] for row in rows if row[0] is not None]
            found |= scope.outputs_touched(contract, one, {one.trigger: values}, today=today)
    return found


def _write(
    connection: Any, contract: Contract, sql: str, schema: pa.Schema, target: Path, params: dict[str, Any] | None = None
) -> int:
    """Keep a result for those downstream, and write it as a Delta table. Returns its rows."""
    name = f"{contract.layer}_{contract.dataset}"
    columns = ", ".join(f"CAST({one.name} AS {arrow_type_sql(one.type, 'duckdb')}) AS {one.name}" for one in schema)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT {columns} FROM ({render(sql, 'duckdb', params)})")
    reader = connection.sql(f"SELECT * FROM {name}").to_arrow_reader(65_536)
    partition = [contract.partition.column] if contract.partition else None
    write_deltalake(str(target / contract.layer / contract.dataset), reader, mode="overwrite", partition_by=partition)
    return int(connection.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0])


def _create(connection: Any, name: str, table: pa.Table) -> None:
    connection.register("_arrow", table)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM _arrow")
    connection.unregister("_arrow")
