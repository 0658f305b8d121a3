"""Edges that events spell out: the facets ``columnLineage`` and ``lineage``.

Both become the same thing, a list of ``Edge``: from a dataset (or one field of it) to the target dataset (or one field).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from lineage.domain.delta import INPUT, OUTPUT, FieldEdge
from lineage.domain.spec import storable

Json = Mapping[str, Any]
Named = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Edge:
    """From ``field`` of a dataset to ``target`` of the dataset that carries the facet; None is the dataset as a whole."""

    namespace: str
    name: str
    field: str | None
    target: str | None
    transformations: tuple[Json, ...] = ()


@dataclass(slots=True)
class Declared:
    """Entries of a job's ``lineage`` facet, by target."""

    datasets: dict[Named, list[Edge]] = field(default_factory=dict)
    job_edges: list[tuple[Named, Named, int]] = field(default_factory=list)


def names(item: Any) -> Named | None:
    """Namespace and name of anything that has both; None when either is missing, empty or cannot be stored."""
    if not isinstance(item, dict):
        return None
    namespace, name = item.get("namespace"), item.get("name")
    if not (isinstance(namespace, str) and isinstance(name, str) and namespace and name):
        return None
    return (namespace, name) if storable(namespace) and storable(name) else None


def column_lineage(facet: Json) -> list[Edge]:
    """``fields.X.inputFields[]`` and the inputs of the whole table, ``dataset[]``. A deleted facet has no edges."""
    if facet.get("_deleted"):
        return []
    found = [edge for item in _items(facet.get("dataset")) if (edge := _edge(item, None)) and edge.field]
    fields = facet.get("fields")
    for target, entry in fields.items() if isinstance(fields, dict) else ():
        if not isinstance(entry, dict) or not storable(target):
            continue
        older = _older(entry)
        for item in _items(entry.get("inputFields")):
            edge = _edge(item, target, older)
            if edge and edge.field:
                found.append(edge)
    return found


def dataset_lineage(facet: Json) -> list[Edge]:
    """The ``lineage`` facet of a dataset: sources of the whole and of its fields.

    Each field edge also yields the edge between the datasets, since that is what the facet states in their stead.
    """
    if facet.get("_deleted"):
        return []
    found: list[Edge] = []
    for item in _items(facet.get("inputs")):
        if item.get("type") != "JOB" and (edge := _edge(item, None)):
            found += _whole(edge)
    fields = facet.get("fields")
    for target, entry in fields.items() if isinstance(fields, dict) else ():
        for item in _items((entry or {}).get("inputs") if isinstance(entry, dict) else None):
            if item.get("type") != "JOB" and storable(target) and (edge := _edge(item, target)):
                found += _whole(edge)
    return found


def entries(facet: Json | None, job: Json) -> Declared | None:
    """The ``lineage`` facet of a job; None when there is none (an empty one states that there are no edges)."""
    if facet is None:
        return None
    declared = Declared()
    own = (str(job["namespace"]), str(job["name"]))
    # Drafts of the facet, and its form on runs, call the entries "lineage".
    for entry in _items(facet.get("entries")) or _items(facet.get("lineage")):
        if entry.get("type") == "JOB":
            target = names(entry) or own
            sources = [named for item in _items(entry.get("inputs")) if item.get("type") != "JOB" and (named := names(item))]
            declared.job_edges += [(target, named, INPUT) for named in sources]
        elif (named := names(entry)) is not None:
            declared.datasets.setdefault(named, []).extend(dataset_lineage(entry))
            declared.job_edges += [(source, named, OUTPUT) for source in _source_jobs(entry) if source != own]
    return declared


def _source_jobs(entry: Json) -> list[Named]:
    return [named for item in _items(entry.get("inputs")) if item.get("type") == "JOB" and (named := names(item))]


def field_edge(edge: Edge, key: tuple[int, int, int]) -> FieldEdge:
    return _made(key, edge.transformations)


def joined(known: FieldEdge, edge: Edge, key: tuple[int, int, int]) -> FieldEdge:
    """The same edge stated twice in one facet: its transformations are united."""
    return _made(key, (*json.loads(known.transformations), *edge.transformations))


def _made(key: tuple[int, int, int], transformations: Iterable[Json]) -> FieldEdge:
    return FieldEdge(*key, *_united(frozenset(json.dumps(item, sort_keys=True) for item in transformations)))


@lru_cache(maxsize=4096)  # edges by the thousand share a handful of transformations
def _united(texts: frozenset[str]) -> tuple[str, bool, bool]:
    """(transformations as JSON, direct, masking)."""
    parsed = [json.loads(item) for item in sorted(texts)]
    direct = any(item.get("type") != "INDIRECT" for item in parsed) or not parsed
    # Masked only when no way leads through in the clear: one unmasked direct transformation is a leak.
    ways = [item for item in parsed if item.get("type") != "INDIRECT"] or parsed
    masking = bool(ways) and all(item.get("masking") is True for item in ways)
    return json.dumps(parsed, separators=(",", ":")), direct, masking


def _edge(item: Json, target: str | None, older: tuple[Json, ...] = ()) -> Edge | None:
    named = names(item)
    if named is None:
        return None
    column = item.get("field")
    column = column if isinstance(column, str) and column and storable(column) else None
    stated = tuple(_transformation(entry) for entry in _items(item.get("transformations")))
    return Edge(*named, column, target, stated or older)


def _whole(edge: Edge) -> list[Edge]:
    whole = Edge(edge.namespace, edge.name, None, None)
    return [whole] if edge.field is None and edge.target is None else [whole, edge]


def _transformation(entry: Json) -> Json:
    made = {"type": str(entry.get("type") or "DIRECT").upper()[:32], "masking": entry.get("masking") is True}
    for key in ("subtype", "description"):
        value = entry.get(key)
        if isinstance(value, str) and value and storable(value):
            made[key] = value
    return made


def _older(entry: Json) -> tuple[Json, ...]:
    """Version 1.0 of the facet stated one ``transformationType`` (IDENTITY or MASKED) per output field."""
    kind = entry.get("transformationType")
    if not isinstance(kind, str) or not kind:
        return ()
    masked = kind.upper() == "MASKED"
    made = {"type": "DIRECT", "subtype": "TRANSFORMATION" if masked else kind.upper(), "masking": masked}
    text = entry.get("transformationDescription")
    return ({**made, "description": text} if isinstance(text, str) and text and storable(text) else made,)


def _items(value: Any) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
