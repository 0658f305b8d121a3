"""Names of nodes as clients write them: ``dataset:<namespace>:<name>``, ``job:…``, ``datasetField:…:<field>``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["dataset", "job", "field"]
PREFIXES: dict[str, Kind] = {"dataset": "dataset", "job": "job", "datasetField": "field"}


@dataclass(frozen=True, slots=True)
class NodeName:
    """One reading of a node id. Namespaces hold colons ("s3://a:1"), so an id has several readings; one of them exists."""

    kind: Kind
    namespace: str
    name: str
    field: str = ""

    def __str__(self) -> str:
        if self.kind == "field":
            return f"datasetField:{self.namespace}:{self.name}:{self.field}"
        return f"{self.kind}:{self.namespace}:{self.name}"


def readings(node_id: str) -> list[NodeName]:
    """Every way to read a node id, at most a few hundred; empty when it is none."""
    prefix, _, rest = node_id.partition(":")
    kind = PREFIXES.get(prefix)
    if kind is None:
        return []
    cuts = [index for index, char in enumerate(rest) if char == ":"][:64]
    if kind != "field":
        return [NodeName(kind, rest[:cut], rest[cut + 1 :]) for cut in cuts if 0 < cut < len(rest) - 1]
    found = []
    for index, cut in enumerate(cuts):
        for last in cuts[index + 1 :]:
            namespace, name, field = rest[:cut], rest[cut + 1 : last], rest[last + 1 :]
            if namespace and name and field:
                found.append(NodeName(kind, namespace, name, field))
    return found


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """A column that came (``before`` None), went (``after`` None) or changed its type."""

    column: str
    before: str | None
    after: str | None


def schema_types(facet: Any) -> dict[str, str]:
    """Columns of a schema facet with their types, nested ones as ``parent.child``."""
    found: dict[str, str] = {}

    def gather(fields: Any, prefix: str) -> None:
        for item in fields if isinstance(fields, list) else ():
            if isinstance(item, dict) and isinstance(item.get("name"), str):
                found[prefix + item["name"]] = str(item.get("type") or "")
                gather(item.get("fields"), f"{prefix}{item['name']}.")

    gather(facet.get("fields") if isinstance(facet, dict) else None, "")
    return found


def schema_changes(before: Any, after: Any) -> list[SchemaChange]:
    """What differs between two schema facets, in the order of the new one; empty when either is missing."""
    if before is None or after is None:
        return []
    old, new = schema_types(before), schema_types(after)
    found = [SchemaChange(name, old.get(name), kind) for name, kind in new.items() if old.get(name) != kind]
    return found + [SchemaChange(name, kind, None) for name, kind in old.items() if name not in new]
