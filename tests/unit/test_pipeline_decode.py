"""Drops of every format read at the edge: what is whole is read exactly, what is not is refused with its place."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.domain.contract import Contract, Field, Source
from pipeline.domain import decode as decode_module
from pipeline.domain.decode import Decoded, decode
from pipeline.errors import DropRefused


def field(name: str, **more: Any) -> Field:
    return Field(name=name, type=more.pop("type", "string"), source_name=more.pop("source_name", name), **more)


def contract(source: Source | None, *fields: Field) -> Contract:
    chosen = fields or (field("id", required=True), field("name"), field("token", token_of="id"))
    return Contract(
        dataset="things", version="1.0.0", layer="silver", domain="d", product="p", title="t", description="", owner="o",
        steward="s", fields=chosen, key=("id",), source=source,
    )  # fmt: skip


CSV = contract(Source("csv"))
JSON = contract(Source("json"))
PARQUET = contract(Source("parquet"))


def tokens(values: Iterable[str]) -> list[str]:
    return [None if value is None else f"token of {value}" for value in values]


def read(folder: Path, content: bytes | str, by: Contract = CSV, **options: Any) -> Decoded:
    path = folder / "drop"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return decode(path, by, logical_id="things-1", tokens=tokens, **options)


def faults(folder: Path, content: bytes | str, by: Contract = CSV) -> list[tuple[str, str]]:
    with pytest.raises(DropRefused) as refused:
        read(folder, content, by)
    return [(fault.place, fault.reason) for fault in refused.value.faults]


def column(found: Decoded, name: str) -> list[Any]:
    return list(found.table[name].to_pylist())


def test_values_stay_as_written_and_rows_know_where_they_came_from(tmp_path: Path) -> None:
    found = read(tmp_path, "id,name\n 7 ,007.50\n8,\n")
    assert column(found, "id") == [" 7 ", "8"]
    assert column(found, "name") == ["007.50", ""]
    assert column(found, "token") == ["token of 7", "token of 8"]
    assert column(found, "_bronze_file") == ["things-1"] * 2
    assert column(found, "_bronze_row") == [0, 1]
    assert column(found, "_unknown") == [None, None]


def test_quotes_hold_delimiters_line_breaks_and_quotes(tmp_path: Path) -> None:
    found = read(tmp_path, 'id,name\n1,"a,b\nc ""d"""\n2,x\n')
    assert column(found, "name") == ['a,b\nc "d"', "x"]
    assert column(found, "_bronze_row") == [0, 1]


def test_unknown_columns_are_kept_aside_where_they_hold_something(tmp_path: Path) -> None:
    found = read(tmp_path, "id,name,code\n1,a,NOËL\n2,b,  \n")
    assert found.unknown_columns == ["code"]
    assert column(found, "_unknown") == ['{"code": "NOËL"}', None]
    assert column(found, "name") == ["a", "b"]


def test_an_optional_column_may_be_missing_and_a_required_one_may_not(tmp_path: Path) -> None:
    assert column(read(tmp_path, "id\n1\n"), "name") == [None]
    assert faults(tmp_path, "name\nx\n") == [("header", "required column id is missing")]


def test_a_file_taken_in_before_lacks_what_is_required_today_row_by_row(tmp_path: Path) -> None:
    assert column(read(tmp_path, "name\nx\n", at_edge=False), "id") == [None]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("", "line 1"),
        ("  \n", "line 1"),
        ("id,id\n1,2\n", "line 1"),
        ("id,\n1,2\n", "line 1"),
        ("id,name\n1,a\n2", "record 2"),
        ('id,name\n1,a\n2,"b', "line 3"),
        ("id,name\n1,a,b\n", "record 1"),
    ],
)
def test_a_csv_that_is_not_whole_is_refused_with_its_place(tmp_path: Path, content: str, place: str) -> None:
    (found,) = faults(tmp_path, content)
    assert found[0] == place


