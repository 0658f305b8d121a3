"""The Silver SQL of a dataset: the template of ``sql/silver/standard.sql`` made concrete by its contract."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import jinja2
import pyarrow as pa

from catalog.domain.contract import BRONZE_FILE, BRONZE_ROW, Contract, Field
from pipeline.domain.code import ROOT

TEMPLATE = Path(ROOT) / "pipeline" / "sql" / "silver" / "standard.sql"


@dataclass(frozen=True)
class Rule:
    """One test of a row: ``broken`` is SQL over the typed columns (alias ``t``)."""

    id: str
    broken: str


@dataclass(frozen=True)
class Reference:
    """``view`` (one column, ``ref_key``) holds the accepted values of ``key`` in ``dataset``."""

    field: str
    dataset: str
    view: str
    key: str


@dataclass(frozen=True)
class SilverSql:
    """The statements by name, and what they need."""

    statements: dict[str, str]
    references: tuple[Reference, ...]
    columns: tuple[str, ...]

    def __getitem__(self, name: str) -> str:
        return self.statements[name]

    @property
    def text(self) -> str:
        """All of it, as ``explain`` prints it and events carry it."""
        return "\n\n".join(f"-- {name}\n{sql}" for name, sql in self.statements.items() if sql)


def silver_sql(contract: Contract, *, business_zone: str) -> SilverSql:
    """Build the statements. Pure: the same contract gives the same text."""
    return _build(contract.sha256, contract, business_zone)


@lru_cache(maxsize=128)
def _build(_sha256: str, contract: Contract, business_zone: str) -> SilverSql:
    references = tuple(
        Reference(field=name, dataset=dataset, view=f"known_{dataset}_{key}", key=key)
        for name, (dataset, key) in contract.references.items()
    )
    names = list(contract.field_names)
    partition = _partition(contract, business_zone)
    placed = (partition["column"],) if partition and partition["column"] not in names else ()
    columns = (*names, *placed, BRONZE_FILE, BRONZE_ROW)
    key_text = " || '|' || ".join(f"CAST(i.{name} AS VARCHAR)" for name in contract.key)
    values = {
        "fields": [_field(contract, one) for one in contract.fields],
        "drop_fields": [one.name for one in contract.drop_fields],
        "rules": rules(contract, references),
        "references": references,
        "names": names,
        "partition": partition,
        "columns": columns,
        "key": list(contract.key),
        "key_text": key_text,
        "dedup_key": dedup_key(contract),
        "order_by": contract.order_by,
    }
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=True)  # noqa: S701  (SQL)
    rendered = environment.from_string(TEMPLATE.read_text()).render(values)
    statements: dict[str, str] = {}
    for part in rendered.split("-- name: ")[1:]:
        name, _, body = part.partition("\n")
        lines = [line for line in body.splitlines() if not line.startswith("--")]
        statements[name.strip()] = "\n".join(lines).strip()
    return SilverSql(statements, references, columns)


def dedup_key(contract: Contract) -> list[str]:
    """Columns of which Silver keeps one row each: the business key, and with history each of its versions."""
    return [*contract.key, *(["updated_at"] if contract.history and "updated_at" not in contract.key else [])]


def _partition(contract: Contract, business_zone: str) -> dict[str, str] | None:
    one = contract.partition
    if one is None:
        return None
    sql = {
        "business_date": f"business_date(j.{one.source}, '{business_zone}')",
        "date": f"j.{one.source}",
        "month": f"date_of_month(j.{one.source})",
        "hash": f"hash_bucket(j.{one.source})",
    }[one.kind]
    return {"column": one.column, "sql": sql}


def _field(contract: Contract, one: Field) -> dict[str, str]:
    text = f"clean(l.{one.name})"
    if one.default is not None:
        text = f"COALESCE({text}, {quoted(one.default)})"
    if one.normalise == "currency":
        text = f"currency_code({text})"
    zone = contract.source.time_zone if contract.source else "UTC"
    typed = {
        "string": text,
        "integer": f"to_int({text})",
        "decimal": f"to_decimal({text}, {one.precision or 18}, {2 if one.scale is None else one.scale})",
        "number": f"to_number({text})",
        "timestamp": f"ts_utc({text}, '{zone}')",
        "date": f"to_date({text})",
        "boolean": f"to_bool({text})",
    }[one.type]
    return {"name": one.name, "text": text, "typed": typed}


def rules(contract: Contract, references: tuple[Reference, ...]) -> list[Rule]:
    """Every rule of a contract in the order they are reported."""
    found: list[Rule] = []
    for one in contract.drop_fields:
        found.extend(_field_rules(one))
    found.extend(
        Rule(
            f"reference:{ref.field}",
            f"t.{ref.field} IS NOT NULL AND {ref.view}.ref_key IS NULL",
        )
        for ref in references
    )
    found.extend(
        Rule(f"rule:{one.name}", f"NOT COALESCE(({one.sql}), TRUE)") for one in contract.rules if one.severity == "error"
    )
    return found


def _field_rules(one: Field) -> list[Rule]:
    column, text = f"t.{one.name}", f"t.text_{one.name}"
    found = []
    if one.required:
        found.append(Rule(f"required:{one.name}", f"{text} IS NULL"))
    if one.type != "string":
        found.append(Rule(f"type:{one.name}", f"{text} IS NOT NULL AND {column} IS NULL"))
    found.extend(Rule(f"{kind}:{one.name}", broken) for kind, broken in _value_tests(one, column))
    return found


def _value_tests(one: Field, column: str) -> list[tuple[str, str]]:
    """(kind, SQL that is true when a non-null value is bad). NULL makes the test NULL, which a CASE takes as false."""
    tests = []
    if one.enum is not None:
        tests.append(("enum", f"{column} NOT IN ({', '.join(quoted(value) for value in one.enum)})"))
    if one.pattern is not None:
        tests.append(("pattern", f"NOT matches({column}, {quoted(one.pattern)})"))
    if one.minimum is not None:
        tests.append(("minimum", f"{column} < {bound(one, one.minimum)}"))
    if one.maximum is not None:
        tests.append(("maximum", f"{column} > {bound(one, one.maximum)}"))
    if one.max_length is not None and one.type == "string":
        tests.append(("max_length", f"LENGTH({column}) > {one.max_length}"))
    return tests


def bound(one: Field, value: Decimal | str) -> str:
    if one.type == "date":
        return f"CAST('{value}' AS DATE)"
    if one.type == "timestamp":
        return f"CAST('{str(value).replace('T', ' ')}' AS TIMESTAMPTZ)"
    return str(value)


def quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def silver_schema(contract: Contract) -> pa.Schema:
    """Columns of the Silver table: fields, partition column, origin."""
    fields = [pa.field(one.name, one.arrow_type) for one in contract.fields]
    part = contract.partition
    if part is not None and part.column not in contract.field_names:
        fields.append(pa.field(part.column, part.arrow_type))
    return pa.schema([*fields, pa.field(BRONZE_FILE, pa.string()), pa.field(BRONZE_ROW, pa.int64())])
