"""Accepted events out again, to real servers on this machine that behave and misbehave."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.utils import timezone

from controlplane.accounts import services as accounts
from controlplane.audit.models import AuditEntry
from controlplane.settings.checks import target_faults
from controlplane.settings.env import Env, lineage_targets
from lineage import services
from lineage.models import ForwardRefusal, ForwardTarget
from lineage.services import forwarding
from tests.lineage_support import graph_clear, run_event

pytestmark = pytest.mark.django_db


class Server(ThreadingHTTPServer):
    """Answers what it is told, then 201; keeps what it got."""

    def __init__(self) -> None:
        self.received: list[tuple[str, str | None, Any]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.delay_s = 0.0
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def jobs(self) -> list[str]:
        return [body["job"]["name"] for _, _, body in self.received]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(self.server.delay_s)
        status, headers = self.server.answers.pop(0) if self.server.answers else (201, {})
        if 200 <= status < 300:
            self.server.received.append((self.path, self.headers.get("Authorization"), body))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Silent."""


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    found = [Server(), Server()]
    threads = [threading.Thread(target=server.serve_forever, daemon=True) for server in found]
    for thread in threads:
        thread.start()
    yield found
    for server, thread in zip(found, threads, strict=True):
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def configured(servers: list[Server], settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings.ENV, "openlineage_url", servers[0].url)
    monkeypatch.setattr(settings.ENV, "lineage_targets", f"second={servers[1].url}/")
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "first key")
    monkeypatch.setattr(forwarding, "MARGIN", timedelta(0))
    services.forward_due()


def send(*jobs: str) -> None:
    for job in jobs:
        services.events_ingest(bodies=[run_event(job)], producer="tests")


def due_now(name: str) -> None:
    ForwardTarget.objects.filter(name=name).update(due_at=timezone.now())


def test_every_accepted_event_goes_to_every_server_in_the_order_of_recording(servers: list[Server]) -> None:
    send("a", "b", "a", "c")  # the second "a" is known
    assert services.forward_due() == ["default", "second"]
    assert services.forward(name="default").sent == 3
    assert services.forward(name="second").sent == 3
    assert servers[0].jobs == servers[1].jobs == ["a", "b", "c"]
    assert servers[0].received[0][:2] == ("/api/v1/lineage", "Bearer first key")
    assert servers[1].received[0][1] is None
    assert services.forward_due() == []
    assert services.forward(name="default").sent == 0


def test_a_server_that_is_away_keeps_its_place_and_holds_up_no_other(servers: list[Server]) -> None:
    send("a", "b", "c")
    servers[0].answers = [(201, {}), (503, {})]
    done = services.forward(name="default")
    assert (done.sent, done.stopped) == (1, "answered 503")
    assert services.forward_due() == ["second"]
    assert services.forward(name="second").sent == 3
    row = ForwardTarget.objects.get(name="default")
    assert (row.sent, row.attempts, row.last_error) == (1, 1, "answered 503")
    due_now("default")
    assert services.forward(name="default").sent == 2
    assert servers[0].jobs == ["a", "b", "c"]


def test_the_next_try_is_when_the_server_says_else_later_each_time(servers: list[Server]) -> None:
    send("a")
    waits = []
    for answer in [(429, {"Retry-After": "120"}), (503, {}), (503, {})]:
        servers[0].answers = [answer]
        due_now("default")
        services.forward(name="default")
        waits.append((ForwardTarget.objects.get(name="default").due_at - timezone.now()).total_seconds())
    assert [round(wait) for wait in waits] == [120, 4, 8]
    assert not ForwardRefusal.objects.exists()


