"""The Silver SQL that a contract becomes: rules, casts and the merge, run on a real engine."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.domain.contract import Contract, Field, Partition, RowRule, Source
from controlplane.lake.engines.base import LakeConfig
from controlplane.lake.engines.duck import DuckEngine
from pipeline.domain.decode import decoded_schema
from pipeline.domain.silver_sql import SilverSql, dedup_key, silver_schema, silver_sql

ZONE = "Europe/Paris"
FIELDS = (
    Field("id", "string", "id", required=True, pattern="^[a-z]$"),
    Field("currency", "string", "currency", enum=("EUR", "GBP"), normalise="currency"),
    Field("amount", "decimal", "amount", precision=18, scale=2, required=True, minimum=0),  # type: ignore[arg-type]
    Field("day_at", "timestamp", "day_at", required=True),
    Field("note", "string", "note", max_length=3, default="-"),
    Field("updated_at", "timestamp", "updated_at", required=True),
    Field("source_seq", "integer", "source_seq", required=True),
)


def contract(**more: Any) -> Contract:
    given_ = {
        "dataset": "things", "version": "1.0.0", "layer": "silver", "domain": "d", "product": "p",
        "title": "t", "description": "", "owner": "o", "steward": "s", "fields": FIELDS,
        "key": ("id",), "order_by": ("updated_at", "source_seq"),
        "source": Source("csv", time_zone=ZONE), "rules": (RowRule("not_13", "amount <> 13"),),
        "partition": Partition("day", "day_at", "business_date", stable=False), "sha256": str(sorted(more)),
    }  # fmt: skip
    return Contract(**(given_ | more))  # type: ignore[arg-type]


THINGS = contract()
GOOD = {
    "id": "a",
    "currency": "EUR",
    "amount": "1.00",
    "day_at": "2026-11-20T10:00:00Z",
    "note": "x",
    "updated_at": "2026-11-20T10:00:00Z",
    "source_seq": "1",
}


def landed(by: Contract, *records: dict[str, Any]) -> pa.Table:
    schema = decoded_schema(by)
    made = [{"_unknown": None, "_bronze_file": "f", "_bronze_row": number} | GOOD | one for number, one in enumerate(records)]
    return pa.Table.from_pylist(made, schema=schema)


class Run:
    """The statements over some records and the rows that are there already."""

    def __init__(self, folder: Path, records: pa.Table, present: pa.Table | None = None, by: Contract = THINGS) -> None:
        self.sql: SilverSql = silver_sql(by, business_zone=ZONE)
        engine = DuckEngine(LakeConfig(root=str(folder), temp=folder / "tmp"))
        with engine.session() as session:
            session.register_arrow("landed", records)
            session.register_arrow("present", present if present is not None else silver_schema(by).empty_table())
            for name in ("typed", "judged", "incoming"):
                session.create(name, self.sql[name])
            session.create("merged_rows", self.sql["merged"])
            self.rejected = session.fetch(self.sql["rejected"]).sort_by("_bronze_row").to_pylist()
            self.quarantined = session.fetch(self.sql["quarantined"]).to_pylist()
            self.merged = session.fetch(f"SELECT {', '.join(f'm.{name}' for name in self.sql.columns)} FROM merged_rows AS m")
            self.winners = session.fetch(self.sql["winners"]).to_pylist() if by.partition else []

    @property
    def rules(self) -> dict[int, list[str]]:
        return {row["_bronze_row"]: row["broken_rules"].rstrip(",").split(",") for row in self.rejected}

    @property
    def rows(self) -> list[dict[str, Any]]:
        return sorted(self.merged.to_pylist(), key=lambda row: (row["id"], row["updated_at"]))


def test_a_good_row_is_typed_and_placed_on_its_business_day(tmp_path: Path) -> None:
    (row,) = Run(tmp_path, landed(THINGS, {"day_at": "2026-11-20T23:30:00Z", "currency": " € ", "note": " "})).rows
    assert (row["day"].isoformat(), row["currency"], row["note"]) == ("2026-11-21", "EUR", "-")
    assert str(row["amount"]) == "1.00"


@pytest.mark.parametrize(
    ("broken", "rules"),
    [
        ({"amount": ""}, ["required:amount"]),
        ({"amount": "1,5"}, ["type:amount"]),
        ({"amount": "-0.01"}, ["minimum:amount"]),
        ({"amount": "13"}, ["rule:not_13"]),
        ({"id": "A"}, ["pattern:id"]),
        ({"currency": "XXX"}, ["enum:currency"]),
        ({"note": "long"}, ["max_length:note"]),
        ({"day_at": "yesterday"}, ["type:day_at"]),
        ({"source_seq": "1.5"}, ["type:source_seq"]),
        ({"id": "A", "amount": None, "note": "long"}, ["pattern:id", "required:amount", "max_length:note"]),
    ],
)
def test_every_broken_rule_is_named_and_none_that_follows_from_another(
    tmp_path: Path, broken: dict[str, Any], rules: list[str]
) -> None:
    run = Run(tmp_path, landed(THINGS, broken, {"id": "b"}))
    assert run.rules == {0: rules}
    assert [row["id"] for row in run.rows] == ["b"]


def test_a_missing_optional_value_breaks_no_rule(tmp_path: Path) -> None:
    assert Run(tmp_path, landed(THINGS, {"currency": None, "note": None})).rules == {}


def test_a_record_with_an_unknown_value_goes_on_and_is_copied(tmp_path: Path) -> None:
    run = Run(tmp_path, landed(THINGS, {"_unknown": '{"code": "VIP"}'}))
    assert [row["_unknown"] for row in run.quarantined] == ['{"code": "VIP"}']
    assert len(run.rows) == 1


def test_a_record_judged_again_replaces_what_it_left_before(tmp_path: Path) -> None:
    """Also when it is rejected now: a stricter contract takes its row out."""
    first = Run(tmp_path, landed(THINGS, {}, {"id": "b"}))
    assert Run(tmp_path, landed(THINGS, {}, {"id": "b"}), first.merged).rows == first.rows
    stricter = Run(tmp_path, landed(THINGS, {"currency": "XXX"}), first.merged)
    assert [row["id"] for row in stricter.rows] == ["b"]


def test_an_older_update_that_comes_late_does_not_win_nor_move_the_key(tmp_path: Path) -> None:
    newer = {"updated_at": "2026-11-20T12:00:00Z", "day_at": "2026-11-18T10:00:00Z", "_bronze_file": "g"}
    first = Run(tmp_path, landed(THINGS, newer))
    late = Run(tmp_path, landed(THINGS, {}), first.merged)
    assert late.rows == first.rows
    assert [row["place"] for row in late.winners] == ["2026-11-18"]


def test_history_keeps_every_version(tmp_path: Path) -> None:
    by = contract(history=True, partition=None)
    run = Run(tmp_path, landed(by, {}, {"updated_at": "2026-11-20T11:00:00Z"}, {"source_seq": "2"}), by=by)
    assert dedup_key(by) == ["id", "updated_at"]
    assert [(row["updated_at"].hour, row["source_seq"]) for row in run.rows] == [(10, 2), (11, 1)]


RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["a", "b", "B"]),
            "amount": st.sampled_from(["1", "13", "x"]),
            "day_at": st.sampled_from(["2026-11-18T10:00:00Z", "2026-11-19T10:00:00Z"]),
            "updated_at": st.sampled_from(["2026-11-20T10:00:00Z", "2026-11-20T11:00:00+02:00", "2026-11-20 09:00:00"]),
            "source_seq": st.sampled_from(["1", "2"]),
        }
    ),
    min_size=2,
    max_size=6,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RECORDS, st.randoms(use_true_random=False))
def test_any_order_and_any_batches_give_the_same_rows(tmp_path: Path, records: list[dict[str, Any]], random: Any) -> None:
    """Each record is a file of its own, so that ties end at the drop's digest."""
    files = [one | {"_bronze_file": f"f{number}", "_bronze_row": 0} for number, one in enumerate(records)]
    wanted = Run(tmp_path, landed(THINGS, *files)).rows
    random.shuffle(files)
    cut = random.randint(1, len(files) - 1)
    first = Run(tmp_path, landed(THINGS, *files[:cut]))
    assert Run(tmp_path, landed(THINGS, *files[cut:]), first.merged).rows == wanted


def test_the_same_contract_gives_the_same_text_and_statements_use_no_star() -> None:
    one, two = silver_sql(THINGS, business_zone=ZONE), silver_sql(contract(), business_zone=ZONE)
    assert one.text == two.text
    assert not any("*" in sql.replace("COUNT(*)", "") for sql in one.statements.values())
    names = ("typed", "judged", "incoming", "rejected", "quarantined", "places", "winners", "counts", "ordinals", "merged")
    assert tuple(one.statements) == names


def test_quotes_in_a_contract_stay_in_their_literal(tmp_path: Path) -> None:
    field = Field("id", "string", "id", required=True, enum=("it's", "a"))
    by = contract(fields=(field, *FIELDS[1:]))
    assert [row["id"] for row in Run(tmp_path, landed(by, {"id": "it's"}), by=by).rows] == ["it's"]


def test_ties_are_broken_the_same_way_in_every_order(tmp_path: Path) -> None:
    files = [{"_bronze_file": name, "_bronze_row": 0, "note": name} for name in ("f1", "f2", "f3")]
    for order in itertools.permutations(files):
        (row,) = Run(tmp_path, landed(THINGS, *order)).rows
        assert row["note"] == "f3"
