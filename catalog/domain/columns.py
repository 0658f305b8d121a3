"""The columns and row rules of a contract's table."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, cast

from . import values
from .contract import Field, FieldType, Layer, RowRule
from .reader import Custom, Reader
from .values import Unreadable

CUSTOM = ("pii", "normalise", "tokenOf", "default", "precision", "scale", "sourceName")
_TYPES = {
    "string": "string",
    "integer": "integer",
    "number": "number",
    "timestamp": "timestamp",
    "date": "date",
    "boolean": "boolean",
}
# Kept by the standard's schema but without effect here would be a promise nobody keeps.
_OPTIONS = {
    "string": {"pattern", "maxLength"},
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "decimal": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "number": {"minimum", "maximum"},
    "timestamp": {"minimum", "maximum"},
    "date": {"minimum", "maximum"},
    "boolean": set(),
}
_HARMLESS = {"format", "timezone", "defaultTimezone"}


def read_fields(table: Reader, *, layer: Layer) -> tuple[tuple[Field, ...], tuple[str, ...]]:
    """The fields (nested objects flattened with ``_``) and the key in its order."""
    fields: list[Field] = []
    seen: dict[str, Reader] = {}
    positions: dict[str, int] = {}
    for reader, prefix, source in _leaves(table, "", ""):
        field = _read_field(reader, prefix, source, len(fields))
        if field.name in seen:
            line = seen[field.name].source.place((*seen[field.name].path, "name"))[0]
            reader.fault(f"a second field named '{field.name}'; the first stands on line {line}", "name")
            continue
        seen[field.name] = reader
        fields.append(field)
        if field.primary_key:
            place = reader.whole("primaryKeyPosition", 1)
            positions[field.name] = place if place is not None else len(fields)
            if not field.required:
                reader.fault(f"'{field.name}' is part of the key and therefore must be required: true", "primaryKey")
    if not fields:
        table.fault("'properties' is missing: a table has at least one field", "properties")
    elif not positions:
        table.fault("no key: mark the fields of the business key with primaryKey: true", "properties", key=True)
    _check_between(fields, seen, layer)
    return tuple(fields), tuple(sorted(positions, key=lambda name: positions[name]))


def _leaves(parent: Reader, prefix: str, source: str) -> Iterator[tuple[Reader, str, str]]:
    """Every column with the prefixes of the objects around it: (reader, column prefix, source prefix)."""
    for reader in parent.items("properties"):
        if reader.raw("logicalType") == "object":
            name = reader.need("name", "every field has a name")
            if not any(True for _ in reader.items("properties")):
                reader.fault("an object lists its fields under properties", "name")
            outer = reader.custom("sourceName").text("sourceName", name)
            yield from _leaves(reader, f"{prefix}{name}_", f"{source}{outer}.")
        else:
            yield reader, prefix, source


def _read_field(reader: Reader, prefix: str, source: str, position: int) -> Field:
    custom = reader.custom(*CUSTOM)
    own = reader.need("name", "every field has a name")
    name = prefix + own
    if own and not values.NAME.fullmatch(name):
        reader.fault(f"'{name}' is not a valid column name: lower-case letters, digits and _, starting with a letter", "name")
    kind, precision, scale = _read_type(reader, custom)
    options = reader.child("logicalTypeOptions")
    for option in options.data:
        if option not in _OPTIONS[kind] | _HARMLESS:
            options.fault(f"'{option}' has no effect on a field of type {kind} here", option, key=True)
    classification = reader.choice("classification", ("low", "medium", "high")) or "low"
    pii = custom.text("pii") or None
    if pii and classification == "low":
        reader.fault(f"'{name}' is personal data ({pii}); its classification is medium or high", "classification")
    token_of = custom.text("tokenOf") or None
    if token_of and kind != "string":
        reader.fault("a token is a string", "logicalType")
    if custom.has("normalise") and kind != "string":
        custom.fault("only a string can be normalised as currency", "normalise")
    return Field(
        name=name,
        type=kind,
        source_name=source + custom.text("sourceName", own),
        position=position,
        precision=precision,
        scale=scale,
        required=reader.flag("required"),
        primary_key=reader.flag("primaryKey"),
        pattern=options.read("pattern", lambda value: values.pattern(str(value))) if kind == "string" else None,
        enum=_read_enum(reader, kind),
        minimum=_limit(options, "minimum", kind, scale),
        maximum=_limit(options, "maximum", kind, scale),
        max_length=options.whole("maxLength", 1) if kind == "string" else None,
        classification=cast(Any, classification),
        pii=pii,
        normalise=cast(Any, custom.choice("normalise", ("currency",))),
        token_of=token_of,
        reference=_read_reference(reader, name),
        default=custom.read("default", lambda value: None if value is None else values.literal(value, kind)),
        description=reader.text("description"),
        critical=reader.flag("criticalDataElement"),
    )


def _read_type(reader: Reader, custom: Custom) -> tuple[FieldType, int | None, int | None]:
    logical = reader.raw("logicalType")
    if logical is None:
        reader.fault(f"'logicalType' is missing: one of {', '.join(_TYPES)}", "logicalType")
        return "string", None, None
    kind = _TYPES.get(str(logical))
    if kind is None:
        if logical in {"array", "map", "vector", "time"}:
            reader.fault(f"fields of logicalType {logical} are not supported", "logicalType")
        return "string", None, None
    if kind != "number":
        return cast(FieldType, kind), None, None
    precision, scale = custom.whole("precision", 1), custom.whole("scale", 0)
    if match := values.DECIMAL_TYPE.fullmatch(str(reader.raw("physicalType") or "").strip()):
        stated = (int(match[1]), int(match[2] or 0))
        if (precision or stated[0], scale if scale is not None else stated[1]) != stated:
            custom.fault(f"precision and scale disagree with physicalType {reader.raw('physicalType')}", "precision")
        precision, scale = stated
    if precision is None:
        if scale is not None:
            custom.fault("a scale needs a precision", "scale")
        return "number", None, None
    scale = scale or 0
    if precision > 38 or scale > precision:
        reader.fault(f"decimal({precision},{scale}): precision is at most 38 and scale at most the precision", "physicalType")
        return "decimal", 38, min(scale, 38)
    return "decimal", precision, scale


def _read_enum(reader: Reader, kind: FieldType) -> tuple[str, ...] | None:
    """Allowed values: the standard's ``enum``, or its rule invalidValues with validValues."""
    found: list[tuple[Any, tuple[str | int, ...]]] = []
    for index, item in enumerate(reader.items("enum")):
        found.append((item.raw("value"), ("enum", index, "value")))
    for index, rule in enumerate(reader.items("quality")):
        if rule.raw("type") == "sql":
            rule.fault("rules in SQL stand under the table's quality, not under a field's", "type")
        arguments = rule.child("arguments").data
        if rule.raw("metric") == "invalidValues" and isinstance(arguments.get("validValues"), list):
            if rule.raw("mustBe") != 0:
                rule.fault("the list of valid values admits no others: mustBe: 0", "mustBe")
            for place, value in enumerate(arguments["validValues"]):
                found.append((value, ("quality", index, "arguments", "validValues", place)))
    if not found:
        return None
    texts: list[str] = []
    if kind not in {"string", "integer"}:
        reader.fault(f"a field of type {kind} cannot list its values", *found[0][1])
        return None
    for value, path in found:
        try:
            text = values.literal(value, kind)
        except Unreadable as error:
            reader.fault(str(error), *path)
            continue
        if text in texts:
            reader.fault(f"{text!r} is listed twice", *path)
        texts.append(text)
    return tuple(texts)


