"""Arrow types in the words of each engine."""

from __future__ import annotations

import pyarrow as pa

_NAMES: dict[str, tuple[str, str]] = {
    "string": ("VARCHAR", "STRING"),
    "large_string": ("VARCHAR", "STRING"),
    "string_view": ("VARCHAR", "STRING"),
    "int64": ("BIGINT", "BIGINT"),
    "int32": ("INTEGER", "INT"),
    "int16": ("SMALLINT", "SMALLINT"),
    "int8": ("TINYINT", "TINYINT"),
    "double": ("DOUBLE", "DOUBLE"),
    "float": ("FLOAT", "FLOAT"),
    "bool": ("BOOLEAN", "BOOLEAN"),
    "date32[day]": ("DATE", "DATE"),
    "binary": ("BLOB", "BINARY"),
}


def arrow_type_sql(kind: pa.DataType, engine: str) -> str:
    """The engine's name of an Arrow type, e.g. ``DECIMAL(18,2)``; TypeError for what the lake does not hold."""
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        if kind.tz is None:
            return "TIMESTAMP" if engine == "duckdb" else "TIMESTAMP_NTZ"
        return "TIMESTAMPTZ" if engine == "duckdb" else "TIMESTAMP"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = arrow_type_sql(kind.value_type, engine)
        return f"{inner}[]" if engine == "duckdb" else f"ARRAY<{inner}>"
    try:
        duckdb, spark = _NAMES[str(kind)]
    except KeyError:
        raise TypeError(f"the lake has no columns of type {kind}") from None
    return duckdb if engine == "duckdb" else spark


def sqlglot_schema(schemas: dict[str, dict[str, str]] | dict[str, pa.Schema]) -> dict[str, dict[str, str]]:
    """Schemas (Arrow, or column → DuckDB type) as the mapping that sqlglot's optimizer takes."""
    found: dict[str, dict[str, str]] = {}
    for name, schema in schemas.items():
        if isinstance(schema, pa.Schema):
            found[name] = {field.name: arrow_type_sql(field.type, "duckdb") for field in schema}
        else:
            found[name] = dict(schema)
    return found
