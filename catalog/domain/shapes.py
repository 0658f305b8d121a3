"""Shapes derived from a contract: the JSON Schema of a drop record and the Arrow schema of its table."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from .contract import BRONZE_FILE, BRONZE_ROW, Contract, Field

# The edge refuses what cannot be a value of the kind at all (an object where a number belongs). Whether text casts is decided
# row by row in Silver, where one bad value costs one row and not the whole drop; so text and NULL are admitted everywhere.
_KINDS: dict[str, list[str]] = {
    "string": ["string", "number", "null"],
    "integer": ["number", "string", "null"],
    "decimal": ["number", "string", "null"],
    "number": ["number", "string", "null"],
    "boolean": ["boolean", "string", "null"],
    "timestamp": ["string", "null"],
    "date": ["string", "null"],
}


def json_schema(contract: Contract) -> dict[str, Any]:
    """JSON Schema (2020-12) of one record of a drop: nesting, kinds, required keys; unknown keys pass (to quarantine)."""
    root = _object(contract.dataset)
    for field in contract.drop_fields:
        *outer, last = field.source_name.split(".")
        node = root
        for part in outer:
            if field.required and part not in node["required"]:
                node["required"].append(part)
            node = node["properties"].setdefault(part, _object(part))
        node["properties"][last] = _value(field)
        if field.required:
            node["required"].append(last)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_tidy(root)}


def _object(title: str) -> dict[str, Any]:
    return {"title": title, "type": "object", "properties": {}, "required": []}


def _tidy(node: dict[str, Any]) -> dict[str, Any]:
    """An object without required keys may be missing or null as a whole; the drop's record itself may not."""
    for name, child in node["properties"].items():
        if child.get("type") == "object":
            _tidy(child)
            if name not in node["required"]:
                child["type"] = ["object", "null"]
    return node


def _value(field: Field) -> dict[str, Any]:
    value: dict[str, Any] = {"type": _KINDS[field.type]}
    if field.description:
        value["description"] = field.description
    return value


def arrow_schema(contract: Contract) -> pa.Schema:
    """The table's columns: fields in order, the partition column unless a field has its name, in Silver the row's origin.

    All columns are nullable: ``required`` is a rule that Silver and the gates apply, and a NOT NULL column could never be
    relaxed in a Delta table.
    """
    columns = [pa.field(field.name, field.arrow_type) for field in contract.fields]
    if contract.partition and contract.partition.column not in contract.field_names:
        columns.append(pa.field(contract.partition.column, contract.partition.arrow_type))
    if contract.layer == "silver":
        columns += [pa.field(BRONZE_FILE, pa.string()), pa.field(BRONZE_ROW, pa.int64())]
    return pa.schema(columns)