def _limit(options: Reader, name: str, kind: FieldType, scale: int | None) -> Decimal | str | None:
    """A bound, made inclusive: on integers and decimals an exclusive one is the next representable value."""
    if kind in {"date", "timestamp"}:
        return options.read(name, lambda value: values.moment(value, kind))
    if kind not in {"integer", "decimal", "number"}:
        return None
    inclusive = options.read(name, values.number)
    exclusive_name = f"exclusive{name.capitalize()}"
    exclusive = options.read(exclusive_name, values.number)
    if exclusive is None:
        return inclusive
    if inclusive is not None:
        options.fault(f"state {name} or {exclusive_name}, not both", exclusive_name, key=True)
    step = Decimal(1).scaleb(-(scale or 0))
    if exclusive % step:
        options.fault(f"{exclusive} has more decimals than the field", exclusive_name)
    return exclusive + step if name == "minimum" else exclusive - step


def _read_reference(reader: Reader, name: str) -> tuple[str, str] | None:
    found: tuple[str, str] | None = None
    for relationship in reader.items("relationships"):
        to = relationship.raw("to")
        if not isinstance(to, str):
            if to is not None:
                relationship.fault("a field refers to one column: table.column", "to")
            continue
        parts = to.split(".")
        if len(parts) != 2 or not all(values.NAME.fullmatch(part) for part in parts):
            relationship.fault(f"'{to}' is not a reference of the form table.column", "to")
        elif found:
            relationship.fault("a field refers to one column only", "to")
        else:
            found = (parts[0], parts[1])
            reader.source.marks[f"reference:{name}"] = reader.source.place((*relationship.path, "to"))
    return found


