"""The live feed carries the world on: the same bytes for the same tick, at the rate asked for, after a restart too."""

from __future__ import annotations

import csv
import io
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.demo.files import Drop
from pipeline.demo.live import LiveDrop, LiveWorld
from pipeline.demo.truth import compute
from pipeline.demo.world import World

END = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def world() -> World:
    return World(5, 2, 60, "steady", END)


def _run(live: LiveWorld, start: datetime, *, seconds: int, step_s: int = 5) -> list[LiveDrop]:
    found: list[LiveDrop] = []
    for passed in range(0, seconds, step_s):
        found += live.drops(start + timedelta(seconds=passed))
        live.save()
    return found


def _rows(drop: LiveDrop) -> int:
    dataset, _, content = drop
    if dataset == "sessions":
        return int(pq.read_metadata(pa.BufferReader(content)).num_rows)
    if dataset == "support_cases" or dataset == "fx_rates":
        return content.count(b"\n")
    return sum(1 for _ in csv.reader(io.StringIO(content.decode(), newline=""))) - 1


def test_two_feeds_from_the_same_moment_send_the_same_bytes(world: World) -> None:
    start = END + timedelta(seconds=5)
    one = _run(LiveWorld(world, events_per_minute=2000), start, seconds=120)
    two = _run(LiveWorld(world, events_per_minute=2000), start, seconds=120)
    assert one == two
    assert len({name for _, name, _ in one}) == len(one)


def test_a_feed_that_is_restarted_sends_what_it_would_have_sent(world: World, tmp_path: Path) -> None:
    start = END + timedelta(seconds=5)
    whole = _run(LiveWorld(world, events_per_minute=2000), start, seconds=600)
    state = tmp_path / "live.json"
    parts = _run(LiveWorld(world, events_per_minute=2000, state=state), start, seconds=300)
    parts += _run(LiveWorld(world, events_per_minute=2000, state=state), start + timedelta(seconds=300), seconds=300)
    assert parts == whole


def test_drops_that_were_not_saved_are_sent_again_with_the_same_name_and_bytes(world: World, tmp_path: Path) -> None:
    start, state = END + timedelta(seconds=5), tmp_path / "live.json"
    live = LiveWorld(world, events_per_minute=2000, state=state)
    _run(live, start, seconds=60)
    lost = live.drops(start + timedelta(seconds=70))
    assert LiveWorld(world, events_per_minute=2000, state=state).drops(start + timedelta(seconds=70)) == lost != []


def test_it_sends_the_rows_asked_for_in_the_shares_of_a_shop(world: World) -> None:
    live = LiveWorld(world, events_per_minute=50_000)
    counts: Counter[str] = Counter()
    for drop in _run(live, END + timedelta(seconds=5), seconds=1205):
        counts[drop[0]] += _rows(drop)
    events = sum(counts.values()) - counts["fx_rates"] - counts["inventory"]
    assert events == pytest.approx(50_000 * 1200 / 60, rel=0.005)
    assert live.rows_sent == sum(counts.values())
    assert {"orders", "order_lines", "sessions", "shipments", "returns", "support_cases", "fx_rates"} <= set(counts)
    assert counts["order_lines"] / counts["sessions"] == pytest.approx(0.06, abs=0.02)


def test_what_it_sends_is_valid_but_for_a_faulty_row_now_and_then(world: World, tmp_path: Path) -> None:
    drops = []
    for made in world.generate():
        path = tmp_path / made.filename
        path.write_bytes(made.content)
        drops.append(Drop(made.dataset, path, made.nominal_at))
    before = compute(drops, as_of=END)
    for dataset, name, content in _run(LiveWorld(world, events_per_minute=20_000), END + timedelta(seconds=5), seconds=1200):
        path = tmp_path / name
        path.write_bytes(content)
        drops.append(Drop(dataset, path, END))
    now = END + timedelta(seconds=1200)
    after = compute(drops, as_of=now)
    for name, one in after.datasets.items():
        more = one.rows_rejected - before.datasets[name].rows_rejected
        assert more <= 0.01 * one.rows_landed, name
        assert one.drops_refused == before.datasets[name].drops_refused
    assert after.datasets["orders"].rows_rejected > before.datasets["orders"].rows_rejected
    today = "2026-11-20"
    for kpi in ("net_revenue", "conversion_rate", "fulfilment_sla", "return_rate", "csat_index"):
        assert after.kpis[kpi][today].value != before.kpis[kpi].get(today, None), kpi


def test_after_a_long_pause_it_goes_on_at_the_present(world: World, tmp_path: Path) -> None:
    state = tmp_path / "live.json"
    _run(LiveWorld(world, state=state), END + timedelta(seconds=5), seconds=60)
    resumed = LiveWorld(world, state=state).drops(END + timedelta(days=2))
    sessions = [name for dataset, name, _ in resumed if dataset == "sessions"]
    assert len(sessions) <= 1
    rates = next(content for dataset, _, content in resumed if dataset == "fx_rates")
    assert rates.count(b'"USD"') == 47  # the rate of 09:00 was sent before the pause
    assert any(dataset == "inventory" for dataset, _, _ in resumed)


def test_nothing_is_sent_before_the_world_ended(world: World) -> None:
    assert LiveWorld(world).drops(END - timedelta(seconds=1)) == []


def test_fifty_thousand_rows_a_minute_cost_little(world: World) -> None:
    live = LiveWorld(world, events_per_minute=50_000)
    _run(live, END + timedelta(seconds=5), seconds=30)
    before = time.process_time()
    _run(live, END + timedelta(seconds=35), seconds=60)
    assert time.process_time() - before < 6  # a tenth of one core, twice what is measured on a slow machine
