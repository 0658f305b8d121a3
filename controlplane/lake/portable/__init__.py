"""SQL that means the same on DuckDB and on Spark: macros, the allow-list, the renderer and column lineage."""

from .check import check
from .lineage import ColumnInput, ColumnLineage, column_lineage
from .macros import MACROS, Macro
from .render import EngineName, literal, render
from .types import arrow_type_sql

__all__ = [
    "MACROS",
    "ColumnInput",
    "ColumnLineage",
    "EngineName",
    "Macro",
    "arrow_type_sql",
    "check",
    "column_lineage",
    "literal",
    "render",
]
