"""Casts by the type of what is cast: engines agree only where the value stays what it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlglot import exp
from sqlglot.errors import OptimizeError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from controlplane.lake.errors import PortableSqlError

from .dialect import Portable, macro_name, parse
from .macros import MACROS
from .types import sqlglot_schema

_FAMILIES = {
    "text": {"VARCHAR", "TEXT", "CHAR", "NVARCHAR"},
    "whole": {"TINYINT", "SMALLINT", "INT", "BIGINT", "INT128", "UTINYINT", "USMALLINT", "UINT", "UBIGINT"},
    "decimal": {"DECIMAL"},
    "float": {"DOUBLE", "FLOAT"},
    "bool": {"BOOLEAN"},
    "day": {"DATE"},
    "instant": {"TIMESTAMPTZ"},
}
_KEEPING = {("whole", "decimal"), ("whole", "float"), ("decimal", "float")}


def qualified(sql: str, schemas: Mapping[str, Any]) -> exp.Expr:
    """The tree with every column given its table; PortableSqlError for tables and columns that the schemas lack."""
    known = sqlglot_schema(dict(schemas))
    tree = parse(sql)
    ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
    unknown = {table.name for table in tree.find_all(exp.Table)} - ctes - set(known)
    if unknown:
        raise PortableSqlError([f"line 1: no schema for {name}" for name in sorted(unknown)])
    try:
        # An output's name may be used in ORDER BY only: Sail knows no lateral aliases, so they must not be resolved here.
        found = qualify(
            tree,
            schema=known,  # type: ignore[arg-type]
            dialect=Portable,
            quote_identifiers=False,
            identify=False,
            expand_alias_refs=False,
        )
    except OptimizeError as error:
        raise PortableSqlError([f"line 1: {error}"]) from error
    return found


def cast_faults(sql: str, schemas: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """Line and reason of each cast that may change a value."""
    from .render import line_of

    tree = qualified(sql, schemas)
    for call in [node for node in tree.walk() if macro_name(node)]:
        result = MACROS[macro_name(call) or ""].result
        typed = exp.cast(exp.Null(), "DECIMAL(28,6)" if result in ("DECIMAL", "DECIMAL(28)") else result)
        call.replace(typed)
    annotated = annotate_types(tree, schema=sqlglot_schema(dict(schemas)), dialect=Portable)  # type: ignore[arg-type]
    for cast in annotated.find_all(exp.Cast):
        found, wanted = _family(cast.this.type), _family(cast.args["to"])
        literal = isinstance(cast.this.unnest(), exp.Literal | exp.Null | exp.Neg)
        if literal or found is None or found == wanted or (found, wanted) in _KEEPING:
            continue
        yield line_of(cast), f"CAST from {cast.this.type.sql('duckdb')} to {cast.args['to'].sql('duckdb')}: use a macro"


def _family(kind: exp.DataType | None) -> str | None:
    if kind is None:
        return None
    name = kind.this.value if hasattr(kind.this, "value") else str(kind.this)
    return next((family for family, names in _FAMILIES.items() if name in names), None)
