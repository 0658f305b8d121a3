"""What producers can do to the ingest addresses, sent the way the web server sends it: bombs, floods, nonsense, too much."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
import zlib
from typing import Any

import pytest

from controlplane.accounts import services as accounts
from lineage.api import ingest as api
from lineage.api.wsgi import Environ, ingest_first
from lineage.models import Event, Quarantine
from lineage.services import ingest
from tests.lineage_support import run_event

pytestmark = pytest.mark.django_db

EVENT, BATCH = "/api/v1/lineage", "/api/v1/lineage/batch"


class Answer:
    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""

    def start(self, status: str, headers: list[tuple[str, str]]) -> None:
        self.status, self.headers = int(status[:3]), dict(headers)

    def json(self) -> Any:
        return json.loads(self.body)


def django(environ: Environ, start_response: Any) -> list[bytes]:
    start_response("299 Left To Django", [])
    return [b""]


def send(path: str, body: Any, secret: str = "", *, method: str = "POST", chunked: bool = False, **headers: str) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    environ = {"PATH_INFO": path, "REQUEST_METHOD": method, "wsgi.input": io.BytesIO(data)}
    environ |= {} if chunked else {"CONTENT_LENGTH": str(len(data))}
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    if secret:
        environ["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
    answer = Answer()
    answer.body = b"".join(ingest_first(django)(environ, answer.start))
    return answer


@pytest.fixture(autouse=True)
def _the_connection_of_the_test_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lineage.api.wsgi.close_old_connections", lambda: None)


@pytest.fixture
def secret() -> str:
    api._keys.clear()
    return accounts.apikey_create(name="flood", role="producer", namespaces=("*",), actor="tests")[1]


def test_events_are_taken_in_before_django_and_everything_else_is_left_to_it(secret: str) -> None:
    first = send(EVENT, run_event("a"), secret, x_correlation_id="from-the-caller")
    assert (first.status, first.headers["X-Correlation-ID"], first.body) == (201, "from-the-caller", b"")
    assert send(EVENT, run_event("a"), secret, chunked=True).status == 200
    assert send(BATCH, [run_event("b")], secret).status == 204
    assert send(EVENT, run_event("c")).status == 401
    for path, method in ((EVENT, "GET"), (BATCH, "GET"), ("/api/v1/lineage/", "POST"), ("/lineage", "POST")):
        assert send(path, b"", secret, method=method).status == 299
    assert Event.objects.count() == 2


def test_a_gzip_bomb_is_refused_before_it_grows(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "EVENT_MAX_BYTES", 2**20)
    bomb = b"".join(_zeros(64))
    assert len(bomb) < 2**17
    tracemalloc.start()
    try:
        answer = send(EVENT, bomb, secret, content_encoding="gzip")
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answer.status == 413
    assert peak_bytes < 4 * 2**20  # 64 MiB wanted out
    assert Quarantine.objects.count() == 0


def _zeros(mebibytes: int) -> list[bytes]:
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return [*(packer.compress(bytes(2**20)) for _ in range(mebibytes)), packer.flush()]


def test_a_body_packed_in_several_members_is_read_to_its_end(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps([run_event("a"), run_event("b")]).encode()
    packed = gzip.compress(text[:100]) + gzip.compress(text[100:])
    assert send(BATCH, packed, secret, content_encoding="gzip").status == 204
    assert Event.objects.count() == 2
    assert send(BATCH, packed[:-3], secret, content_encoding="gzip").status == 400
    assert send(BATCH, packed + b"more", secret, content_encoding="gzip").status == 400
    assert send(BATCH, b"", secret, content_encoding="gzip").status == 400
    assert send(BATCH, gzip.compress(b""), secret, content_encoding="gzip").status == 400
    monkeypatch.setattr(api, "BATCH_MAX_BYTES", 150)
    assert send(BATCH, packed, secret, content_encoding="gzip").status == 413


def test_what_is_too_large_or_packed_otherwise_is_refused(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "BATCH_MAX_BYTES", 1000)
    large = [run_event("sum" * 500)]
    assert send(BATCH, large, secret).status == 413
    assert send(BATCH, large, secret, chunked=True).status == 413
    assert send(BATCH, gzip.compress(json.dumps(large).encode()), secret, content_encoding="gzip").status == 413
    assert send(BATCH, [], secret, content_encoding="br").status == 415


def test_a_batch_of_ten_thousand_bad_events_is_answered_and_kept_in_full(secret: str) -> None:
    bad = [{**run_event(f"job {index}"), "eventTime": "yesterday"} for index in range(9_999)]
    answer = send(BATCH, [*bad[:5000], run_event("good"), *bad[5000:]], secret)
    assert answer.status == 200
    found = answer.json()
    assert found["summary"] == {"received": 10_000, "successful": 1, "failed": 9_999}
    assert [item["index"] for item in found["failed_events"]] == [*range(5000), *range(5001, 10_000)]
    assert {item["path"] for item in found["failed_events"]} == {"$.eventTime"}
    assert Quarantine.objects.count() == 9_999
    assert Event.objects.count() == 1


def test_overload_is_503_with_the_time_to_wait_and_ends_when_the_fold_has_caught_up(
    secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert send(BATCH, [run_event("a"), run_event("b")], secret).status == 204
    monkeypatch.setattr(ingest, "MAX_PENDING", 1)
    monkeypatch.setitem(ingest._load, "at", -10.0)
    for path, body in ((EVENT, run_event("late")), (BATCH, [run_event("late")])):
        answer = send(path, body, secret)
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.json()["path"] == "$"
    monkeypatch.setattr(ingest, "MAX_PENDING", 1000)
    monkeypatch.setitem(ingest._load, "at", -10.0)
    assert send(EVENT, run_event("late"), secret).status == 201


def test_an_unforeseen_failure_is_a_500_that_tells_nothing(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: Any) -> None:
        raise RuntimeError("a password")

    monkeypatch.setattr(api.services, "events_ingest", broken)  # type: ignore[attr-defined]
    answer = send(EVENT, run_event("a"), secret)
    assert answer.status == 500
    assert b"password" not in answer.body
