"""The demo world writes what it says, where it says, and the same bytes each time."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.demo.clock import iso_naive, iso_offset, iso_z
from pipeline.demo.files import EXTENSION
from pipeline.demo.world import World

END = date(2026, 11, 20)
NAME = re.compile(r"^(?P<dataset>[a-z_]+?)_(?P<at>\d{8}T\d{6}Z)(_\d{2})?\.(csv|jsonl|json|parquet)$")


def _fingerprint(world: World) -> str:
    digest = hashlib.sha256()
    for made in world.generate():
        digest.update(f"{made.dataset}/{made.filename} {made.nominal_at} ".encode())
        digest.update(made.content)
    return digest.hexdigest()


def test_the_same_arguments_give_the_same_bytes_names_and_order() -> None:
    assert _fingerprint(World(3, 3, 60, "steady", END)) == _fingerprint(World(3, 3, 60, "steady", END))


def test_a_world_generates_the_same_again_when_asked_twice() -> None:
    world = World(3, 2, 40, "peak", END)
    assert _fingerprint(world) == _fingerprint(world)


@pytest.mark.parametrize("other", [World(4, 3, 60, "steady", END), World(3, 3, 60, "steady", END, False)])
def test_another_seed_or_no_faults_give_another_world(other: World) -> None:
    assert _fingerprint(other) != _fingerprint(World(3, 3, 60, "steady", END))


def test_drops_lie_in_a_folder_per_dataset_and_come_in_the_order_of_time(tmp_path: Path) -> None:
    world = World(5, 2, 40, "steady", END)
    world.write(tmp_path, truth=False)
    assert {drop.dataset for drop in world.drops} == set(EXTENSION)
    assert [drop.nominal_at for drop in world.drops] == sorted(drop.nominal_at for drop in world.drops)
    assert len({drop.path for drop in world.drops}) == len(world.drops)
    for drop in world.drops:
        match = NAME.match(drop.path.name)
        assert match, drop.path.name
        assert match["dataset"] == drop.dataset == drop.path.parent.name
        assert match["at"] == drop.nominal_at.strftime("%Y%m%dT%H%M%SZ")
    first = [drop.dataset for drop in world.drops[:6]]
    assert first == ["suppliers", "carriers", "promotions", "channels", "products", "customers"]


def test_an_end_in_the_middle_of_the_day_cuts_what_is_known(tmp_path: Path) -> None:
    noon = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
    world = World(5, 2, 200, "steady", noon)
    world.write(tmp_path, truth=False)
    assert world.as_of == noon
    assert max(drop.nominal_at for drop in world.drops) == noon
    latest = max(
        row["updated_at"]
        for drop in world.drops
        if drop.dataset == "orders"
        for row in csv.DictReader(io.StringIO(drop.read().decode()))
        if row["updated_at"] and row["updated_at"].endswith("Z")
    )
    assert "2026-11-20T11:" < latest < "2026-11-20T12:30:00Z"


def test_the_peak_profile_exceeds_five_hundred_orders_a_minute() -> None:
    placed: Counter[str] = Counter()
    for made in World(5, 2, 50, "peak", END, False).generate():
        if made.dataset == "orders":
            rows = csv.DictReader(io.StringIO(made.content.decode()))
            placed.update(row["ordered_at"][:16] for row in rows if row["status"] == "placed")
    assert max(placed.values()) > 500


def test_the_formats_are_what_their_extensions_say(tmp_path: Path) -> None:
    world = World(5, 1, 30, "steady", END, False)
    world.write(tmp_path, truth=False)
    by = {drop.dataset: drop for drop in world.drops}
    assert [record["channel_id"] for record in json.loads(by["channels"].read())]
    for line in by["customers"].read().decode().splitlines():
        assert set(json.loads(line)["consent"]) == {"marketing", "profiling", "updated_at"}
    assert pq.read_schema(by["products"].path).field("unit_cost").type.scale == 2
    suppliers = next(drop for drop in world.drops if drop.dataset == "suppliers")
    names = [row["name"] for row in csv.DictReader(io.StringIO(suppliers.read().decode(), newline=""))]
    assert 'Maison "Étoile", SARL' in names
    assert any("\n" in name for name in names)


@pytest.mark.parametrize("at", [1_793_500_000, 1_774_746_000, 1_792_893_600 - 600, 1_792_893_600 + 600])
def test_three_spellings_mean_the_same_instant(at: int) -> None:
    """Also around the end of summer time (25 October 2026, 01:00 UTC)."""
    from pipeline.demo.truth_rules import instant

    assert instant(iso_z(at)) == instant(iso_offset(at)) == instant(iso_naive(at)) == at


@pytest.mark.parametrize(
    "arguments",
    [
        {"days": 0},
        {"orders_per_day": 0},
        {"profile": "wild"},
        {"end": datetime(2026, 11, 20, 12)},
        {"order_slot_hours": 0},
    ],
)
def test_an_impossible_world_is_refused(arguments: dict[str, object]) -> None:
    given: dict[str, object] = {"seed": 1, "days": 1, "orders_per_day": 10, "profile": "steady", "end": END, **arguments}
    with pytest.raises(ValueError, match=r"."):
        World(**given)  # type: ignore[arg-type]