def _check_between(fields: list[Field], readers: dict[str, Reader], layer: Layer) -> None:
    """Rules that look at more than one field."""
    named = {field.name: field for field in fields}
    sources: dict[str, str] = {}
    for field in fields:
        reader = readers[field.name]
        if field.token_of:
            if layer == "gold":
                reader.fault("tokens are made in Silver; a gold field takes the column as it is", "customProperties")
            origin = named.get(field.token_of)
            if origin is None or origin.token_of:
                reader.fault(f"tokenOf names '{field.token_of}', which is not a field of the drop", "customProperties")
        elif layer == "silver":
            other = sources.setdefault(field.source_name, field.name)
            if other != field.name:
                reader.fault(f"'{field.name}' and '{other}' both read '{field.source_name}'", "name")
        low, high = field.minimum, field.maximum
        if isinstance(low, Decimal) and isinstance(high, Decimal) and low > high:
            reader.fault(f"the minimum {low} is above the maximum {high}", "logicalTypeOptions")
        if field.default is not None and field.enum and field.default not in field.enum:
            reader.fault(f"the default {field.default!r} is not among the values of the field", "customProperties")


def read_rules(table: Reader, columns: set[str]) -> tuple[RowRule, ...]:
    """Row rules: ``type: sql`` with a predicate in ``query`` and ``mustBe: true``.

    A whole query (SELECT …) is a check of the table, which the quality app reads from the document.
    """
    rules: list[RowRule] = []
    for item in table.items("quality"):
        query = item.raw("query")
        if item.raw("type") != "sql" or not isinstance(query, str) or values.table_query(query):
            continue
        name = item.need("name", "a row rule has a name, which its rejects carry")
        if name and not values.NAME.fullmatch(name):
            item.fault(f"'{name}' is not a valid name: lower-case letters, digits and _", "name")
        if any(rule.name == name for rule in rules):
            item.fault(f"a second rule named '{name}'", "name")
        if item.raw("mustBe") is not True:
            item.fault("a row rule is true for a good row: write mustBe: true", "query")
        sql = item.read("query", lambda value: values.predicate(value, columns))
        severity = item.choice("severity", ("error", "warning")) or "error"
        rules.append(RowRule(name=name, sql=sql or "", severity=cast(Any, severity), description=item.text("description")))
    return tuple(rules)
