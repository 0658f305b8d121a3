"""Column lineage of a step, read off the SQL that ran, and kept: reading a syntax tree takes longer than a refresh may."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache

import pyarrow as pa
from django.conf import settings

from catalog.domain.contract import Contract
from catalog.selectors import contracts_current
from controlplane.lake.portable import ColumnInput, column_lineage
from pipeline.domain.decode import UNKNOWN, decoded_schema
from pipeline.domain.silver_sql import SilverSql, silver_schema, silver_sql
from pipeline.models import ColumnLineage

# output column → [(dataset as the lineage names it, column, DIRECT|INDIRECT, subtype, masking), …]
Derived = dict[str, list[tuple[str, str, str, str, bool]]]

_DERIVED_FORM = 1  # raise it when the derivation changes, so that kept results are made anew


def derived_columns(contract: Contract, *, sql: str) -> Derived:
    """Column lineage of the contract's SQL; empty when nothing ran."""
    if not sql:
        return {}
    contracts = contracts_current()
    schemas = {name: contracts[name] for name in contract.upstreams if name in contracts}
    seed = json.dumps([_DERIVED_FORM, contract.sha256, sql, sorted((name, one.sha256) for name, one in schemas.items())])
    return _derived(hashlib.sha256(seed.encode()).hexdigest(), contract.dataset, sql)


@lru_cache(maxsize=256)
def _derived(digest: str, dataset: str, sql: str) -> Derived:
    kept = ColumnLineage.objects.filter(digest=digest).values_list("columns", flat=True).first()
    if kept is None:
        contracts = contracts_current()
        contract = contracts[dataset]
        kept = _of_silver(contract, contracts) if contract.layer == "silver" else _of_gold(contract, contracts, sql)
        ColumnLineage.objects.get_or_create(digest=digest, defaults={"columns": kept})
    return {column: [(one[0], one[1], one[2], one[3], bool(one[4])) for one in sources] for column, sources in kept.items()}


def _of_gold(contract: Contract, contracts: dict[str, Contract], sql: str) -> Derived:
    from pipeline.services.gold import gold_schema, schema_of

    schemas: dict[str, pa.Schema] = {one.dataset: schema_of(contracts[one.dataset]) for one in contract.inputs}
    if contract.partition is not None:
        column = contract.partition.column
        schemas["scope"] = pa.schema([pa.field(column, contract.partition.arrow_type)])
    found = column_lineage(sql, schemas)
    names = {one.dataset: f"{contracts[one.dataset].layer}.{one.dataset}" for one in contract.inputs}
    wanted = set(gold_schema(contract).names)
    return {
        output: [
            _source(one, names[one.dataset], one.field) for one in (*lineage.direct, *lineage.indirect) if one.dataset in names
        ]
        for output, lineage in found.items()
        if output in wanted
    }


def _of_silver(contract: Contract, contracts: dict[str, Contract]) -> Derived:
    sql = silver_sql(contract, business_zone=settings.BUSINESS_TIME_ZONE)
    key_types = {ref.view: contracts[ref.dataset].field(ref.key).arrow_type for ref in sql.references}
    schemas = {
        "landed": decoded_schema(contract),
        "present": silver_schema(contract),
        **{view: pa.schema([pa.field("ref_key", key_type)]) for view, key_type in key_types.items()},
    }
    found = column_lineage(_one_statement(sql), schemas)
    bronze = f"bronze.{contract.dataset}"
    referenced = {ref.view: (f"{contracts[ref.dataset].layer}.{ref.dataset}", ref.key) for ref in sql.references}
    tokens = {one.name: str(one.token_of) for one in contract.derived_fields}
    source_names = {one.name: one.source_name for one in contract.drop_fields}
    derived: Derived = {}
    for output, lineage in found.items():
        sources: list[tuple[str, str, str, str, bool]] = []
        for one in (*lineage.direct, *lineage.indirect):
            if one.dataset == "landed" and one.field not in ("_bronze_file", "_bronze_row", UNKNOWN):
                column = tokens.get(one.field, one.field)
                sources.append(_source(one, bronze, source_names.get(column, column), masking=one.field in tokens))
            elif one.dataset in referenced:
                sources.append(_source(one, *referenced[one.dataset]))
        derived[output] = sorted(set(sources))
    return derived


def _source(one: ColumnInput, dataset: str, column: str, *, masking: bool = False) -> tuple[str, str, str, str, bool]:
    subtype = "TRANSFORMATION" if masking and one.subtype == "IDENTITY" else one.subtype
    return (dataset, column, one.type, subtype, one.masking or masking)


def _one_statement(sql: SilverSql) -> str:
    """The statements that lead to the table as one query; what stood there before is not a source of itself."""
    steps = ",\n".join(f"{name} AS (\n{sql[name]}\n)" for name in ("typed", "judged", "incoming"))
    return f"WITH {steps},\n{sql['merged'].removeprefix('WITH ')}"
