"""Which input columns each output column comes from, read off the SQL that runs.

sqlglot's own ``lineage()`` leaves out WHERE, JOIN, GROUP BY, EXISTS and window inputs and walks the tree once per column. Here
every scope is walked once, and both kinds of input are found in the same walk. Types and subtypes are those of OpenLineage's
columnLineage facet (spec 2-0-2).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import pyarrow as pa
from sqlglot import exp
from sqlglot.optimizer.scope import Scope, build_scope

from controlplane.lake.errors import PortableSqlError

from .casts import qualified
from .dialect import macro_name
from .macros import MACROS
from .types import sqlglot_schema

DIRECT, INDIRECT = "DIRECT", "INDIRECT"
_RANK = {"IDENTITY": 0, "TRANSFORMATION": 1, "AGGREGATION": 2}


@dataclass(frozen=True, order=True)
class ColumnInput:
    """One input column of one output column.

    ``type`` DIRECT with ``subtype`` IDENTITY, TRANSFORMATION or AGGREGATION; or INDIRECT with JOIN, GROUP_BY, FILTER,
    SORT, WINDOW or CONDITIONAL. ``masking``: the input's value cannot be had back from the output.
    """

    dataset: str
    field: str
    type: str
    subtype: str
    masking: bool = False


Inputs = frozenset[ColumnInput]
NOTHING: Inputs = frozenset()


@dataclass(frozen=True)
class ColumnLineage:
    """Inputs of one output column, sorted; ``constant`` when the SQL says that it has none."""

    direct: tuple[ColumnInput, ...]
    indirect: tuple[ColumnInput, ...]
    constant: bool = False


@dataclass(frozen=True)
class _Kind:
    type: str = DIRECT
    subtype: str = "IDENTITY"
    masking: bool = False

    def at_least(self, subtype: str) -> _Kind:
        if self.type == INDIRECT or _RANK[self.subtype] >= _RANK[subtype]:
            return self
        return replace(self, subtype=subtype)

    def indirect(self, subtype: str) -> _Kind:
        return self if self.type == INDIRECT else replace(self, type=INDIRECT, subtype=subtype)

    def over(self, inner: ColumnInput) -> ColumnInput:
        """What an input of an inner query is to the outer one."""
        masking = self.masking or inner.masking
        if self.type == INDIRECT:
            return replace(inner, type=INDIRECT, subtype=self.subtype, masking=masking)
        if inner.type == INDIRECT:
            return replace(inner, masking=masking)
        subtype = max(self.subtype, inner.subtype, key=lambda name: _RANK[name])
        return replace(inner, subtype=subtype, masking=masking)


def column_lineage(sql: str, schemas: Mapping[str, Any]) -> dict[str, ColumnLineage]:
    """Output column → its inputs. ``schemas``: dataset → Arrow schema, or → {column: DuckDB type}.

    Raises PortableSqlError for a table or column that the schemas do not have, and for an output without any source
    that no comment ``-- constant: column`` declares. Cached by (SQL, schemas).
    """
    plain = sqlglot_schema(dict(schemas))
    return dict(_cached(sql, json.dumps(plain, sort_keys=True)))


def schema_hash(schemas: Mapping[str, pa.Schema | Mapping[str, str]]) -> str:
    """SHA-256 over names and types of the schemas, part of the cache key and of what a step records."""
    return hashlib.sha256(json.dumps(sqlglot_schema(dict(schemas)), sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=256)
def _cached(sql: str, schemas: str) -> dict[str, ColumnLineage]:
    root = build_scope(qualified(sql, json.loads(schemas)))
    if root is None:
        raise PortableSqlError(["line 1: a SELECT is wanted"])
    constants = set(re.findall(r"--\s*constant:\s*(\w+)", sql))
    return _outputs(_Walk(root), root, constants)


def _outputs(walk: _Walk, root: Scope, constants: set[str]) -> dict[str, ColumnLineage]:
    rows = walk.rows(root)
    found: dict[str, ColumnLineage] = {}
    faults: list[str] = []
    for name, inputs in walk.columns(root).items():
        if not inputs and name not in constants:
            faults.append(f"line 1: output {name} has no source; say `-- constant: {name}` if it is meant to have none")
        every = inputs | rows
        direct = tuple(sorted(item for item in every if item.type == DIRECT))
        indirect = tuple(sorted(item for item in every if item.type == INDIRECT))
        found[name] = ColumnLineage(direct, indirect, constant=not inputs)
    if unknown := constants - set(found):
        faults.extend(f"line 1: `-- constant: {name}`: there is no such output" for name in sorted(unknown))
    if faults:
        raise PortableSqlError(faults)
    return found


def _selects(expression: exp.Expr) -> list[exp.Expr]:
    return list(expression.selects) if isinstance(expression, exp.Query) else []


class _Walk:
    """Memoised walk over the scopes of one qualified query."""

    def __init__(self, root: Scope) -> None:
        self.scopes: dict[int, Scope] = {id(scope.expression): scope for scope in root.traverse()}
        self._columns: dict[int, dict[str, Inputs]] = {}
        self._rows: dict[int, Inputs] = {}

    def columns(self, scope: Scope) -> dict[str, Inputs]:
        """Output column → inputs of its expression."""
        known = self._columns.get(id(scope))
        if known is None:
            known = self._columns[id(scope)] = self._find_columns(scope)
        return known

    def _find_columns(self, scope: Scope) -> dict[str, Inputs]:
        expression = scope.expression
        if isinstance(expression, exp.SetOperation):
            sides = [self.columns(side) for side in scope.set_operation_scopes]
            names = list(sides[0])
            columns = [list(side.values()) for side in sides]
            return {name: frozenset().union(*(side[position] for side in columns)) for position, name in enumerate(names)}
        if isinstance(expression, exp.Values):
            return {}
        if isinstance(expression, exp.Subquery):
            return self.columns(self.scopes[id(expression.unnest())])
        return {item.alias_or_name: self.inputs(item.unalias(), scope, _Kind()) for item in _selects(expression)}

    def rows(self, scope: Scope) -> Inputs:
        """Inputs that decide which rows there are: filters, joins, groups, of this query and of those it reads."""
        known = self._rows.get(id(scope))
        if known is None:
            known = self._rows[id(scope)] = self._find_rows(scope)
        return known

    def _find_rows(self, scope: Scope) -> Inputs:
        expression = scope.expression
        found: set[ColumnInput] = set()
        for inner in scope.set_operation_scopes if isinstance(expression, exp.SetOperation) else []:
            found |= self.rows(inner)
        if not isinstance(expression, exp.Select):
            return frozenset(found)
        for _, source in scope.selected_sources.values():
            if isinstance(source, Scope):
                found |= self.rows(source)
        for part, subtype in (("where", "FILTER"), ("having", "FILTER"), ("group", "GROUP_BY")):
            clause = expression.args.get(part)
            if clause is not None:
                found |= self.inputs(clause, scope, _Kind(INDIRECT, subtype))
        for join in expression.args.get("joins") or []:
            if join.args.get("on") is not None:
                found |= self.inputs(join.args["on"], scope, _Kind(INDIRECT, "JOIN"))
        if expression.args.get("limit") is not None and expression.args.get("order") is not None:
            found |= self.inputs(expression.args["order"], scope, _Kind(INDIRECT, "SORT"))
        return frozenset(found)

    def inputs(self, node: exp.Expr, scope: Scope, kind: _Kind) -> Inputs:  # noqa: PLR0911 - one return per kind of node
        """The inputs of one expression, seen as ``kind``."""
        if isinstance(node, exp.Column):
            return self._column(node, scope, kind)
        if isinstance(node, exp.Exists | exp.Subquery | exp.Query):
            return self._subquery(node, scope, kind)
        if isinstance(node, exp.Case):
            return self._case(node, scope, kind)
        if isinstance(node, exp.Window):
            return self._window(node, scope, kind)
        if isinstance(node, exp.Filter):
            condition = self.inputs(node.expression, scope, kind.indirect("CONDITIONAL"))
            return self.inputs(node.this, scope, kind) | condition
        if isinstance(node, exp.Count) and isinstance(node.this, exp.Star):
            # How many rows there are is decided by what selects them.
            return frozenset(kind.over(item) for item in self.rows(scope))
        return self._children(node, scope, self._kind_below(node, kind))

    def _kind_below(self, node: exp.Expr, kind: _Kind) -> _Kind:
        if isinstance(node, exp.AggFunc) and not isinstance(node, exp.Lag | exp.Lead | exp.FirstValue | exp.LastValue):
            return kind.at_least("AGGREGATION")
        if name := macro_name(node):
            below = kind.at_least("TRANSFORMATION")
            return replace(below, masking=True) if MACROS[name].masking else below
        # In the portable subset a CAST keeps the value, so it is still the same column.
        if isinstance(node, exp.Paren | exp.Cast | exp.Alias):
            return kind
        return kind.at_least("TRANSFORMATION")

    def _children(self, node: exp.Expr, scope: Scope, kind: _Kind) -> Inputs:
        found: set[ColumnInput] = set()
        for child in node.iter_expressions():
            found |= self.inputs(child, scope, kind)
        return frozenset(found)

    def _column(self, node: exp.Column, scope: Scope, kind: _Kind) -> Inputs:
        place: Scope | None = scope
        while place is not None:  # a correlated subquery reads tables of the queries around it
            source = place.sources.get(node.table)
            if isinstance(source, exp.Table):
                return frozenset({ColumnInput(source.name, node.name, kind.type, kind.subtype, kind.masking)})
            if source is not None:
                return frozenset(kind.over(item) for item in self.columns(source).get(node.name, NOTHING))
            place = place.parent
        return NOTHING

    def _subquery(self, node: exp.Expr, scope: Scope, kind: _Kind) -> Inputs:
        query = node.this if isinstance(node, exp.Exists) else node
        inner = self.scopes.get(id(query.unnest() if isinstance(query, exp.Subquery) else query))
        if inner is None:
            return self._children(node, scope, kind)
        rows = kind.indirect("FILTER")
        found = {rows.over(item) for item in self.rows(inner)}
        if not isinstance(node, exp.Exists):
            for inputs in self.columns(inner).values():
                found |= {kind.over(item) for item in inputs}
        return frozenset(found)

    def _case(self, node: exp.Case, scope: Scope, kind: _Kind) -> Inputs:
        condition, value = kind.indirect("CONDITIONAL"), kind.at_least("TRANSFORMATION")
        found: set[ColumnInput] = set()
        if node.this is not None:
            found |= self.inputs(node.this, scope, condition)
        for branch in node.args["ifs"]:
            found |= self.inputs(branch.this, scope, condition)
            found |= self.inputs(branch.args["true"], scope, value)
        if node.args.get("default") is not None:
            found |= self.inputs(node.args["default"], scope, value)
        return frozenset(found)

    def _window(self, node: exp.Window, scope: Scope, kind: _Kind) -> Inputs:
        found = set(self.inputs(node.this, scope, kind))
        for part in [*(node.args.get("partition_by") or []), node.args.get("order")]:
            if part is not None:
                found |= self.inputs(part, scope, kind.indirect("WINDOW"))
        return frozenset(found)
