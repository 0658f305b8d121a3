"""From the bytes of a drop to text columns with record ordinals.

A drop is read once, here, whatever engine works on it later: the result has one text column per contract field (named as
the field), ``_unknown`` (a JSON object of the non-blank values in columns that the contract does not know, else null),
``_bronze_file`` and ``_bronze_row`` (0-based). Values stay as the source wrote them; casts are Silver's work.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import fastjsonschema
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from catalog.domain.contract import BRONZE_FILE, BRONZE_ROW, Contract, Source
from catalog.domain.shapes import json_schema
from pipeline.errors import DropRefused, Fault

UNKNOWN = "_unknown"
MAX_FAULTS = 20  # enough to see a pattern; a file of garbage has a million
NUL = "a NUL character, which is no text"  # and which PostgreSQL cannot hold, should the row be rejected
RENAME = "Give every column a name of its own and send the file again."
SEND_AGAIN = "Send the whole file again; nothing of this one was loaded."


@dataclass(frozen=True)
class Decoded:
    """``table``: records × (contract fields, derived tokens, ``_unknown``, ``_bronze_file``, ``_bronze_row``), text."""

    table: pa.Table
    columns: list[str]
    unknown_columns: list[str]

    @property
    def rows(self) -> int:
        return int(self.table.num_rows)


def decode(
    path: Path,
    contract: Contract,
    *,
    logical_id: str,
    tokens: Callable[[Iterable[str]], list[str]],
    at_edge: bool = True,
) -> Decoded:
    """Read a drop against its contract.

    ``tokens`` turns identifiers into their keyed tokens, in order. Raises ``DropRefused`` with every fault found. ``at_edge``
    False: the drop was accepted under an earlier version, so a column that this one requires, or a shape that it asks for, is a
    matter of each row's rules and no longer of the file.
    """
    source = contract.source
    if source is None:
        raise DropRefused([Fault("contract", f"{contract.dataset} is made by the pipeline, it takes no drops")])
    raw = _read(path, contract if at_edge else None, source)
    known = {field.source_name: field.name for field in contract.drop_fields}
    missing = [one.source_name for one in contract.drop_fields if one.required and one.source_name not in raw.column_names]
    if missing and at_edge:
        raise DropRefused(
            [
                Fault("header", f"required column {name} is missing", "Add the column, or change the contract.")
                for name in missing
            ]
        )
    unknown = [name for name in raw.column_names if name not in known]
    nulls = pa.nulls(raw.num_rows, pa.string())
    columns = {name: raw[source_name] if source_name in raw.column_names else nulls for source_name, name in known.items()}
    for field in contract.derived_fields:
        columns[field.name] = _token_column(columns[str(field.token_of)], tokens)
    columns[UNKNOWN] = _unknown_column(raw, unknown)
    columns[BRONZE_FILE] = pa.repeat(logical_id, raw.num_rows)
    columns[BRONZE_ROW] = pa.array(range(raw.num_rows), pa.int64())
    return Decoded(pa.table(columns), list(raw.column_names), unknown)


def _read(path: Path, contract: Contract | None, source: Source) -> pa.Table:
    """The drop as text columns. What no reader foresaw is a fault of the drop as well: it must not be tried for ever."""
    try:
        return _READERS[source.format](path, contract, source)
    except (DropRefused, OSError, MemoryError):
        raise
    except Exception as error:
        reason = f"cannot be read as {source.format} ({type(error).__name__})"
        raise DropRefused([Fault("file", reason, "It is kept; compare it with an earlier drop that was accepted.")]) from error


def decoded_schema(contract: Contract) -> pa.Schema:
    """The columns that ``decode`` yields for a contract."""
    names = [field.name for field in (*contract.drop_fields, *contract.derived_fields)]
    text = [pa.field(name, pa.string()) for name in (*names, UNKNOWN, BRONZE_FILE)]
    return pa.schema([*text, pa.field(BRONZE_ROW, pa.int64())])


def _token_column(values: pa.ChunkedArray, tokens: Callable[[Iterable[str]], list[str]]) -> pa.ChunkedArray:
    trimmed = pc.utf8_trim_whitespace(values)
    encoded = pc.dictionary_encode(pc.if_else(pc.equal(trimmed, ""), None, trimmed))
    chunks = encoded.chunks if isinstance(encoded, pa.ChunkedArray) else [encoded]
    made = []
    for chunk in chunks:
        dictionary = pa.array(tokens(chunk.dictionary.to_pylist()), pa.string())
        made.append(pa.DictionaryArray.from_arrays(chunk.indices, dictionary).cast(pa.string()))
    return pa.chunked_array(made, pa.string())


def _unknown_column(raw: pa.Table, unknown: list[str]) -> pa.Array:
    if not unknown:
        return pa.nulls(raw.num_rows, pa.string())
    values = [raw[name].to_pylist() for name in unknown]
    cells = []
    for row in zip(*values, strict=True):
        held = {name: value for name, value in zip(unknown, row, strict=True) if value is not None and value.strip()}
        cells.append(json.dumps(held, ensure_ascii=False, sort_keys=True) if held else None)
    return pa.array(cells, pa.string())


# --- CSV -----------------------------------------------------------------------------------------------------------


def _read_csv(path: Path, _contract: Contract | None, source: Source) -> pa.Table:
    data = _text_bytes(path, source.encoding)
    if not data.strip():
        raise DropRefused([Fault("line 1", "the file is empty", "A drop without records still needs its header line.")])
    if (at := data.find(b"\0")) >= 0:
        raise DropRefused([Fault(f"line {data[:at].count(bytes([10])) + 1}", NUL, SEND_AGAIN)])
    if data.count(b'"') % 2:
        raise DropRefused([Fault(_last_line(data), "a quoted value is not closed: the file is cut off", SEND_AGAIN)])
    header_end = data.find(b"\n")
    header = data[: header_end if header_end >= 0 else None].decode().strip("\r\n").split(source.delimiter)
    names = [name.strip().strip('"') for name in header]
    if len(set(names)) < len(names) or not all(names):
        raise DropRefused([Fault("line 1", "the header names a column twice or leaves a name empty", RENAME)])
    if header_end < 0:
        return pa.table({name: pa.array([], pa.string()) for name in names})
    faults: list[Fault] = []

    def refuse_row(row: pacsv.InvalidRow) -> str:
        if len(faults) < MAX_FAULTS:
            cut = row.number is not None and row.actual_columns < row.expected_columns and not data.endswith(b"\n")
            hint = " The file seems cut off." if cut else ""
            place = f"record {row.number - 1}" if row.number else "a record"
            faults.append(Fault(place, f"{row.actual_columns} columns instead of {row.expected_columns}.{hint}", SEND_AGAIN))
        return "skip"

    try:
        table = pacsv.read_csv(
            io.BytesIO(data),
            read_options=pacsv.ReadOptions(use_threads=False, column_names=names, skip_rows=1),
            parse_options=pacsv.ParseOptions(
                delimiter=source.delimiter, newlines_in_values=True, invalid_row_handler=refuse_row
            ),
            convert_options=pacsv.ConvertOptions(
                column_types={name: pa.string() for name in names}, strings_can_be_null=False, check_utf8=False
            ),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return pa.table({name: pa.array([], pa.string()) for name in names})
        raise DropRefused([Fault("file", _without_values(str(error)), SEND_AGAIN)]) from None
    if faults:
        raise DropRefused(faults)
    return table


def _text_bytes(path: Path, encoding: str) -> bytes:
    data = path.read_bytes()
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DropRefused([Fault(f"line {line}", f"a byte that is not {encoding}", f"Send it in {encoding}.")]) from None
    except LookupError:
        raise DropRefused([Fault("contract", f"unknown encoding {encoding}")]) from None
    if encoding.lower().replace("-", "") in ("utf8", "utf8sig"):
        return data.removeprefix(b"\xef\xbb\xbf")
    return text.encode()


def _last_line(data: bytes) -> str:
    ends = data.count(b"\n")
    return f"line {ends}" if data.endswith(b"\n") else f"line {ends + 1}"


def _without_values(message: str) -> str:
    """Arrow's messages may quote the offending value, which may be personal."""
    return message.split("'", maxsplit=1)[0].split('"', maxsplit=1)[0].strip().rstrip(":") or "the file cannot be read"


