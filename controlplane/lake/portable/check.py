"""The allow-list: which SQL means the same on every engine. What is not listed is refused, with line and reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlglot import exp

from controlplane.lake.errors import PortableSqlError

from .casts import cast_faults
from .dialect import macro_name, parse
from .macros import MACROS
from .render import call_body, line_of

# Constructs that every engine reads the same way. Each has an engine-pair test.
_ALLOWED: tuple[type[exp.Expr], ...] = (
    # statements and their parts
    exp.Select, exp.With, exp.CTE, exp.Subquery, exp.From, exp.Join, exp.Table, exp.TableAlias, exp.Alias, exp.Where, exp.Group,
    exp.Having, exp.Order, exp.Ordered, exp.Limit, exp.Union, exp.Except, exp.Intersect, exp.Distinct, exp.Values, exp.Tuple,
    # names and values
    exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Boolean, exp.Paren, exp.Placeholder, exp.Parameter, exp.DataType,
    exp.DataTypeParam, exp.Var,
    # tests
    exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ,
    exp.In, exp.Between,
    exp.Is, exp.Exists, exp.Like, exp.Case, exp.If, exp.StartsWith,
    # numbers and text
    exp.Add, exp.Sub, exp.Mul, exp.Mod, exp.Neg, exp.Abs, exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least, exp.DPipe,
    exp.Length,
    exp.Substring, exp.Replace, exp.Cast,
    # aggregates and windows
    exp.Count, exp.Sum, exp.Min, exp.Max, exp.LogicalOr, exp.LogicalAnd, exp.Filter, exp.Window, exp.WindowSpec, exp.RowNumber,
    exp.Rank, exp.DenseRank, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue,
)  # fmt: skip

_REASONS: dict[type[exp.Expr], str] = {
    exp.Qualify: "QUALIFY: Sail does not parse it; number the rows in a CTE and filter in WHERE",
    exp.Div: "/ gives DOUBLE in one engine and DECIMAL in another; use ratio(n, d, scale)",
    exp.IntDiv: "//: use ratio(n, d, 0) or seconds_between",
    exp.Avg: "avg differs in type; use ratio(sum(x), count(x), scale)",
    exp.AtTimeZone: "AT TIME ZONE is turned round by transpilation; use business_date, day_start or ts_utc",
    exp.Interval: "date arithmetic only through add_days, add_seconds, days_between, seconds_between",
    exp.TryCast: "TRY_CAST parses differently; use to_int, to_decimal, to_date, ts_utc, to_bool, to_number",
    exp.ArgMax: "arg_max treats NULL differently; number the rows in a CTE",
    exp.ArgMin: "arg_min treats NULL differently; number the rows in a CTE",
    exp.Upper: "upper differs beyond ASCII; use upper_ascii",
    exp.Lower: "lower differs beyond ASCII; use lower_ascii",
    exp.Trim: "trim differs in what a blank is; use clean",
    exp.Concat: "concat skips NULL in one engine; use ||",
    exp.ILike: "ILIKE: use lower_ascii(x) LIKE …",
    exp.RegexpLike: "regular expressions differ; use matches(text, pattern)",
    exp.RegexpExtract: "regular expressions differ; use matches(text, pattern)",
    exp.Lateral: "LATERAL: write a join or a scalar subquery",
    exp.Unnest: "UNNEST: join a table instead",
    exp.Round: "round differs for DOUBLE; CAST to DECIMAL(p,s) rounds half away from zero",
    exp.Extract: "EXTRACT: use weekday, date_of_month or business_date",
    exp.Explode: "EXPLODE and UNNEST: join a table instead",
    exp.CurrentTimestamp: "the present time makes SQL unrepeatable; use a parameter",
    exp.CurrentDate: "the present day makes SQL unrepeatable; use a parameter",
}
_CASTS = {"BIGINT", "DECIMAL", "VARCHAR", "TEXT", "DATE", "TIMESTAMPTZ", "BOOLEAN", "DOUBLE", "INT"}
_INSTANT = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)$")
_DAY = re.compile(r"^\d{4}-\d\d-\d\d$")


def check(sql: str, schemas: Mapping[str, Any] | None = None) -> None:
    """Raise PortableSqlError with every construct outside the portable subset, each as ``line N: what and why``.

    With ``schemas`` (dataset → Arrow schema, or → {column: DuckDB type}) casts are checked by the type of what is
    cast: allowed are a type to itself, whole number → DECIMAL or DOUBLE, DECIMAL → DECIMAL (rounds half away from
    zero) or DOUBLE, and NULL to anything.
    """
    tree = parse(sql)
    faults: list[tuple[int, str]] = []
    if not isinstance(tree, exp.Query):
        raise PortableSqlError([f"line 1: a SELECT is wanted, not {tree.key.upper()}"])
    for node in tree.walk():
        faults.extend((line_of(node), reason) for reason in _faults(node))
    if schemas is not None and not faults:
        faults.extend(cast_faults(sql, schemas))
    if faults:
        raise PortableSqlError([f"line {line}: {reason}" for line, reason in sorted(set(faults))])


def _faults(node: exp.Expr) -> Iterator[str]:
    if name := macro_name(node):
        yield from _macro_faults(node, name)
        return
    for kind, reason in _REASONS.items():
        if isinstance(node, kind):
            yield reason
            return
    if isinstance(node, exp.Star):
        if not isinstance(node.parent, exp.Count):
            yield "* hides which columns there are; name them"
    elif isinstance(node, exp.Anonymous) and str(node.this).lower() in ("now", "today", "get_current_timestamp"):
        yield _REASONS[exp.CurrentTimestamp]
    elif isinstance(node, exp.Anonymous):
        yield f"{node.this}: not a macro and not an allowed function"
    elif type(node) not in _ALLOWED:
        yield f"{node.key.upper()} is not in the portable subset"
    else:
        special = _SPECIAL.get(type(node))
        if special:
            yield from special(node)


def _macro_faults(node: exp.Expr, name: str) -> Iterator[str]:
    try:
        call_body(node, "duckdb")
        call_body(node, "spark")
    except PortableSqlError as error:
        yield error.faults[0].partition(": ")[2]
    except Exception:  # an argument that cannot be rendered has a fault of its own, reported where it stands
        assert name in MACROS


def _cast(node: exp.Expr) -> Iterator[str]:
    kind = node.args["to"]
    name = kind.this.value if hasattr(kind.this, "value") else str(kind.this)
    operand = node.this
    if name not in _CASTS:
        yield f"CAST to {kind.sql('duckdb')}: the types are {', '.join(sorted(_CASTS))}"
    elif name == "DECIMAL" and len(kind.expressions) != 2:
        yield "CAST to DECIMAL: state precision and scale"
    elif isinstance(operand, exp.Literal) and operand.is_string:
        form = {"DATE": _DAY, "TIMESTAMPTZ": _INSTANT}.get(name)
        if name in ("VARCHAR", "TEXT"):
            return
        if form is None or not form.match(operand.this):
            yield "a text literal may be cast to DATE ('2024-05-31') or TIMESTAMPTZ ('2024-05-31 12:00:00Z') only"


def _mul(node: exp.Expr) -> Iterator[str]:
    if not any(_is_small_integer(side) for side in (node.this, node.expression)):
        yield (
            "decimal * decimal overflows in one engine; use eur(amount, rate) or product(a, b, scale) "
            "(* by a whole-number literal is fine)"
        )


def _is_small_integer(node: exp.Expr) -> bool:
    bare = node.unnest()
    if isinstance(bare, exp.Neg):
        bare = bare.this
    return isinstance(bare, exp.Literal) and bare.is_int


def _join(node: exp.Expr) -> Iterator[str]:
    if node.args.get("method"):
        yield f"{node.args['method']} JOIN: write INNER, LEFT, FULL or CROSS JOIN with ON"
    if node.args.get("using"):
        yield "USING merges columns differently; write ON"
    if str(node.args.get("kind") or "").upper() in ("SEMI", "ANTI", "ASOF", "POSITIONAL"):
        yield f"{node.args['kind']} JOIN: write EXISTS or NOT EXISTS"


def _table(node: exp.Expr) -> Iterator[str]:
    if not isinstance(node.this, exp.Identifier):
        yield "a table function is not portable; read a registered name"
    for part in ("pivots", "sample", "version", "when", "ordinality"):
        if node.args.get(part):
            yield f"{part.upper()} on a table is not portable"


def _select(node: exp.Expr) -> Iterator[str]:
    if node.args.get("limit") is not None and node.args.get("order") is None:
        yield "LIMIT without ORDER BY gives any rows"
    for projection in node.expressions:
        bare = projection
        if not isinstance(bare, exp.Alias | exp.Column | exp.Star) and not isinstance(
            node.parent, exp.Exists | exp.In | exp.Subquery
        ):
            yield f"name the output with AS: {bare.sql('duckdb')[:40]}"
    distinct = node.args.get("distinct")
    if distinct is not None and distinct.args.get("on"):
        yield "DISTINCT ON: number the rows in a CTE and filter in WHERE"


def _group(node: exp.Expr) -> Iterator[str]:
    if any(node.args.get(part) for part in ("cube", "rollup", "grouping_sets", "all")):
        yield "GROUP BY ALL, CUBE, ROLLUP and GROUPING SETS are not in the subset; list the columns"
    for item in node.expressions:
        if isinstance(item, exp.Literal):
            yield "GROUP BY a position: name the column"


def _order(node: exp.Expr) -> Iterator[str]:
    for item in node.expressions:
        if isinstance(item, exp.Ordered) and isinstance(item.this, exp.Literal):
            yield "ORDER BY a position: name the column"


def _set_operation(node: exp.Expr) -> Iterator[str]:
    if node.args.get("by_name"):
        yield "BY NAME: list the columns in the same order"
    if not isinstance(node, exp.Union) and not node.args.get("distinct"):
        yield f"{node.key.upper()} ALL is not in the subset"


def _substring(node: exp.Expr) -> Iterator[str]:
    start, length = node.args.get("start"), node.args.get("length")
    for part in (start, length):
        if part is not None and not (isinstance(part, exp.Literal) and part.is_int and int(part.this) > 0):
            yield "substr: start and length must be positive whole-number literals"


def _extreme(node: exp.Expr) -> Iterator[str]:
    if node.expressions or node.args.get("count") is not None:
        yield f"{node.key} of several values: number the rows in a CTE, or use greatest and least (outside the portable subset)"


def _with(node: exp.Expr) -> Iterator[str]:
    if node.args.get("recursive"):
        yield "WITH RECURSIVE is not in the subset"


def _window(node: exp.Expr) -> Iterator[str]:
    inner = node.this
    if isinstance(inner, exp.IgnoreNulls | exp.RespectNulls):
        return
    ranking = (exp.RowNumber, exp.Rank, exp.DenseRank, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue)
    if isinstance(inner, ranking) and node.args.get("order") is None:
        yield f"{inner.key}: a window without ORDER BY gives any row"


def _window_spec(node: exp.Expr) -> Iterator[str]:
    if str(node.args.get("kind")).upper() != "ROWS":
        yield "window frames: ROWS only (RANGE and GROUPS differ)"


def _in(node: exp.Expr) -> Iterator[str]:
    if node.args.get("query") is not None:
        inside = node.find_ancestor(exp.Where, exp.Having, exp.Select)
        if not isinstance(inside, exp.Where | exp.Having):
            yield "IN (SELECT …) outside WHERE and HAVING: Sail cannot; use EXISTS"


def _one_kind_of_number(node: exp.Expr) -> Iterator[str]:
    """Sail gives CASE … THEN 1 ELSE 2.5 END a type that cannot hold both."""
    values = [branch.args["true"] for branch in node.args.get("ifs") or []] if isinstance(node, exp.Case) else [node.this]
    values += [node.args["default"]] if node.args.get("default") is not None else []
    values += node.expressions
    literals = [value for value in values if isinstance(value, exp.Literal) and not value.is_string]
    if len({literal.is_int for literal in literals}) > 1:
        yield "whole and decimal literals mixed: write the whole ones with a point (1.0)"


_SPECIAL: dict[type[exp.Expr], Callable[[Any], Iterator[str]]] = {
    exp.In: _in,
    exp.Case: _one_kind_of_number,
    exp.Coalesce: _one_kind_of_number,
    exp.Greatest: _one_kind_of_number,
    exp.Least: _one_kind_of_number,
    exp.Cast: _cast,
    exp.Min: _extreme,
    exp.Max: _extreme,
    exp.With: _with,
    exp.Mul: _mul,
    exp.Join: _join,
    exp.Table: _table,
    exp.Select: _select,
    exp.Group: _group,
    exp.Order: _order,
    exp.Union: _set_operation,
    exp.Except: _set_operation,
    exp.Intersect: _set_operation,
    exp.Substring: _substring,
    exp.Window: _window,
    exp.WindowSpec: _window_spec,
}
