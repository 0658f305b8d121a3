"""Alive, ready, metrics, keys; correlation ids of requests."""

from __future__ import annotations

import pytest
from django.test import Client

from controlplane.accounts import services as accounts
from controlplane.outbox.models import Relay
from controlplane.telemetry import health
from controlplane.telemetry.metrics import counter, exposition, folder, retire_dead

pytestmark = pytest.mark.django_db


def test_alive_needs_no_database(client: Client, django_assert_num_queries: object) -> None:
    with django_assert_num_queries(0):  # type: ignore[operator]
        answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "alive"}


def test_ready_names_each_part_and_is_503_without_a_relay(client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    parts = answer.json()["parts"]
    assert parts["database"]["ok"]
    assert parts["redis"]["ok"]
    assert parts["migrations"]["ok"]
    assert "manage.py relay" in parts["relay"]["detail"]
    Relay.objects.create(name="test")
    assert client.get("/readyz").json()["parts"]["relay"]["ok"]


def test_a_check_that_breaks_does_not_leak_what_it_knows(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise RuntimeError("postgresql://me:secret@db")

    monkeypatch.setitem(health._checks, "broken", broken)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"]["broken"]["detail"] == "failed: RuntimeError"
    assert "secret" not in answer.content.decode()


def test_a_correlation_id_is_taken_over_when_sound_and_made_otherwise(client: Client) -> None:
    assert client.get("/healthz", headers={"X-Correlation-ID": "abc-1"})["X-Correlation-ID"] == "abc-1"
    trace = "0af7651916cd43dd8448eb211c80319c"
    assert client.get("/healthz", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})["X-Correlation-ID"] == trace
    made = client.get("/healthz", headers={"X-Correlation-ID": "evil\tid"})["X-Correlation-ID"]
    assert len(made) == 32


def test_metrics_are_for_this_machine_keys_and_roles(client: Client) -> None:
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="10.0.0.9").status_code == 401
    assert client.get("/metrics", headers={"X-Forwarded-For": "10.0.0.9"}).status_code == 401
    _, secret = accounts.apikey_create(name="prometheus", role="auditor", namespaces=["*"], actor="system:test")
    answer = client.get("/metrics", REMOTE_ADDR="10.0.0.9", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 200
    assert b"touchstone_http_requests_total" in answer.content
    person = accounts.user_create(username="eve", password=None, roles=["owner"], actor="system:test")
    client.force_login(person)
    assert client.get("/metrics", REMOTE_ADDR="10.0.0.9").status_code == 401


def test_counts_of_a_process_that_is_gone_are_kept() -> None:
    counted = counter("test_retired_total", "Only in this test")
    counted.inc(3)

    def value() -> float:
        lines = exposition()[0].decode().splitlines()
        return float(next(line for line in lines if line.startswith("touchstone_test_retired_total ")).split()[1])

    before = value()
    (own,) = [path for path in folder().glob("counter_*.db") if not path.stem.endswith("_0")][:1]
    (folder() / "counter_999999999.db").write_bytes(own.read_bytes())
    assert value() == 2 * before
    assert retire_dead() >= 1
    assert not (folder() / "counter_999999999.db").exists()
    assert value() == 2 * before


def test_the_trust_anchor_is_public_and_holds_public_keys_only(client: Client) -> None:
    answer = client.get("/.well-known/touchstone-keys.json")
    assert answer.status_code == 200
    (key,) = answer.json()["keys"]
    assert key["state"] == "active"
    assert set(key) == {"key_id", "algorithm", "public_key", "state"}