def test_a_header_alone_is_a_drop_without_records(tmp_path: Path) -> None:
    assert read(tmp_path, "id,name\n").rows == 0
    assert read(tmp_path, "id,name").rows == 0


def test_encodings_are_those_of_the_contract(tmp_path: Path) -> None:
    latin = contract(Source("csv", encoding="iso-8859-1", delimiter=";"))
    assert column(read(tmp_path, "id;name\n1;Noël\n".encode("iso-8859-1"), latin), "name") == ["Noël"]
    assert column(read(tmp_path, b"\xef\xbb\xbfid,name\n1,x\n"), "id") == ["1"]
    assert faults(tmp_path, b"id,name\n1,Jos\xe9\n") == [("line 2", "a byte that is not utf-8")]


def test_no_fault_quotes_a_value(tmp_path: Path) -> None:
    secret = "marie.curie@example.fr"
    personal = contract(Source("json"), field("id", required=True), field("email", pattern="^x$"), field("age", type="integer"))
    broken: list[tuple[bytes | str, Contract]] = [
        (f"id,name\n{secret}\n", CSV),
        (f'id,name\n1,"{secret}', CSV),
        (json.dumps({"id": {"deep": secret}}) + "\n", personal),
        (json.dumps({"id": "1", "age": [secret]}) + "\n", personal),
        ('{"id": "' + secret, JSON),
        (f"PAR1{secret}PAR1".encode(), PARQUET),
    ]
    for content, by in broken:
        with pytest.raises(DropRefused) as refused:
            read(tmp_path, content, by)
        said = json.dumps([fault.as_dict() for fault in refused.value.faults])
        assert secret not in said, said
        assert "marie" not in str(refused.value)


def test_json_lines_an_array_and_one_object_read_the_same(tmp_path: Path) -> None:
    records = [{"id": "1", "name": "a"}, {"id": "2"}]
    lines = "".join(json.dumps(one) + "\n" for one in records)
    for content in (lines, lines.replace("\n", "\r\n"), json.dumps(records), json.dumps(records, indent=2)):
        found = read(tmp_path, content, JSON)
        assert (column(found, "id"), column(found, "name")) == (["1", "2"], ["a", None])
    assert read(tmp_path, json.dumps(records[0]), JSON).rows == 1


def test_nested_objects_are_flattened_and_numbers_keep_their_digits(tmp_path: Path) -> None:
    nested = contract(
        Source("json"),
        field("id", required=True),
        field("consent_marketing", source_name="consent.marketing", type="boolean"),
        field("amount", type="decimal", precision=18, scale=2),
    )
    found = read(
        tmp_path, '{"id": "1", "consent": {"marketing": true, "other": null}, "amount": 1234567890123456.10}\n', nested
    )
    assert column(found, "consent_marketing") == ["true"]
    assert column(found, "amount") == ["1234567890123456.10"]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ('{"id": "1"}\n{"id": "2"', "line 2"),
        ('[{"id": "1"}, {"id"', "line 1"),
        ('{"id": "1"}\n[]\n', "line 2, data"),
        ("null\n", "line 1, data"),
        ('{"id": "1"}\n{"id": NaN}\n', "line 2"),
        ('{"id": "1"}\n{"id": "\\ud800"}\n', "line 2, value 1"),
        ('{"id": "1"}\n{"id": "a\\u0000b"}\n', "line 2, value 1"),
        ('{"id": "1"}\n{"id": ' + "[" * 100_000 + "]" * 100_000 + "}\n", "line 2"),
        ("[" * 100_000, "file"),
    ],
)
def test_json_that_is_cut_off_or_no_record_is_refused_with_its_line(tmp_path: Path, content: str, place: str) -> None:
    assert faults(tmp_path, content, JSON)[0][0] == place


