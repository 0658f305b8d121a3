"""The addresses that producers send to."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from controlplane.accounts import services as accounts
from lineage.api import ingest as api
from lineage.models import Event, Quarantine
from lineage.services import ingest
from tests.lineage_support import dataset, run_event, sample_events

pytestmark = pytest.mark.django_db

EVENT = "/api/v1/lineage"
BATCH = "/api/v1/lineage/batch"


@pytest.fixture(autouse=True)
def _no_remembered_keys() -> None:
    api._keys.clear()


def key_of(role: str = "producer", namespaces: tuple[str, ...] = ("*",)) -> str:
    _, secret = accounts.apikey_create(name=f"{role} key", role=role, namespaces=namespaces, actor="tests")
    return secret


@pytest.fixture
def secret() -> str:
    return key_of()


def post(url: str, body: Any, secret: str | None, **headers: str) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    if secret:
        headers["Authorization"] = f"Bearer {secret}"
    return Client().post(url, data, content_type="application/json", headers=headers)


def test_a_new_event_is_201_and_the_same_again_200(secret: str) -> None:
    assert post(EVENT, run_event("sum"), secret).status_code == 201
    assert post(EVENT, run_event("sum"), secret).status_code == 200
    assert Event.objects.count() == 1


def test_an_event_may_be_packed_with_gzip(secret: str) -> None:
    packed = gzip.compress(json.dumps(run_event("sum")).encode())
    headers = {"Content-Encoding": "gzip"}
    assert post(EVENT, packed, secret, **headers).status_code == 201
    assert post(EVENT, packed[:-12], secret, **headers).status_code == 400
    assert post(EVENT, b"plain", secret, **headers).status_code == 400
    assert post(EVENT, packed, secret, **{"Content-Encoding": "br"}).status_code == 415


def test_a_body_that_is_too_large_is_413_packed_or_not(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "EVENT_MAX_BYTES", 1000)
    large = json.dumps(run_event("sum" * 500)).encode()
    assert post(EVENT, large, secret).status_code == 413
    packed = gzip.compress(large)
    assert len(packed) < 1000
    assert post(EVENT, packed, secret, **{"Content-Encoding": "gzip"}).status_code == 413


def test_a_fault_is_answered_with_its_path_and_kept(secret: str) -> None:
    event = run_event("sum")
    del event["job"]["name"]
    answer = post(EVENT, event, secret)
    assert answer.status_code == 422
    assert answer.json() == {"error": "is missing", "path": "$.job.name"}
    assert Quarantine.objects.get().producer == "producer key"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"a": NaN}', b"[]", b"null", b"[" * 200_000])
def test_what_is_no_event_is_a_bad_request_and_kept(secret: str, body: bytes) -> None:
    answer = post(EVENT, body, secret)
    assert answer.status_code == 400
    assert answer.json()["path"] == "$"
    assert Quarantine.objects.count() == 1


def test_a_batch_that_is_stored_whole_is_204(secret: str) -> None:
    assert post(BATCH, sample_events(), secret).status_code == 204
    assert post(BATCH, [], secret).status_code == 204
    assert Event.objects.count() == len(sample_events())


def test_a_batch_names_each_event_that_is_not_stored(secret: str) -> None:
    answer = post(BATCH, [run_event("a"), {"eventTime": "x"}, run_event("b")], secret)
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "partial_success"
    assert body["summary"] == {"received": 3, "successful": 2, "failed": 1}
    assert [(item["index"], item["retriable"]) for item in body["failed_events"]] == [(1, False)]
    assert "$.eventTime" in body["failed_events"][0]["reason"]
    assert Event.objects.count() == 2


def test_a_batch_that_is_no_array_is_a_bad_request(secret: str) -> None:
    assert post(BATCH, run_event("a"), secret).status_code == 400
    assert post(BATCH, b"[{}", secret).status_code == 400
    assert Quarantine.objects.count() == 2


def test_overload_is_503_with_the_time_to_wait(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert post(BATCH, sample_events(), secret).status_code == 204
    monkeypatch.setattr(ingest, "MAX_PENDING", 1)
    monkeypatch.setitem(ingest._load, "at", -10.0)
    answer = post(EVENT, run_event("late"), secret)
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0
    monkeypatch.setitem(ingest._load, "at", -10.0)


def test_a_database_that_does_not_answer_is_503(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(api.services, "events_ingest", broken)  # type: ignore[attr-defined]
    answer = post(EVENT, run_event("sum"), secret)
    assert answer.status_code == 503
    assert answer["Retry-After"]


def test_only_the_key_of_a_producer_may_send() -> None:
    assert post(EVENT, run_event("sum"), None).status_code == 401
    assert post(EVENT, run_event("sum"), "ts_unknown").status_code == 401
    for role in ("owner", "steward", "oncall", "dpo", "auditor"):
        assert post(EVENT, run_event("sum"), key_of(role)).status_code == 403
    assert post(EVENT, run_event("sum"), key_of("admin")).status_code == 201


def test_a_key_speaks_for_its_namespaces_only() -> None:
    secret = key_of(namespaces=("etl",))
    assert post(EVENT, run_event("sum"), secret).status_code == 201
    answer = post(EVENT, run_event("sum", namespace="bank"), secret)
    assert answer.status_code == 403
    assert answer.json()["path"] == "$.job.namespace"
    batch = post(BATCH, [run_event("x", namespace="bank"), run_event("y", inputs=[dataset("any", namespace="bank")])], secret)
    assert batch.json()["summary"] == {"received": 2, "successful": 1, "failed": 1}


def test_a_revoked_key_is_refused(secret: str) -> None:
    assert post(EVENT, run_event("a"), secret).status_code == 201
    accounts.apikey_revoke(name="producer key", actor="tests")
    api._keys.clear()  # remembered for two seconds
    assert post(EVENT, run_event("b"), secret).status_code == 401
