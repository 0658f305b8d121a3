"""One record of a raw file, as it stands there, with its personal values hidden."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catalog.domain import odcs
from catalog.domain.contract import Source
from pipeline.domain.code import ROOT
from pipeline.domain.decode import decode
from pipeline.domain.records import MASK, RecordMissing, record_at

CSV = Source(format="csv")
JSON = Source(format="json")


def test_a_record_that_spans_lines_is_found_behind_blank_ones() -> None:
    data = b'id;note\r\n\r\n1;"two\r\nlines; ""quoted"""\r\n2;plain\r\n'
    source = Source(format="csv", delimiter=";")
    first, second = record_at(data, source, 0), record_at(data, source, 1)
    assert (first.first_line, first.last_line) == (3, 4)
    assert first.text == '1;"two\r\nlines; ""quoted"""'
    assert first.masked({"note"}) == f"1;{MASK}"
    assert (second.place, second.text) == ("line 5 (record 2)", "2;plain")
    with pytest.raises(RecordMissing):
        record_at(data, source, 2)


def test_nested_values_of_json_are_hidden_where_they_stand() -> None:
    line = '{"id": 7, "consent": {"marketing": true, "at" : "x, }"}, "email":"a\\"b@c.de", "phone":null}'
    record = record_at(f"\n{line}\n".encode(), JSON, 0)
    assert (record.first_line, record.text) == (2, line)
    assert record.columns == ["id", "consent.marketing", "consent.at", "email", "phone"]
    hidden = record.masked({"consent.at", "email", "phone"})
    assert hidden == f'{{"id": 7, "consent": {{"marketing": true, "at" : {MASK}}}, "email":{MASK}, "phone":null}}'
    array = f'[\n {{"id": 1}},\n {line}\n]'
    again = record_at(array.encode(), JSON, 1)
    assert (again.first_line, again.text) == (3, line)


def test_a_parquet_record_is_shown_as_json() -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"id": [1, 2, 3], "name": ["a", "b", "c"]}), buffer, row_group_size=2)
    record = record_at(buffer.getvalue(), Source(format="parquet"), 2)
    assert json.loads(record.text) == {"id": 3, "name": "c"}
    assert record.masked({"name"}) == f'{{"id": 3, "name": {MASK}}}'
    assert record.place == "record 3"


def test_records_are_counted_as_the_decoder_counts_them(tmp_path: Path) -> None:
    contract = odcs.parse((ROOT / "pipeline" / "contracts" / "carriers.odcs.yaml").read_text())
    assert contract.source is not None
    rows = (b'C1,"A, ""B""",FR,2026-01-01,1', b"", b'C2,"x\ny",ES,2026-01-01,2', b"C3,z,DE,2026-01-01,3")
    data = b"\n".join((b"carrier_id,name,country,updated_at,source_seq", *rows))
    path = tmp_path / "carriers.csv"
    path.write_bytes(data)
    decoded = decode(path, contract, logical_id="x", tokens=lambda values: [str(one) for one in values]).table.to_pylist()
    for row in decoded:
        record = record_at(data, contract.source, row["_bronze_row"])
        (name,) = [record.text[cell.start : cell.end] for cell in record.cells if cell.name == "carrier_id"]
        assert name == row["carrier_id"]
