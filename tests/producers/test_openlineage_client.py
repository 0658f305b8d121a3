"""The real ``openlineage-python`` client, with each of its ways to send, against a running installation."""

from __future__ import annotations

from typing import Any

import pytest

from tests.producers.conftest import Environment, environment
from tests.producers.touchstone import Json, Touchstone, eventually

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def client() -> Environment:
    return environment("client")


def transport(url: str, key: str, kind: str = "http", **more: Any) -> Json:
    return {"type": kind, "url": url, "auth": {"type": "api_key", "apiKey": key}, **more}


WAYS: dict[str, Json] = {
    "http": {"kind": "http"},
    "http-gzip": {"kind": "http", "compression": "gzip"},
    "async": {"kind": "async_http"},
    "async-gzip": {"kind": "async_http", "compression": "gzip", "max_concurrent_requests": 4},
}


def world_is_right(touchstone: Touchstone, namespace: str) -> None:
    """What the eight events of ``programs/openlineage_client.py`` say, read back over the API."""
    store = f"postgres://{namespace}:5432"
    orders, totals, report = ((store, f"shop.{name}") for name in ("orders", "totals", "report"))
    assert touchstone.edges(namespace, "nightly.sums") == ({orders}, {totals})
    assert touchstone.edges(namespace, "nightly.mail") == ({totals}, set())
    assert touchstone.edges(namespace, "report") == ({totals}, {report})
    assert {job["name"] for job in touchstone.jobs(namespace)} == {"nightly", "nightly.sums", "nightly.mail", "report"}
    assert {item["name"] for item in touchstone.datasets(store)} == {"shop.orders", "shop.totals", "shop.report"}
    # One job to the next through the datasets, as far as the report.
    assert touchstone.lineage(f"dataset:{store}:shop.orders", direction="downstream") == {
        f"dataset:{store}:shop.orders",
        f"dataset:{store}:shop.totals",
        f"dataset:{store}:shop.report",
        *(f"job:{namespace}:{name}" for name in ("nightly.sums", "nightly.mail", "report")),
    }
    assert touchstone.columns(*totals) == {
        "customer": {(*orders, "email")},
        "total": {(*orders, "amount")},
        "": {(*orders, "id")},
    }
    states = {name: touchstone.runs(namespace, name) for name in ("nightly", "nightly.sums", "nightly.mail", "report")}
    assert {name: [run["state"] for run in runs] for name, runs in states.items()} == {
        "nightly": ["COMPLETED"],
        "nightly.sums": ["COMPLETED"],
        "nightly.mail": ["FAILED"],
        "report": [],
    }
    nightly, sums, mail = (states[name][0] for name in ("nightly", "nightly.sums", "nightly.mail"))
    assert (sums["parentRunId"], mail["parentRunId"]) == (nightly["id"], nightly["id"])
    assert nightly["nominalStartTime"] == "2026-11-01T06:00:00Z"
    assert sums["durationMs"] == 4000
    assert touchstone.run(mail["id"])["facets"]["errorMessage"]["message"] == "mailbox is full"
    assert touchstone.job(namespace, "nightly.sums")["parentJobName"] == "nightly"
    assert touchstone.job(namespace, "report")["facets"]["ownership"]["owners"][0]["name"] == "team:sales"
    assert touchstone.dataset(*report)["description"] == "Weekly report"
    assert [field["name"] for field in touchstone.dataset(*totals)["fields"]] == ["customer", "total"]
    # Also under the name that the symlink gave it.
    assert touchstone.lineage(f"dataset:s3://{namespace}:totals", depth=1) >= {f"job:{namespace}:nightly.sums"}


@pytest.mark.parametrize("way", WAYS)
def test_events_of_all_kinds_end_in_the_same_graph_whichever_way_they_are_sent(
    touchstone: Touchstone, client: Environment, producer_key: str, way: str
) -> None:
    namespace = f"client-{way}"
    done = client.program(
        "openlineage_client",
        {"transport": transport(touchstone.url, producer_key, **WAYS[way]), "world": {"namespace": namespace, "seed": "one"}},
    )
    assert done["sent"] == 8
    if done["stats"] is None:
        assert done["answers"] == [201] * 8
    else:
        assert done["stats"] == {"pending": 0, "success": 8, "failed": 0}
    eventually(lambda: world_is_right(touchstone, namespace))
