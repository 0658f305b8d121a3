"""Facets as people read them: schemas and what changed in them, figures over time, people, places of code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Json = Mapping[str, Any]
DEPTH_MAX = 12


@dataclass(frozen=True)
class SchemaField:
    """A column; nested ones are named ``parent.child``."""

    name: str
    type: str = ""
    description: str = ""


@dataclass(frozen=True)
class SchemaChange:
    what: Literal["added", "removed", "changed", "same"]
    name: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Assertion:
    """One quality check as its producer reports it."""

    name: str
    column: str
    success: bool
    severity: str = ""
    detail: str = ""


def schema_fields(facet: Any) -> list[SchemaField]:
    """Columns of a ``schema`` facet in its order; what is no column is left out."""
    found: list[SchemaField] = []

    def walk(items: Any, prefix: str, depth: int) -> None:
        for item in items if isinstance(items, list) and depth < DEPTH_MAX else ():
            if isinstance(item, dict) and isinstance(item.get("name"), str):
                name = f"{prefix}{item['name']}"
                found.append(SchemaField(name, _text(item.get("type")), _text(item.get("description"))))
                walk(item.get("fields"), f"{name}.", depth + 1)

    walk(facet.get("fields") if isinstance(facet, Mapping) else None, "", 0)
    return found


def schema_types(facet: Any) -> dict[str, str]:
    return {item.name: item.type for item in schema_fields(facet)}


def schema_changes(before: Sequence[SchemaField], after: Sequence[SchemaField]) -> list[SchemaChange]:
    """Every column of both, in the order of the newer one, removed ones at the end."""
    old = {item.name: item.type for item in before}
    new = {item.name: item.type for item in after}
    found = []
    for name, type_ in new.items():
        if name not in old:
            found.append(SchemaChange("added", name, "", type_))
        elif old[name].lower() != type_.lower():
            found.append(SchemaChange("changed", name, old[name], type_))
        else:
            found.append(SchemaChange("same", name, type_, type_))
    return found + [SchemaChange("removed", name, type_, "") for name, type_ in old.items() if name not in new]


def assertions(facet: Any) -> list[Assertion]:
    items = facet.get("assertions") if isinstance(facet, Mapping) else None
    return [
        Assertion(
            _text(item.get("assertion")) or "unnamed check",
            _text(item.get("column")),
            item.get("success") is True,
            _text(item.get("severity")),
            ", ".join(f"{key} {item[key]}" for key in ("expected", "actual") if item.get(key) is not None),
        )
        for item in (items if isinstance(items, list) else ())
        if isinstance(item, dict)
    ]


def figures(facet: Any) -> dict[str, float]:
    """Numbers of a statistics or metrics facet: {name: value}, without those of single columns."""
    found: dict[str, float] = {}
    for name, value in facet.items() if isinstance(facet, Mapping) else ():
        if isinstance(value, int | float) and not isinstance(value, bool) and not name.startswith("_"):
            found[name] = float(value)
    return found


def column_figures(facet: Any) -> list[tuple[str, dict[str, Any]]]:
    """(column, metrics) of a dataQualityMetrics facet."""
    items = facet.get("columnMetrics") if isinstance(facet, Mapping) else None
    if not isinstance(items, Mapping):
        return []
    return [(str(name), dict(body)) for name, body in items.items() if isinstance(body, Mapping)]


def owners(facet: Any) -> list[tuple[str, str]]:
    """(name, type) of an ownership facet."""
    items = facet.get("owners") if isinstance(facet, Mapping) else None
    rows = items if isinstance(items, list) else ()
    return [(_text(item.get("name")), _text(item.get("type"))) for item in rows if isinstance(item, dict) and item.get("name")]


def tags(facet: Any) -> list[str]:
    """Tags as ``key`` or ``key: value``, with the column they are about."""
    items = facet.get("tags") if isinstance(facet, Mapping) else None
    found = []
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict) and item.get("key"):
            value = _text(item.get("value"))
            text = f"{item['key']}: {value}" if value and value.lower() != "true" else str(item["key"])
            found.append(f"{text} ({item['field']})" if item.get("field") else text)
    return found


def link(text: Any) -> str:
    """An address that may stand in ``href``: http and https alone, so that no script can come from an event."""
    url = _text(text)
    return url if url.lower().startswith(("https://", "http://")) else ""


def plain(body: Any) -> Any:
    """A facet without what names its producer and schema."""
    return {key: value for key, value in body.items() if not key.startswith("_")} if isinstance(body, Mapping) else body


def series(points: Iterable[tuple[Any, Json]]) -> dict[str, list[tuple[Any, float]]]:
    """{figure: [(when, value)]} out of (when, facet) pairs in order of time."""
    found: dict[str, list[tuple[Any, float]]] = {}
    for when, facet in points:
        for name, value in figures(facet).items():
            found.setdefault(name, []).append((when, value))
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None or isinstance(value, dict | list) else str(value)
