"""Edits of a contract's text that leave the author's comments, order and layout alone."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import LiteralScalarString


@dataclass(frozen=True, slots=True)
class Edit:
    """What an owner may change from a page; None leaves a value alone.

    ``sla`` maps a property (freshness, retention, latency, frequency) to (value, unit), or to None to take the promise back.
    ``links`` are (title, url) pairs of the documentation; ``field_descriptions`` maps a top-level field's name to its text.
    """

    purpose: str | None = None
    usage: str | None = None
    links: tuple[tuple[str, str], ...] | None = None
    sla: Mapping[str, tuple[int | float, str] | None] = field(default_factory=dict)
    field_descriptions: Mapping[str, str] = field(default_factory=dict)


def edited(text: str, edit: Edit, *, version: str) -> str:
    """The text with the edit and the new version number; ``text`` has to be a contract that parses."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096  # never re-wrap what the author wrote
    yaml.brace_single_entry_mapping_in_flow_sequence = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load(text)
    document["version"] = version
    _describe(document, edit)
    if edit.links is not None:
        _link(document, edit.links)
    for name, promise in edit.sla.items():
        _promise(document, name, promise)
    for prop in document["schema"][0]["properties"]:
        if (description := edit.field_descriptions.get(prop["name"])) is not None:
            _set_text(prop, "description", description)
    out = io.StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def links_of(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(title, url) of the contract's documentation links."""
    found = document.get("authoritativeDefinitions") or []
    return [(one.get("description") or one["type"], one["url"]) for one in found]


def _set_text(target: CommentedMap, key: str, text: str) -> None:
    text = "\n".join(line.rstrip() for line in text.strip().splitlines())
    if not text:
        target.pop(key, None)
    elif target.get(key) != text:
        target[key] = LiteralScalarString(text + "\n") if "\n" in text else text


def _describe(document: CommentedMap, edit: Edit) -> None:
    wanted = {"purpose": edit.purpose, "usage": edit.usage}
    if not any(value is not None for value in wanted.values()):
        return
    description = document.setdefault("description", CommentedMap())
    for key, value in wanted.items():
        if value is not None:
            _set_text(description, key, value)


def _link(document: CommentedMap, links: tuple[tuple[str, str], ...]) -> None:
    if not links:
        document.pop("authoritativeDefinitions", None)
        return
    document["authoritativeDefinitions"] = CommentedSeq(
        CommentedMap({"type": "documentation", "url": url, "description": title}) for title, url in links
    )


def _promise(document: CommentedMap, name: str, promise: tuple[int | float, str] | None) -> None:
    entries = document.setdefault("slaProperties", CommentedSeq())
    place = next((index for index, entry in enumerate(entries) if entry["property"] == name), None)
    if promise is None:
        if place is not None:
            del entries[place]
    elif place is None:
        entry = CommentedMap({"property": name, "value": promise[0], "unit": promise[1]})
        entry.fa.set_flow_style()
        entries.append(entry)
    elif (entries[place].get("value"), entries[place].get("unit")) != promise:
        entries[place]["value"], entries[place]["unit"] = promise
    if not entries:
        del document["slaProperties"]
