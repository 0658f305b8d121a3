"""Does a document keep to the Open Data Contract Standard? Its own JSON Schema and model decide; the words are ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

import jsonschema
from jsonschema.exceptions import ValidationError
from open_data_contract_standard.model import OpenDataContractStandard
from pydantic import ValidationError as ModelError

from .yaml_source import Path, Source

_QUOTED = re.compile(r"'([^']*)'")
GENERIC = "this does not have the form the standard asks for"
_STRAY = {"additionalProperties", "unevaluatedProperties"}


@cache
def _validator() -> Any:
    schema = json.loads(resources.files("open_data_contract_standard").joinpath("schema.json").read_text("utf-8"))
    kind = jsonschema.validators.validator_for(schema)
    return kind(schema)


def _names(definition: str) -> set[str]:
    definitions = _validator().schema["$defs"]
    entry = definitions[definition]
    found = set(entry.get("properties", {}))
    for other in [entry, *entry.get("allOf", [])]:
        if "$ref" in other:
            found |= _names(other["$ref"].rsplit("/", 1)[1])
    return found


@cache
def _allowed(kind: str) -> frozenset[str]:
    """Keys the standard knows for an element; jsonschema cannot tell them apart once another fault stands there."""
    names = _names(kind)
    if kind == "RelationshipPropertyLevel":
        names |= _names("RelationshipBase")
    if kind == "DataQuality":
        names |= _names("DataQualityLibrary") | _names("DataQualitySql") | _names("DataQualityCustom")
        names |= {
            key for option in _validator().schema["$defs"]["DataQualityOperators"]["oneOf"] for key in option["properties"]
        }
    return frozenset(names)


def _kind(path: Path) -> str | None:
    """Which definition governs the object at this path."""
    if len(path) < 2 or not isinstance(path[-1], int):
        return None
    kinds = {
        "properties": "SchemaProperty",
        "quality": "DataQuality",
        "schema": "SchemaObject",
        "relationships": "RelationshipPropertyLevel",
    }
    return kinds.get(str(path[-2]))


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    """The most telling errors beneath an anyOf or oneOf: those of the branch that got furthest."""
    if error.validator not in {"anyOf", "oneOf"} or not error.context:
        yield error
        return
    deepest = max(len(inner.absolute_path) for inner in error.context)
    if deepest == len(error.absolute_path):
        yield error
        return
    for inner in error.context:
        if len(inner.absolute_path) == deepest:
            yield from _leaves(inner)


def _say(error: ValidationError) -> str:
    value: Any = error.validator_value
    limit = error.instance
    match error.validator:
        case "required":
            missing = _QUOTED.findall(error.message)
            return f"the key '{missing[0] if missing else '?'}' is missing"
        case "enum":
            return f"{limit!r} is not one of {', '.join(map(str, value))}"
        case "type":
            kinds = ", ".join(value) if isinstance(value, list) else str(value)
            return f"{limit!r} is {_type_name(limit)}, expected {kinds}"
        case "pattern":
            return f"{limit!r} does not have the form the standard asks for ({value})"
        case "anyOf" | "oneOf" | "not":
            return GENERIC + _hint(error)
        case _:
            return error.message


def _hint(error: ValidationError) -> str:
    parent = error.absolute_path[-2] if len(error.absolute_path) > 1 else ""
    if parent == "quality":
        return ": a rule needs exactly one condition such as mustBe"
    if error.absolute_path and error.absolute_path[-1] == "to":
        return ": write table.column"
    return ""


def _type_name(value: Any) -> str:
    if value is None:
        return "empty"
    names = {bool: "a boolean", int: "an integer", float: "a number", str: "text", list: "a list", dict: "a mapping"}
    return names.get(type(value), type(value).__name__)


def check(source: Source) -> None:
    """Adds every departure from the standard to ``source.faults``."""
    before = len(source.faults)
    for outer in _validator().iter_errors(source.data):
        for error in _leaves(outer):
            path: Path = tuple(error.absolute_path)
            if error.validator in _STRAY:
                allowed = _allowed(kind) if (kind := _kind(path)) else frozenset()
                for name in _QUOTED.findall(error.message):
                    if name not in allowed and isinstance(error.instance, dict) and name in error.instance:
                        source.fault(
                            (*path, name),
                            f"the standard has no key '{name}' here; our own settings go under customProperties",
                            key=True,
                        )
                continue
            source.fault(path, _say(error), key=error.validator == "required")
    if len(source.faults) > before:
        return
    try:
        OpenDataContractStandard.model_validate(source.data)
    except ModelError as failure:
        for item in failure.errors():
            where = tuple(part for part in item["loc"] if isinstance(part, int) or not part[:1].isupper())
            source.fault(where, item["msg"])
