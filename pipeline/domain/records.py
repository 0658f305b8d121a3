"""One record of a raw file, verbatim: its lines, its text as it stands there, and where each value lies in that text.

The ordinal is that of ``decode``: 0-based, header, blank lines and whatever lies between records not counted.
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

import pyarrow.parquet as pq

from catalog.domain.contract import Source
from pipeline.errors import PipelineError

MASK = "••••"
_DECODER = json.JSONDecoder()
_BLANK = " \t\r\n"
_EMPTY = ("", '""', "null")


class RecordMissing(PipelineError):
    """The file has no record of that ordinal."""


@dataclass(frozen=True)
class Cell:
    """A value in the record's text: ``text[start:end]``; ``name`` as the drop calls its column."""

    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Record:
    """``first_line`` and ``last_line`` count from 1; both None in a file without lines (Parquet), whose text is made here.

    ``header``: the first line of a CSV, which names the columns.
    """

    ordinal: int
    first_line: int | None
    last_line: int | None
    text: str
    cells: tuple[Cell, ...]
    header: str = ""

    @property
    def place(self) -> str:
        """Where it stands, in words."""
        if self.first_line is None:
            return f"record {self.ordinal + 1:,}"
        lines = (
            f"line {self.first_line:,}"
            if self.first_line == self.last_line
            else f"lines {self.first_line:,} to {self.last_line:,}"
        )
        return f"{lines} (record {self.ordinal + 1:,})"

    @property
    def columns(self) -> list[str]:
        return list(dict.fromkeys(cell.name for cell in self.cells))

    @property
    def filled(self) -> set[str]:
        """Columns that hold a value here."""
        return {cell.name for cell in self.cells if self.text[cell.start : cell.end] not in _EMPTY}

    def masked(self, names: Collection[str]) -> str:
        """The text with the values of these columns hidden; values that are empty stay as they are."""
        parts, at = [], 0
        for cell in sorted(self.cells, key=lambda one: one.start):
            value = self.text[cell.start : cell.end]
            if cell.name in names and value not in _EMPTY:
                parts += [self.text[at : cell.start], MASK]
                at = cell.end
        return "".join([*parts, self.text[at:]])


def record_at(data: bytes, source: Source, ordinal: int) -> Record:
    """The record of a drop's bytes. Raises RecordMissing."""
    if source.format == "parquet":
        return _parquet_record(data, ordinal)
    text = data.decode(source.encoding).removeprefix("\ufeff")
    if source.format == "csv":
        return _csv_record(text, source.delimiter, ordinal)
    return _array_record(text, ordinal) if text.lstrip().startswith("[") else _json_line(text, ordinal)


# --- CSV --------------------------------------------------------------------------------------------------------------


def _csv_record(text: str, delimiter: str, ordinal: int) -> Record:
    records = _csv_records(text)
    header = next(records, None)
    if header is None:
        raise RecordMissing("the file is empty")
    names = [_unquoted(header[2][start:end]).strip() for start, end in _csv_spans(header[2], delimiter)]
    for number, (first, last, body) in enumerate(records):
        if number == ordinal:
            spans = _csv_spans(body, delimiter)
            cells = tuple(Cell(name, start, end) for name, (start, end) in zip(names, spans, strict=False))
            return Record(ordinal, first, last, body, cells, header[2])
    raise RecordMissing(f"the file has no record {ordinal}")


def _csv_records(text: str) -> Iterator[tuple[int, int, str]]:
    """(first line, last line, text without its line end) of each record, the header first; blank lines are none."""
    held: list[str] = []
    first, quotes = 1, 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not held and line in ("", "\r"):
            continue
        if not held:
            first = number
        held.append(line)
        quotes += line.count('"')
        if quotes % 2 == 0:
            yield first, number, "\n".join(held).removesuffix("\r")
            held, quotes = [], 0


def _csv_spans(body: str, delimiter: str) -> list[tuple[int, int]]:
    """Start and end of each value, its quotes included."""
    spans, start, quoted = [], 0, False
    for place, letter in enumerate(body):
        if letter == '"':
            quoted = not quoted
        elif letter == delimiter and not quoted:
            spans.append((start, place))
            start = place + 1
    return [*spans, (start, len(body))]


def _unquoted(value: str) -> str:
    return value[1:-1].replace('""', '"') if len(value) > 1 and value[0] == value[-1] == '"' else value


# --- JSON -------------------------------------------------------------------------------------------------------------


def _json_line(text: str, ordinal: int) -> Record:
    lines = text.splitlines() if "\u2028" not in text else text.split("\n")
    found = -1
    for number, line in enumerate(lines, start=1):
        if line.strip():
            found += 1
            if found == ordinal:
                return Record(ordinal, number, number, line, tuple(_json_cells(line, _skip(line, 0), "")[0]))
    raise RecordMissing(f"the file has no record {ordinal}")


def _array_record(text: str, ordinal: int) -> Record:
    at = _skip(text, text.index("[") + 1)
    for number in range(ordinal + 1):
        if at >= len(text) or text[at] == "]":
            break
        _, end = _DECODER.raw_decode(text, at)
        if number == ordinal:
            body, first = text[at:end], text.count("\n", 0, at) + 1
            return Record(ordinal, first, first + body.count("\n"), body, tuple(_json_cells(body, 0, "")[0]))
        at = _skip(text, end, ",")
    raise RecordMissing(f"the file has no record {ordinal}")


def _json_cells(text: str, at: int, prefix: str) -> tuple[list[Cell], int]:
    """Values of the object that starts at ``at`` (nested ones as ``a.b``), and where the object ends."""
    cells: list[Cell] = []
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, at = scanstring(text, at + 1)
        at = _skip(text, at, ":")
        if text[at] == "{":
            inner, at = _json_cells(text, at, f"{prefix}{key}.")
            cells += inner
        else:
            _, end = _DECODER.raw_decode(text, at)
            cells.append(Cell(prefix + key, at, end))
            at = end
        at = _skip(text, at, ",")
    return cells, at + 1


def _skip(text: str, at: int, also: str = "") -> int:
    """The next place that is neither blank nor one of ``also``."""
    while at < len(text) and text[at] in _BLANK + also:
        at += 1
    return at


# --- Parquet ----------------------------------------------------------------------------------------------------------


def _parquet_record(data: bytes, ordinal: int) -> Record:
    """Parquet has no lines: the record as JSON, in the order of the file's columns."""
    file = pq.ParquetFile(io.BytesIO(data))
    start = 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if ordinal < start + rows:
            row: dict[str, Any] = file.read_row_group(group).slice(ordinal - start, 1).to_pylist()[0]
            text = json.dumps(row, ensure_ascii=False, default=str)
            return Record(ordinal, None, None, text, tuple(_json_cells(text, 0, "")[0]))
        start += rows
    raise RecordMissing(f"the file has no record {ordinal}")
