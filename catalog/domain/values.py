"""Small readers of contract values: names, durations, numbers, patterns, row rules."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
SEMANTIC_VERSION = re.compile(r"(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})")
DECIMAL_TYPE = re.compile(r"(?:decimal|numeric)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)", re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)", re.IGNORECASE)
# Both engines must agree on a pattern: RE2 (DuckDB) has neither look-around nor back references, possessive or atomic groups.
_NOT_PORTABLE = re.compile(r"\(\?(?:[=!>]|<[=!])|\\[1-9]|\(\?P=|[*+?}]\+")

_UNITS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
    **dict.fromkeys(("w", "week", "weeks"), 7 * 86_400),
    **dict.fromkeys(("y", "yr", "year", "years"), 365 * 86_400),
}


class Unreadable(ValueError):
    """A value that does not mean what its place asks for; the text says why."""


def seconds(value: Any, unit: str | None = None) -> int:
    """``15, "m"`` or ``"15 min"`` or ``900`` (seconds) → 900. Raises Unreadable."""
    if isinstance(value, str) and unit is None:
        match = _DURATION.fullmatch(value.strip())
        if not match:
            raise Unreadable(f"{value!r} is not a duration; write for example 15 min, 2 h or 90 d")
        value, unit = Decimal(match[1]), match[2]
    if isinstance(value, str):
        value = number(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise Unreadable(f"{value!r} is not a duration; write for example 15 min, 2 h or 90 d")
    factor = _UNITS.get((unit or "s").lower())
    if factor is None:
        fixed = "months are not of one length; say days" if (unit or "").lower().startswith("mo") else "use s, m, h, d, w or y"
        raise Unreadable(f"the unit {unit!r} is not known: {fixed}")
    result = Decimal(str(value)) * factor
    if result <= 0 or result != result.to_integral_value():
        raise Unreadable("a duration is a whole number of seconds greater than zero")
    return int(result)


def days(value: Any, unit: str | None = None) -> int:
    """Like ``seconds`` but whole days; a bare number is days. Raises Unreadable."""
    if unit is None and not isinstance(value, str):
        unit = "d"
    length = seconds(value, unit)
    if length % 86_400:
        raise Unreadable("retention is kept in whole days")
    return length // 86_400


def number(value: Any) -> Decimal:
    """An exact number, never through a binary float. Raises Unreadable."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Unreadable(f"{value!r} is not a number")
    try:
        result = Decimal(str(value))
    except InvalidOperation:
        raise Unreadable(f"{value!r} is not a number") from None
    if not result.is_finite():
        raise Unreadable(f"{value!r} is not a finite number")
    return result


def pattern(text: str) -> str:
    """A regular expression that Python, DuckDB and Spark read alike. Raises Unreadable."""
    try:
        re.compile(text)
    except re.error as error:
        raise Unreadable(f"the pattern does not compile: {error}") from None
    if found := _NOT_PORTABLE.search(text):
        raise Unreadable(f"the pattern uses {found[0]}, which the engines do not all have (no look-around, no back references)")
    return text


def literal(value: Any, field_type: str) -> str:
    """A contract value (default, enum entry) as text that casts to the type. Raises Unreadable."""
    if value is None or isinstance(value, dict | list):
        raise Unreadable("expected a single value")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    fits = {
        "string": lambda: isinstance(value, str),
        "integer": lambda: bool(re.fullmatch(r"-?\d{1,18}", text)),
        "decimal": lambda: number(text) is not None,
        "number": lambda: number(text) is not None,
        "boolean": lambda: text in {"true", "false"},
        "date": lambda: moment(text, "date") is not None,
        "timestamp": lambda: moment(text, "timestamp") is not None,
    }[field_type]()
    if not fits:
        quote = "; quote it to make it text" if field_type == "string" else ""
        raise Unreadable(f"{text!r} is not of type {field_type}{quote}")
    return text


def moment(text: Any, field_type: str) -> str:
    """ISO 8601 text of a date or timestamp. Raises Unreadable."""
    try:
        if field_type == "date":
            date.fromisoformat(text)
        else:
            datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise Unreadable(f"{text!r} is not an ISO 8601 {field_type}") from None
    return str(text)


def table_query(sql: str) -> bool:
    """Is this a whole query (a check of the table) rather than a predicate over one row?"""
    return sql.lstrip().lower().startswith(("select", "with"))


def predicate(sql: str, columns: set[str]) -> str:
    """A row rule: one boolean expression over columns of this table. Raises Unreadable."""
    try:
        tree = sqlglot.parse_one(f"SELECT ({sql}\n) FROM t", read="duckdb")  # noqa: S608  (parsed, never run)
    except (ParseError, TokenError) as error:
        detail = error.errors[0].get("description") if isinstance(error, ParseError) and error.errors else str(error)
        raise Unreadable("the rule's SQL does not parse: " + re.sub(r" for <class.*>", "", str(detail))) from None
    if (
        not isinstance(tree, exp.Select)
        or len(tree.expressions) != 1
        or set(tree.args) - {"expressions", "from_", "from", "kind"} - _empty(tree)
    ):
        raise Unreadable("a row rule is one expression that is true for a good row")
    if len(list(tree.find_all(exp.Select))) > 1 or tree.find(exp.AggFunc, exp.Window) is not None:
        raise Unreadable("a row rule looks at one row: no subquery, aggregate or window")
    if unknown := sorted({column.name for column in tree.find_all(exp.Column)} - columns):
        raise Unreadable(f"the rule names {', '.join(unknown)}, which this contract does not have")
    if next(tree.find_all(exp.Column), None) is None:
        raise Unreadable("the rule looks at no column")
    return sql.strip()


def _empty(tree: exp.Select) -> set[str]:
    return {name for name, value in tree.args.items() if not value}