# --- JSON ----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _validator(schema: str) -> Callable[[Any], Any]:
    compiled: Callable[[Any], Any] = fastjsonschema.compile(json.loads(schema))
    return compiled


def _read_json(path: Path, contract: Contract | None, source: Source) -> pa.Table:
    """``contract`` None: any objects will do."""
    text = _text_bytes(path, source.encoding).decode()
    wanted = _structure(json_schema(contract)) if contract else {"type": "object"}
    validate = _validator(json.dumps(wanted, sort_keys=True))
    faults: list[Fault] = []
    columns: dict[str, list[str | None]] = {}
    escapes = "\\u" in text  # only an escape can spell half a character or NUL
    rows = 0
    for place, record in _records(text):
        try:
            validate(record)
        except fastjsonschema.JsonSchemaValueException as error:
            faults.append(Fault(f"{place}, {(error.name or 'record').removeprefix('data.')}", _rule_text(error), SEND_AGAIN))
            if len(faults) >= MAX_FAULTS:
                break
            continue
        flat = dict(_flatten(record))
        if escapes and (fault := _no_text(flat, place)):
            faults.append(fault)
            continue
        for name, value in flat.items():
            columns.setdefault(name, [None] * rows).append(value)
        rows += 1
        for name, values in columns.items():
            if name not in flat:
                values.append(None)
    if faults:
        raise DropRefused(faults)
    if not rows and contract:
        columns = {field.source_name: [] for field in contract.drop_fields}
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def _no_text(flat: dict[str, str | None], place: str) -> Fault | None:
    """The first name or value that is no text, though JSON can spell it."""
    for ordinal, (name, value) in enumerate(flat.items(), start=1):
        both = name + (value or "")
        if "\0" in both:
            return Fault(f"{place}, value {ordinal}", NUL, SEND_AGAIN)
        try:
            both.encode()
        except UnicodeEncodeError:
            return Fault(
                f"{place}, value {ordinal}", "half of a surrogate pair (\\ud800 … \\udfff) is no character", SEND_AGAIN
            )
    return None


