"""What changed between two versions of a contract, and which version number that needs.

Breaking means: a drop or a query that was good under the old version may fail under the new one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .contract import Contract, Field

Weight = Literal["breaking", "compatible", "wording"]
Part = Literal["major", "minor", "patch"]
_PART: dict[Weight, Part] = {"breaking": "major", "compatible": "minor", "wording": "patch"}
_RANK = {"major": 2, "minor": 1, "patch": 0}


@dataclass(frozen=True, slots=True)
class Change:
    """One change: ``what`` in words, ``where`` as the field or setting it concerns."""

    where: str
    what: str
    weight: Weight

    def __str__(self) -> str:
        return f"{self.weight}: {self.where}: {self.what}"


def compare(old: Contract, new: Contract) -> list[Change]:
    """All changes, breaking ones first. Empty when nothing but comments and layout changed."""
    changes = [*_fields(old, new), *_table(old, new), *_rules(old, new), *_settings(old, new)]
    order = {"breaking": 0, "compatible": 1, "wording": 2}
    return sorted(changes, key=lambda change: order[change.weight])


def needed_part(changes: list[Change]) -> Part:
    """Which part of the version number has to grow."""
    parts: list[Part] = [_PART[change.weight] for change in changes]
    return max(parts, key=_RANK.__getitem__, default="patch")


def numbers(version: str) -> tuple[int, int, int]:
    major, minor, patch = (int(part) for part in version.split("."))
    return major, minor, patch


def bumped(version: str, part: Part) -> str:
    major, minor, patch = numbers(version)
    return {"major": f"{major + 1}.0.0", "minor": f"{major}.{minor + 1}.0", "patch": f"{major}.{minor}.{patch + 1}"}[part]


def enough(old: str, new: str, part: Part) -> bool:
    """Is ``new`` above ``old`` by at least this part?"""
    before, after = numbers(old), numbers(new)
    length = {"major": 1, "minor": 2, "patch": 3}[part]
    return after[:length] > before[:length]


def text_diff(old: str, new: str, *, old_name: str, new_name: str) -> str:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), old_name, new_name, lineterm="")
    return "\n".join(lines)


def _fields(old: Contract, new: Contract) -> Iterator[Change]:
    before = {field.name: field for field in old.fields}
    after = {field.name: field for field in new.fields}
    for name in before.keys() - after.keys():
        yield Change(name, "field removed", "breaking")
    for name in after.keys() - before.keys():
        field = after[name]
        # Gold is written by us: a new column there is never missing.
        demanded = field.required and field.default is None and not field.derived and new.layer == "silver"
        yield Change(name, "required field added" if demanded else "field added", "breaking" if demanded else "compatible")
    for name in [name for name in before if name in after]:
        yield from _field(before[name], after[name])


def _field(old: Field, new: Field) -> Iterator[Change]:
    if old.type_name != new.type_name:
        yield Change(new.name, f"type {old.type_name} → {new.type_name}", "compatible" if _wider(old, new) else "breaking")
    if old.required != new.required:
        yield Change(
            new.name, "now required" if new.required else "no longer required", "breaking" if new.required else "compatible"
        )
    texts: tuple[tuple[str, str | None, str | None], ...] = (
        ("pattern", old.pattern, new.pattern),
        ("reference", ".".join(old.reference or ()) or None, ".".join(new.reference or ()) or None),
    )
    for label, before, after in texts:
        if before != after:
            yield Change(new.name, f"{label} {_shift(before, after)}", "breaking" if after else "compatible")
    yield from _enum(old, new)
    yield from _bounds(old, new)
    if old.source_name != new.source_name or old.token_of != new.token_of:
        before, after = old.token_of or old.source_name, new.token_of or new.source_name
        yield Change(new.name, f"read from {_shift(before, after)}", "breaking")
    facts: tuple[tuple[str, object, object], ...] = (
        ("classification", old.classification, new.classification),
        ("personal data category", old.pii, new.pii),
        ("normalisation", old.normalise, new.normalise),
        ("default", old.default, new.default),
        ("critical", old.critical, new.critical),
    )
    for label, was, now in facts:
        if was != now:
            yield Change(new.name, f"{label} {_shift(was, now)}", "compatible")
    if old.description != new.description:
        yield Change(new.name, "description changed", "wording")


def _wider(old: Field, new: Field) -> bool:
    if old.type != "decimal" or new.type != "decimal":
        return False
    old_scale, new_scale = old.scale or 0, new.scale or 0
    return new_scale >= old_scale and (new.precision or 0) - new_scale >= (old.precision or 0) - old_scale


def _shift(before: object, after: object) -> str:
    if before is None:
        return f"added: {after}"
    return f"removed: {before}" if after is None else f"{before} → {after}"


def _enum(old: Field, new: Field) -> Iterator[Change]:
    if old.enum == new.enum:
        return
    if new.enum is None:
        yield Change(new.name, "list of values removed", "compatible")
        return
    if old.enum is None:
        yield Change(new.name, f"values limited to {', '.join(new.enum)}", "breaking")
        return
    if gone := [value for value in old.enum if value not in new.enum]:
        yield Change(new.name, f"values no longer allowed: {', '.join(gone)}", "breaking")
    if added := [value for value in new.enum if value not in old.enum]:
        yield Change(new.name, f"values allowed in addition: {', '.join(added)}", "compatible")


def _bounds(old: Field, new: Field) -> Iterator[Change]:
    for label, before, after, upper in (
        ("minimum", old.minimum, new.minimum, False),
        ("maximum", old.maximum, new.maximum, True),
        ("maximum length", old.max_length, new.max_length, True),
    ):
        if before == after:
            continue
        stricter = after is not None and (before is None or ((after < before) if upper else (after > before)))  # type: ignore[operator]
        yield Change(new.name, f"{label} {_shift(before, after)}", "breaking" if stricter else "compatible")


def _table(old: Contract, new: Contract) -> Iterator[Change]:
    for where, before, after in (
        ("layer", old.layer, new.layer),
        ("key", ", ".join(old.key), ", ".join(new.key)),
        ("history", old.history, new.history),
        ("partition", _partition(old), _partition(new)),
    ):
        if before != after:
            yield Change(where, _shift(before, after), "breaking")


def _partition(contract: Contract) -> str | None:
    part = contract.partition
    return f"{part.column} ({part.kind} of {part.source})" if part else None


def _rules(old: Contract, new: Contract) -> Iterator[Change]:
    before = {rule.name: rule for rule in old.rules}
    after = {rule.name: rule for rule in new.rules}
    for name in before.keys() | after.keys():
        one, other = before.get(name), after.get(name)
        where = f"rule {name}"
        if other is None:
            yield Change(where, "removed", "compatible")
        elif one is None:
            yield Change(where, f"added: {other.sql}", "breaking" if other.severity == "error" else "compatible")
        elif (one.sql, one.severity) != (other.sql, other.severity):
            loosened = one.sql == other.sql and other.severity == "warning"
            yield Change(where, "changed", "compatible" if loosened else "breaking")
        elif one.description != other.description:
            yield Change(where, "description changed", "wording")


def _settings(old: Contract, new: Contract) -> Iterator[Change]:
    for name in ("domain", "product", "owner", "steward", "tier", "transform", "serve", "min_refresh_interval_s", "order_by"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield Change(name.replace("_", " "), _shift(before, after), "compatible")
    for name in ("freshness_s", "frequency_s", "latency_s", "retention_days"):
        before, after = getattr(old.sla, name), getattr(new.sla, name)
        if before != after:
            yield Change(f"SLA {name}", _shift(before, after), "compatible")
    for name in ("source", "inputs", "touches", "kpi"):
        if getattr(old, name) != getattr(new, name):
            yield Change(name, "changed", "compatible")
    if old.sla.extra != new.sla.extra:
        yield Change("SLA", "other properties changed", "compatible")
    for name in ("title", "description"):
        if getattr(old, name) != getattr(new, name):
            yield Change(name, "changed", "wording")
