"""From portable SQL to the SQL of one engine."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from sqlglot import exp

from controlplane.lake.errors import PortableSqlError

from .dialect import macro_name, parse
from .macros import MACROS, quote

EngineName = Literal["duckdb", "spark"]
Value = str | int | bool | Decimal | date | datetime | None


def render(sql: str, engine: EngineName, params: Mapping[str, Value] | None = None) -> str:
    """The SQL that ``engine`` runs: macro calls replaced by their bodies, ``$name`` by a typed literal.

    Raises PortableSqlError for a parameter without value, a value without parameter, or a macro called wrongly.
    """
    return _render(sql, engine, tuple(sorted((params or {}).items())))


@lru_cache(maxsize=512)
def _render(sql: str, engine: EngineName, params: tuple[tuple[str, Value], ...]) -> str:
    tree = parse(sql)
    values = dict(params)
    unused = set(values)
    for node in [*tree.find_all(exp.Placeholder, exp.Parameter)]:
        name = node.name
        if name not in values:
            raise PortableSqlError([f"line {line_of(node)}: parameter ${name} has no value"])
        unused.discard(name)
        replacement = exp.Var(this=literal(values[name], engine))
        if node is tree:
            tree = replacement
        else:
            node.replace(replacement)
    if unused:
        raise PortableSqlError([f"line 1: the SQL has no parameter ${name}" for name in sorted(unused)])
    return expand(tree, engine).sql(dialect=engine, comments=False)


def expand(tree: exp.Expr, engine: EngineName) -> exp.Expr:
    """Put the engine's body in place of each macro call, innermost first (so an argument is already the engine's SQL)."""
    calls = [node for node in tree.walk(bfs=False) if macro_name(node)]
    for call in reversed(calls):
        body = exp.Var(this=f"({call_body(call, engine)})")
        if call is tree:
            return body
        call.replace(body)
    return tree


def call_body(call: exp.Expr, engine: EngineName) -> str:
    macro = MACROS[macro_name(call) or ""]
    given = call.expressions
    if len(given) != len(macro.parameters):
        raise PortableSqlError(
            [f"line {line_of(call)}: {macro.name} takes ({', '.join(macro.parameters)}), not {len(given)} arguments"]
        )
    args: list[str] = []
    for position, argument in enumerate(given):
        if position in macro.literals:
            if not isinstance(argument, exp.Literal):
                raise PortableSqlError([f"line {line_of(call)}: {macro.name}: {macro.parameters[position]} must be a literal"])
            args.append(argument.this)
        else:
            text = argument.sql(dialect=engine, comments=False)
            args.append(text if isinstance(argument, exp.Column | exp.Literal) else f"({text})")
    try:
        return macro.body(engine)(args)
    except ValueError as error:
        raise PortableSqlError([f"line {line_of(call)}: {macro.name}: {error}"]) from error


def literal(value: Value, engine: EngineName) -> str:
    """A typed SQL literal. Instants must be aware; they are written in UTC."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | Decimal):
        return format(value, "d" if isinstance(value, int) else "f")
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise PortableSqlError([f"line 1: the time {value.isoformat()} has no zone"])
        text = value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        return f"CAST('{text}+00:00' AS {'TIMESTAMPTZ' if engine == 'duckdb' else 'TIMESTAMP'})"
    if isinstance(value, date):
        return f"CAST('{value.isoformat()}' AS DATE)"
    return quote(value, engine)


def line_of(node: exp.Expr) -> int:
    """The line (1-based) where a node stands: that of the first token below it that knows its line, else of a parent."""
    for part in node.walk():
        line = part.meta.get("line")
        if line:
            return int(line)
    parent = node.parent
    return line_of(parent) if parent is not None else 1