def test_a_server_that_does_not_answer_in_time_is_tried_again(servers: list[Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "TIMEOUT_S", 0.1)
    servers[0].delay_s = 0.4
    send("a")
    assert services.forward(name="default").stopped == "ReadTimeout"
    assert ForwardTarget.objects.get(name="default").position_id == 0


def test_what_a_server_refuses_for_good_is_kept_and_sent_again_when_asked(servers: list[Server]) -> None:
    send("a", "b")
    servers[0].answers = [(422, {})]
    done = services.forward(name="default")
    assert (done.sent, done.refused) == (1, 1)
    assert [(row.status, row.reason) for row in ForwardRefusal.objects.all()] == [(422, "answered 422")]
    again = services.forward_retry(name="default", actor="tests")
    assert again.sent == 1
    assert servers[0].jobs == ["b", "a"]
    assert not ForwardRefusal.objects.exists()
    assert AuditEntry.objects.filter(action="lineage.forward_retry").exists()


def test_an_event_that_always_breaks_the_server_becomes_a_dead_letter_and_the_next_goes(servers: list[Server]) -> None:
    send("a", "b")
    servers[0].answers = [(500, {})] * forwarding.POISON_ATTEMPTS
    for _ in range(forwarding.POISON_ATTEMPTS):
        due_now("default")
        services.forward(name="default")
    assert servers[0].jobs == ["b"]
    assert ForwardRefusal.objects.get().status == 500


def test_people_see_how_far_each_server_is_and_on_call_sends_dead_letters_again(servers: list[Server]) -> None:
    send("a")
    servers[0].answers = [(400, {})]
    services.forward(name="default")
    keys = {}
    for role in ("auditor", "oncall"):
        _, secret = accounts.apikey_create(name=role, role=role, namespaces=["*"], actor="tests")
        keys[role] = {"Authorization": f"Bearer {secret}"}
    body = Client().get("/api/v1/lineage/targets", headers=keys["auditor"]).json()
    first, second = body["targets"]
    assert (first["name"], first["deadLetters"], first["behindSeconds"]) == ("default", 1, 0)
    assert (second["name"], second["sent"], second["url"]) == ("second", 0, f"{servers[1].url}/api/v1/lineage")
    assert Client().post("/api/v1/lineage/targets/default/retry", headers=keys["auditor"]).status_code == 403
    assert Client().post("/api/v1/lineage/targets/default/retry", headers=keys["oncall"]).json()["sent"] == 1
    assert Client().post("/api/v1/lineage/targets/none/retry", headers=keys["oncall"]).status_code == 404


def test_two_senders_at_once_send_once(servers: list[Server]) -> None:
    send("a")
    ForwardTarget.objects.filter(name="default").update(claimed_until=timezone.now() + timedelta(seconds=60))
    assert services.forward(name="default").sent == 0
    assert servers[0].received == []


@pytest.mark.django_db(transaction=True)
def test_an_event_that_commits_late_is_not_passed_over(servers: list[Server]) -> None:
    options = {name: connection.settings_dict[name.upper()] for name in ("host", "port", "user", "password")}
    with psycopg.connect(dbname=connection.settings_dict["NAME"], **options) as slow:
        slow.execute("SELECT pg_current_xact_id()")
        send("late")
        # Recorded while an older transaction still writes: that one may yet record something before it.
        assert services.forward(name="default").sent == 0
        slow.commit()
    assert services.forward(name="default").sent == 1
    graph_clear()


def settings_of(**given: Any) -> Env:
    return Env(**given)


def test_the_setting_says_what_is_wrong_with_it() -> None:
    env = settings_of(
        openlineage_url="http://a:1/", lineage_targets="hub=https://b/openapi/openlineage, m=http://c/api/v1/lineage"
    )
    assert [(item.name, item.endpoint, item.key) for item in lineage_targets(env, {"TOUCHSTONE_LINEAGE_KEY_HUB": "k"})] == [
        ("default", "http://a:1/api/v1/lineage", None),
        ("hub", "https://b/openapi/openlineage/api/v1/lineage", "k"),
        ("m", "http://c/api/v1/lineage", None),
    ]
    for wrong in ("http://a", "x=ftp://a", "x=http://a,x=http://b", "X y=http://a"):
        assert [fault.id for fault in target_faults(settings_of(lineage_targets=wrong))] == ["touchstone.E007"]
    own = settings_of(openlineage_url="http://localhost:8000", port=8000)
    assert [fault.id for fault in target_faults(own)] == ["touchstone.W006"]
    assert django_settings.ENV is not own
