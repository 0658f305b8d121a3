"""YAML text → plain data, with the place of every node.

The tree is composed by libyaml and read with the YAML 1.2 core rules (``no`` is text, not false), so what an author sees is
what a contract says. Refused, each with its line: duplicate keys, several documents, unknown tags, merge keys, cycles, and
documents so large, deep or full of aliases that they could only be an attack.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from .faults import ContractInvalid, Fault

MAX_BYTES = 1_000_000
MAX_NODES = 50_000
MAX_DEPTH = 60

Path = tuple[str | int, ...]
Position = tuple[int, int]

_INTEGER = re.compile(r"[-+]?[0-9]+")
_HEX_OCTAL = re.compile(r"0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_CORE = "tag:yaml.org,2002:"
_KNOWN_TAGS = {_CORE + name for name in ("str", "int", "float", "bool", "null", "timestamp", "map", "seq", "value")}


def path_text(path: Path) -> str:
    """``("schema", 0, "name")`` → ``schema[0].name``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text


class Source:
    """Data of one document and where each part of it stands (lines and columns from 1)."""

    def __init__(self, *, text: str, filename: str) -> None:
        self.text = text
        self.filename = filename
        self.data: Any = None
        self._values: dict[Path, Position] = {(): (1, 1)}
        self._keys: dict[Path, Position] = {}
        self.faults: list[Fault] = []
        self.marks: dict[str, Position] = {}
        self._nodes = 0

    def place(self, path: Path, *, key: bool = False) -> Position:
        """Where the value (or its key) stands; for a path that is not there, its nearest parent's key."""
        for length in range(len(path), -1, -1):
            part = path[:length]
            if (key or length < len(path)) and part in self._keys:
                return self._keys[part]
            if part in self._values:
                return self._values[part]
        return (1, 1)

    def fault(self, path: Path, reason: str, *, key: bool = False) -> None:
        line, column = self.place(path, key=key)
        self.faults.append(Fault(line=line, column=column, path=path_text(path), reason=reason))

    # -- reading -------------------------------------------------------------------------------------------------------------

    def read(self, node: yaml.Node, path: Path, ancestors: tuple[int, ...]) -> Any:
        self._nodes += 1
        self._values.setdefault(path, _position(node.start_mark))
        if id(node) in ancestors:
            self.fault(path, "an alias refers to a node that contains it")
            return None
        if self._nodes > MAX_NODES or len(ancestors) > MAX_DEPTH:
            raise _TooMuch(path)
        if node.tag not in _KNOWN_TAGS:
            self.fault(path, f"the tag {node.tag.replace(_CORE, '!!')} is not allowed in a contract")
            return None
        below = (*ancestors, id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, below)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(child, (*path, index), below) for index, child in enumerate(node.value)]
        value = _scalar(node)
        if isinstance(value, str) and "\x00" in value:
            self.fault(path, "the text contains the character U+0000")
        return value

    def _mapping(self, node: yaml.MappingNode, path: Path, ancestors: tuple[int, ...]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            position = _position(key_node.start_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                self.faults.append(Fault(*position, path_text(path), "a key must be plain text"))
                continue
            name = str(key_node.value)
            here = (*path, name)
            if key_node.tag == _CORE + "merge":
                self.faults.append(Fault(*position, path_text(here), "merge keys (<<) are not allowed in a contract"))
                continue
            if name in result:
                first = self._keys[here][0]
                self.faults.append(Fault(*position, path_text(here), f"the key '{name}' stands twice; first on line {first}"))
                continue
            self._keys[here] = position
            result[name] = self.read(value_node, here, ancestors)
        return result


class _TooMuch(Exception):
    def __init__(self, path: Path) -> None:
        self.path = path


def _position(mark: Any) -> Position:
    return (mark.line + 1, mark.column + 1)


def _scalar(node: Any) -> Any:
    value = str(node.value)
    if node.style in {"'", '"', "|", ">"}:  # quoted or block text is text
        return value
    if value in _CONSTANTS:
        return _CONSTANTS[value]
    if _INTEGER.fullmatch(value) and len(value) <= 30:
        return int(value)
    if _HEX_OCTAL.fullmatch(value):
        return int(value, 0)
    if _FLOAT.fullmatch(value):
        return float(value)
    return value


def _decode(raw: bytes | str, filename: str) -> str:
    size = len(raw)
    if size > MAX_BYTES:
        reason = (
            f"the file has {size:,} {'bytes' if isinstance(raw, bytes) else 'characters'}; a contract has at most {MAX_BYTES:,}"
        )
        raise ContractInvalid([Fault(1, 1, "", reason)], filename=filename)
    if isinstance(raw, str):
        return raw.removeprefix("\ufeff")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n") + 1
        column = len(before) - (before.rfind(b"\n") + 1) + 1
        reason = f"the file is not UTF-8: byte 0x{raw[error.start]:02x} cannot be decoded; save it as UTF-8"
        raise ContractInvalid([Fault(line, column, "", reason)], filename=filename) from None


def load(raw: bytes | str, *, filename: str) -> Source:
    """Reads one YAML mapping. Raises ContractInvalid when it cannot be read at all; milder faults are in ``Source.faults``."""
    text = _decode(raw, filename)
    source = Source(text=text, filename=filename)
    if not text.strip():
        raise ContractInvalid([Fault(1, 1, "", "the file is empty")], filename=filename)
    try:
        documents = list(yaml.compose_all(text, Loader=yaml.CSafeLoader))
        if len(documents) > 1:
            line, column = _position(documents[1].start_mark)
            fault = Fault(
                line, column, "", f"the file holds {len(documents)} documents; a contract is one file with one document"
            )
            raise ContractInvalid([fault], filename=filename)
        if not documents or documents[0] is None:
            raise ContractInvalid([Fault(1, 1, "", "the file holds comments only")], filename=filename)
        source.data = source.read(documents[0], (), ())
    except yaml.MarkedYAMLError as error:
        raise ContractInvalid([_syntax_fault(error, text)], filename=filename) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        fault = Fault(line, 1, "", f"the character U+{_code(error.character):04X} is not allowed in YAML")
        raise ContractInvalid([fault], filename=filename) from None
    except (_TooMuch, RecursionError) as error:
        line, column = source.place(error.path) if isinstance(error, _TooMuch) else (1, 1)
        reason = f"the document is too large once its aliases are followed (over {MAX_NODES:,} nodes or {MAX_DEPTH} levels)"
        raise ContractInvalid([Fault(line, column, "", reason)], filename=filename) from None
    if not isinstance(source.data, dict):
        raise ContractInvalid([Fault(1, 1, "", "a contract is a mapping (key: value), this is not")], filename=filename)
    return source


def _code(character: Any) -> int:
    return character if isinstance(character, int) else ord(character)


def _syntax_fault(error: yaml.MarkedYAMLError, text: str) -> Fault:
    mark = error.problem_mark or error.context_mark
    line, column = _position(mark) if mark else (1, 1)
    reason = f"not valid YAML: {error.problem or error.context}"
    lines = text.splitlines()
    indent = lines[line - 1][: len(lines[line - 1]) - len(lines[line - 1].lstrip())] if line <= len(lines) else ""
    if "\t" in indent or "\\t" in reason or "'\t'" in reason:
        reason += "; indent with spaces, YAML forbids tabs there"
    return Fault(line, column, "", reason)