def _structure(schema: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema without its required keys: one record that lacks a value is a rejected row, not a refused file."""
    parts = {name: _structure(part) for name, part in schema.get("properties", {}).items()}
    return {key: value for key, value in schema.items() if key != "required"} | ({"properties": parts} if parts else {})


def _rule_text(error: fastjsonschema.JsonSchemaValueException) -> str:
    """The rule that failed, without the value that failed it."""
    return f"must satisfy {error.rule} {json.dumps(error.rule_definition)}"


def _records(text: str) -> Iterator[tuple[str, Any]]:
    """(place, record) of a JSON array, a single object, or JSON lines."""
    if text.lstrip().startswith("["):
        for ordinal, record in enumerate(_parse(text, text=text)):
            yield f"record {ordinal}", record
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield f"line {number}", _parse(line, text=text, line=number)


def _parse(part: str, *, text: str, line: int = 0) -> Any:
    """``part`` of the drop ``text`` as JSON. ``line`` is the part's own, 0 when the parser's count holds."""
    try:
        return json.loads(part, parse_float=Decimal, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise _broken_json(error, line=line or error.lineno, text=text) from None
    except _NotJson as error:
        raise DropRefused([Fault(f"line {line}" if line else "file", f"not JSON: {error}", SEND_AGAIN)]) from None
    except RecursionError:
        raise DropRefused([Fault(f"line {line}" if line else "file", "is nested too deeply", SEND_AGAIN)]) from None


class _NotJson(Exception):
    pass


def _refuse_constant(name: str) -> NoReturn:
    raise _NotJson(f"{name} is no JSON value; leave it out or write null")


def _broken_json(error: json.JSONDecodeError, *, line: int, text: str) -> DropRefused:
    cut = line >= text.count("\n") + 1 and not text.endswith("\n")
    reason = f"not JSON: {error.msg} at column {error.colno}" + ("; the file seems cut off" if cut else "")
    return DropRefused([Fault(f"line {line}", reason, SEND_AGAIN)])


def _flatten(record: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str | None]]:
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, _text(value)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, int):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=str)


# --- Parquet -------------------------------------------------------------------------------------------------------


def _read_parquet(path: Path, _contract: Contract | None, _source: Source) -> pa.Table:
    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise DropRefused([Fault("file", f"not a whole Parquet file: {_without_values(str(error))}", SEND_AGAIN)]) from None
    while any(pa.types.is_struct(field.type) for field in table.schema):
        table = table.flatten()
    try:
        text = pa.table({field.name: _parquet_text(table[field.name]) for field in table.schema})
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DropRefused(
            [Fault("file", f"a column has a type that has no text form: {_without_values(str(error))}", "Send single values.")]
        ) from None
    nul = [name for name in text.column_names if pc.any(pc.match_substring(text[name], "\0")).as_py()]
    if nul:
        raise DropRefused([Fault(f"column {name}", NUL, SEND_AGAIN) for name in nul])
    return text


def _parquet_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_timestamp(column.type):
        zone = "Z" if column.type.tz else ""
        naive = column.cast(pa.timestamp("us", column.type.tz))
        return pc.strftime(pc.cast(naive, pa.timestamp("us", "UTC")) if zone else naive, format=f"%Y-%m-%dT%H:%M:%S{zone}")
    return column.cast(pa.string())


_READERS: dict[str, Callable[[Path, Contract | None, Source], pa.Table]] = {
    "csv": _read_csv,
    "json": _read_json,
    "parquet": _read_parquet,
}
