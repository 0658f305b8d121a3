"""The real ``openlineage-python`` client, with each of its ways to send, against a running installation."""

from __future__ import annotations

from functools import partial
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


def test_two_environment_variables_are_all_the_client_needs(
    touchstone: Touchstone, client: Environment, producer_key: str
) -> None:
    told = {"OPENLINEAGE_URL": touchstone.url, "OPENLINEAGE_API_KEY": producer_key}
    done = client.program("openlineage_client", {"world": {"namespace": "client-env", "seed": "one"}}, variables=told)
    assert done["answers"] == [201] * 8
    eventually(lambda: world_is_right(touchstone, "client-env"))


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_a_batch_ends_in_the_same_graph_however_often_it_is_sent(
    touchstone: Touchstone, client: Environment, producer_key: str, compression: str | None
) -> None:
    namespace = f"client-batch-{compression}"
    more = {"compression": compression} if compression else {}
    order = {
        "transport": transport(touchstone.url, producer_key, **more),
        "world": {"namespace": namespace, "seed": "one"},
        "how": "batch",
    }
    for _ in range(2):
        assert client.program("openlineage_client", order)["answers"] == [204, None]
    eventually(lambda: world_is_right(touchstone, namespace))


def test_events_sent_again_change_nothing_and_a_new_run_is_added(
    touchstone: Touchstone, client: Environment, producer_key: str
) -> None:
    namespace = "client-again"
    order = {"transport": transport(touchstone.url, producer_key), "world": {"namespace": namespace, "seed": "one"}}
    assert client.program("openlineage_client", order)["answers"] == [201] * 8
    assert client.program("openlineage_client", order)["answers"] == [200] * 8
    eventually(lambda: world_is_right(touchstone, namespace))
    # Of another run only the six run events are new; the declared job and dataset were said before.
    order["world"]["seed"] = "two"
    assert client.program("openlineage_client", order)["answers"] == [201] * 6 + [200] * 2

    def added() -> None:
        assert [len(touchstone.runs(namespace, name)) for name in ("nightly", "nightly.sums", "nightly.mail")] == [2, 2, 2]

    eventually(added)


def refused(touchstone: Touchstone, producer: str) -> list[Json]:
    return [row for row in touchstone.refused() if row["producer"] == producer]


def test_the_client_gives_up_at_once_on_what_can_never_be_accepted(touchstone: Touchstone, client: Environment) -> None:
    """A 4xx is final for the client: it raises, asynchronously it counts a failure, and sends nothing again."""
    key = touchstone.producer_key("client-bound", "client-own*")
    world = {"namespace": "client-own", "seed": "one"}
    done = client.program("openlineage_client", {"transport": transport(touchstone.url, "ts_nobody"), "world": world})
    assert all("401 Client Error" in answer for answer in done["answers"])
    # The key may speak for its own jobs, not for those of another, nor for datasets of a store that it was not given.
    done = client.program("openlineage_client", {"transport": transport(touchstone.url, key), "world": world})
    assert done["answers"][:7] == [201] * 7
    assert "403 Client Error" in done["answers"][7]
    other = {"namespace": "client-other", "seed": "one"}
    done = client.program("openlineage_client", {"transport": transport(touchstone.url, key, "async_http"), "world": other})
    assert done["stats"] == {"pending": 0, "success": 0, "failed": 8}
    rows = refused(touchstone, "client-bound")
    assert {(row["namespace"], row["path"]) for row in rows} >= {("client-other", "$.job.namespace")}
    assert [row["times"] for row in rows] == [1] * len(rows)
    assert touchstone.jobs("client-other") == []


def test_a_faulty_event_is_named_and_the_others_of_its_batch_are_stored(touchstone: Touchstone, client: Environment) -> None:
    key = touchstone.producer_key("client-faulty")
    good, bad = (
        {
            "eventTime": time,
            "eventType": "COMPLETE",
            "producer": "https://example.org/faulty",
            "run": {"runId": f"01a20f25-a3b7-7d8b-a9fd-00000000000{index}"},
            "job": {"namespace": "client-faulty", "name": f"job{index}"},
        }
        for index, time in enumerate(["2026-11-01T06:00:00Z", "2026-11-01T06:00:00"])
    )
    # The client lets a time without zone through.
    order = {"transport": transport(touchstone.url, key), "events": [good, bad], "how": "batch"}
    status, answer = client.program("openlineage_client", order)["answers"]
    assert (status, answer["summary"]) == (200, {"received": 2, "successful": 1, "failed": 1})
    (fault,) = answer["failed_events"]
    assert (fault["index"], fault["path"], fault["status"], fault["retriable"]) == (1, "$.eventTime", 422, False)
    done = client.program("openlineage_client", {"transport": transport(touchstone.url, key), "events": [bad]})
    assert "422 Client Error" in done["answers"][0]
    eventually(lambda: touchstone.job("client-faulty", "job0"))
    rows = refused(touchstone, "client-faulty")
    assert {row["path"] for row in rows} == {"$.eventTime"}
    assert sum(row["times"] for row in rows) == 2


def test_events_arrive_although_the_server_was_gone_when_they_were_first_sent(
    touchstone: Touchstone, client: Environment, producer_key: str
) -> None:
    """The web server is killed under the client, which sends again until it is answered."""
    for way, kind in {"sync": "http", "async": "async_http"}.items():
        namespace = f"client-{way}-outage"
        # As the client's defaults, with more patience: a busy machine takes its time to start a web server.
        told = transport(touchstone.url, producer_key, kind, retry={"total": 8, "connect": 8, "read": 8})
        with touchstone.outage("web", outage_s=6):
            assert not touchstone.installation.answers("/healthz")
            done = client.program("openlineage_client", {"transport": told, "world": {"namespace": namespace, "seed": "one"}})
        if done["stats"] is None:
            assert set(done["answers"]) <= {200, 201}
        else:
            assert done["stats"] == {"pending": 0, "success": 8, "failed": 0}
        eventually(partial(world_is_right, touchstone, namespace))