def test_json_lines_end_at_line_feeds_alone(tmp_path: Path) -> None:
    text = "".join(json.dumps({"id": "1", "name": f"a{mark}b"}, ensure_ascii=False) + "\r\n" for mark in "\x85\u2028\u2029")
    assert column(read(tmp_path, text, JSON), "name") == ["a\x85b", "a\u2028b", "a\u2029b"]


def test_a_fault_that_no_reader_foresaw_refuses_the_drop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> pa.Table:
        raise ZeroDivisionError

    monkeypatch.setitem(decode_module._READERS, "json", broken)
    assert faults(tmp_path, '{"id": "1"}\n', JSON)[0] == ("file", "cannot be read as json (ZeroDivisionError)")


def test_an_empty_json_drop_has_no_records(tmp_path: Path) -> None:
    assert read(tmp_path, "", JSON).rows == 0
    assert read(tmp_path, "[]", JSON).rows == 0


def parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def test_parquet_values_become_text_without_loss(tmp_path: Path) -> None:
    at = datetime(2026, 11, 20, 10, 30, 0, 250_000, UTC)
    by = contract(
        Source("parquet"),
        field("id", required=True, type="integer"),
        field("at", type="timestamp"),
        field("amount", type="decimal", precision=18, scale=2),
        field("name"),
        field("inner_flag", source_name="inner.flag", type="boolean"),
    )
    table = pa.table(
        {
            "id": pa.array([2**53 + 1], pa.int64()),
            "at": pa.array([at], pa.timestamp("ns", "Europe/Paris")),
            "amount": pa.array([Decimal("0.10")], pa.decimal128(18, 2)),
            "name": pa.array(["x"]).dictionary_encode(),
            "inner": pa.array([{"flag": False}]),
        }
    )
    found = read(tmp_path, parquet(table), by)
    assert column(found, "id") == ["9007199254740993"]
    assert column(found, "at") == ["2026-11-20T10:30:00.250000Z"]
    assert column(found, "amount") == ["0.10"]
    assert column(found, "name") == ["x"]
    assert column(found, "inner_flag") == ["false"]


@pytest.mark.parametrize("keep", [0, 3, 40, -1])
def test_a_truncated_parquet_file_is_refused(tmp_path: Path, keep: int) -> None:
    whole = parquet(pa.table({"id": ["1"], "name": ["a"]}))
    (found,) = faults(tmp_path, whole[:keep], PARQUET)
    assert found[0] == "file"


@pytest.mark.parametrize(
    ("content", "by", "place"),
    [
        (b"id,name\n1,a\n2,b\0c\n", CSV, "line 3"),
        (parquet(pa.table({"id": ["1"], "name": ["b\0c"]})), PARQUET, "column name"),
    ],
)
def test_a_nul_character_is_refused_with_its_place(tmp_path: Path, content: bytes, by: Contract, place: str) -> None:
    assert faults(tmp_path, content, by) == [(place, "a NUL character, which is no text")]


def test_a_dataset_that_the_pipeline_makes_takes_no_drops(tmp_path: Path) -> None:
    assert faults(tmp_path, "id\n1\n", contract(None))[0][0] == "contract"


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=12)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8))
def test_any_text_survives_csv_and_json(tmp_path: Path, records: list[tuple[str, str]]) -> None:
    def quoted(value: str) -> str:
        return '"' + value.replace('"', '""') + '"'

    text = "id,name\n" + "".join(f"{quoted(one)},{quoted(two)}\n" for one, two in records)
    as_csv = read(tmp_path, text)
    as_json = read(tmp_path, "".join(json.dumps({"id": one, "name": two}) + "\n" for one, two in records), JSON)
    for found in (as_csv, as_json):
        assert list(zip(column(found, "id"), column(found, "name"), strict=True)) == records
        assert column(found, "_bronze_row") == list(range(len(records)))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_garbage_is_refused_or_read_but_never_an_accident(tmp_path: Path, content: bytes) -> None:
    for by in (CSV, JSON, PARQUET):
        with contextlib.suppress(DropRefused):
            assert read(tmp_path, content, by).rows >= 0
