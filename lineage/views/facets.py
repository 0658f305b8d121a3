"""Facets as a page shows them: known ones in words, all others as a tree that opens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from lineage.domain import reading
from lineage.domain.spec import run_uuid

# Shown in words at the top of a page, so not once more among the others.
IN_WORDS = {
    "errorMessage", "sql", "sourceCode", "sourceCodeLocation", "ownership", "tags", "documentation", "jobType", "nominalTime",
    "parent", "processing_engine", "schema", "columnLineage", "symlinks", "dataSource", "storage", "datasetType", "version",
    "lifecycleStateChange", "externalQuery", "catalog", "extractionError", "dataQualityAssertions", "outputStatistics",
    "inputStatistics", "dataQualityMetrics",
}  # fmt: skip
TREE_DEPTH, TREE_ITEMS, TREE_TEXT = 14, 300, 4_000


@dataclass
class Told:
    """What the facets of a job, run or dataset say. Empty where nothing was said."""

    description: str = ""
    facts: list[tuple[str, str, str]] = field(default_factory=list)  # (word, text, address or "")
    owners: list[tuple[str, str]] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    sql: str = ""
    dialect: str = ""
    code: str = ""
    code_language: str = ""
    error: str = ""
    trace: str = ""
    failures: list[tuple[str, str]] = field(default_factory=list)
    parents: list[tuple[str, str, str]] = field(default_factory=list)  # (word, job name, run id)
    others: list[tuple[str, SafeString]] = field(default_factory=list)


def told(facets: Mapping[str, Any]) -> Told:
    """Put facets (name → body) into words."""
    bodies = {
        name: body for name, body in facets.items() if isinstance(body, Mapping) and body.get("_deleted") is not True
    }  # fmt: skip
    found = Told(
        description=_text(bodies, "documentation", "description"),
        owners=reading.owners(bodies.get("ownership")),
        tags=reading.tags(bodies.get("tags")),
        sql=_text(bodies, "sql", "query"),
        dialect=_text(bodies, "sql", "dialect"),
        code=_text(bodies, "sourceCode", "sourceCode"),
        code_language=_text(bodies, "sourceCode", "language"),
        error=_text(bodies, "errorMessage", "message"),
        trace=_text(bodies, "errorMessage", "stackTrace"),
    )
    found.facts = _facts(bodies)
    found.failures = _failures(bodies.get("extractionError"))
    found.parents = _parents(bodies.get("parent"))
    for name, body in sorted(bodies.items()):
        if name not in IN_WORDS:
            found.others.append((name, tree(reading.plain(body))))
    return found


def _facts(bodies: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    kind = " ".join(_text(bodies, "jobType", part) for part in ("integration", "processingType", "jobType")).strip()
    engine = " ".join(_text(bodies, "processing_engine", part) for part in ("name", "version")).strip()
    place = bodies.get("sourceCodeLocation") or {}
    code = ", ".join(str(place[part]) for part in ("path", "branch", "tag", "version") if place.get(part)) or str(
        place.get("url") or ""
    )
    source = bodies.get("dataSource") or {}
    storage = " ".join(_text(bodies, "storage", part) for part in ("storageLayer", "fileFormat")).strip()
    query = bodies.get("externalQuery") or {}
    store = " ".join(_text(bodies, "catalog", part) for part in ("framework", "type", "name")).strip()
    rows = [
        ("Kind", kind, ""),
        ("Dataset type", _text(bodies, "datasetType", "datasetType"), ""),
        ("Engine", engine, ""),
        ("Source code", code, reading.link(place.get("url"))),
        ("Data source", str(source.get("name") or source.get("uri") or ""), reading.link(source.get("uri"))),
        ("Storage", storage, ""),
        ("Catalog", store, ""),
        ("Last change of its life", _text(bodies, "lifecycleStateChange", "lifecycleStateChange").capitalize(), ""),
        ("Version", _text(bodies, "version", "datasetVersion"), ""),
        ("External query", str(query.get("externalQueryId") or ""), ""),
    ]
    return [row for row in rows if row[1]]


def _failures(facet: Any) -> list[tuple[str, str]]:
    """Tasks whose lineage the producer could not extract: (task, message)."""
    items = facet.get("errors") if isinstance(facet, Mapping) else None
    return [
        (str(item.get("task") or f"task {item.get('taskNumber', '')}"), str(item.get("errorMessage") or ""))
        for item in (items if isinstance(items, list) else ())
        if isinstance(item, dict)
    ]


def _parents(facet: Any) -> list[tuple[str, str, str]]:
    found = []
    if isinstance(facet, Mapping):
        for word, part in (("Started by", facet), ("Root", facet.get("root"))):
            if isinstance(part, Mapping):
                job, run = part.get("job") or {}, part.get("run") or {}
                name = str(job.get("name") or "") if isinstance(job, Mapping) else ""
                key = str(run.get("runId") or "") if isinstance(run, Mapping) else ""
                if key and run_uuid(key):
                    found.append((word, name or "a run", key))
    return found


def tree(value: Any, depth: int = 0) -> SafeString:
    """JSON as nested lists; what is large or deep is cut and says so."""
    if isinstance(value, Mapping) and value:
        return _branch([(str(key), item) for key, item in value.items()], depth)
    if isinstance(value, list) and value:
        return _branch([(str(index + 1), item) for index, item in enumerate(value)], depth)
    if isinstance(value, str):
        cut = f"{value[:TREE_TEXT]}… ({len(value):,} characters)" if len(value) > TREE_TEXT else value
        return format_html("<span>{}</span>", cut or "“”")
    if value is None or value in ({}, []):
        return format_html("<span>{}</span>", "nothing")
    return format_html("<span>{}</span>", {True: "yes", False: "no"}[value] if isinstance(value, bool) else value)


def _branch(items: list[tuple[str, Any]], depth: int) -> SafeString:
    if depth >= TREE_DEPTH:
        return format_html('<span class="ts-subtle">{}</span>', "deeper levels: see the JSON of the event")
    rows = format_html_join("", "<li>{}</li>", ((_leaf(name, item, depth),) for name, item in items[:TREE_ITEMS]))
    rest = len(items) - TREE_ITEMS
    more = format_html('<li class="ts-subtle">and {} more</li>', rest) if rest > 0 else ""
    return format_html('<ul class="lin-tree">{}{}</ul>', rows, more)


def _leaf(name: str, item: Any, depth: int) -> SafeString:
    if isinstance(item, Mapping | list) and item:
        return format_html(
            '<details><summary><code>{}</code> <span class="ts-subtle">{}</span></summary>{}</details>',
            name,
            f"{len(item)} {'entry' if len(item) == 1 else 'entries'}",
            tree(item, depth + 1),
        )
    return format_html("<code>{}</code> {}", name, tree(item, depth + 1))


def _text(bodies: Mapping[str, Any], name: str, key: str) -> str:
    value = bodies.get(name, {}).get(key)
    return value if isinstance(value, str) else ""
