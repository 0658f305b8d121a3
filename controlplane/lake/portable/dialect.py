"""The SQL that Touchstone's files are written in: DuckDB's dialect, with the macros as plain functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ParseError

from controlplane.lake.errors import PortableSqlError

from .macros import MACROS


def _call(name: str) -> Callable[[list[exp.Expr]], exp.Expr]:
    def build(args: list[exp.Expr]) -> exp.Expr:
        return exp.Anonymous(this=name, expressions=args)

    return build


class Portable(DuckDB):
    """DuckDB in which a macro's name is never taken for a built-in function of the same name (``to_date``)."""

    class Parser(DuckDB.Parser):  # type: ignore[misc, valid-type]
        FUNCTIONS = {**DuckDB.Parser.FUNCTIONS, **{name.upper(): _call(name) for name in MACROS}}


def parse(sql: str) -> exp.Expr:
    """The syntax tree of one SELECT; PortableSqlError with the line when it cannot be read."""
    try:
        tree: Any = parse_one(sql, dialect=Portable)
    except ParseError as error:
        faults = [f"line {item.get('line', 1)}: {item.get('description')}" for item in error.errors]
        raise PortableSqlError(faults or [f"line 1: {error}"]) from error
    return tree  # type: ignore[no-any-return]


def macro_name(node: exp.Expr) -> str | None:
    """The macro that ``node`` calls, if it calls one."""
    if isinstance(node, exp.Anonymous):
        name = str(node.this).lower()
        return name if name in MACROS else None
    return None
