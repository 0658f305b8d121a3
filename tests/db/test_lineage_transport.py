"""Our own events: the real OpenLineage client over the outbox."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest
from django.db import transaction
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import schema_dataset

from controlplane.outbox.errors import NotInTransaction
from controlplane.outbox.models import OutboxMessage
from controlplane.outbox.registry import handler_of
from lineage import services
from lineage.models import Dataset, Event, Pending
from lineage.services import OutboxTransport
from tests.lineage_support import at, run_uuid

pytestmark = pytest.mark.django_db


def emit(job: str = "step") -> None:
    schema = schema_dataset.SchemaDatasetFacet(fields=[schema_dataset.SchemaDatasetFacetFields(name="id", type="string")])
    event = RunEvent(
        eventType=RunState.COMPLETE,
        eventTime=at(1),
        run=Run(run_uuid(job)),
        job=Job("touchstone", job),
        producer="https://example.org",
        inputs=[InputDataset("lake", "bronze.orders")],
        outputs=[OutputDataset("lake", "silver.orders", facets={"schema": schema})],
    )
    OpenLineageClient(transport=OutboxTransport(producer="pipeline")).emit(event)


def deliver() -> None:
    for message in OutboxMessage.objects.order_by("id"):
        handler_of(message.topic)(message.payload, message)


def test_an_event_is_stored_when_the_callers_transaction_commits() -> None:
    with transaction.atomic():
        emit()
    deliver()
    deliver()  # at least once
    assert list(Event.objects.values_list("producer", "event_type")) == [("pipeline", "COMPLETE")]
    assert services.pending_project().events == 1
    assert set(Dataset.objects.values_list("name", flat=True)) == {"bronze.orders", "silver.orders"}


@pytest.mark.django_db(transaction=True)
def test_an_event_outside_a_transaction_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(NotInTransaction):
        emit()


def test_an_event_of_a_rolled_back_transaction_never_happened() -> None:
    with transaction.atomic():
        emit()
        transaction.set_rollback(True)
    deliver()
    assert not Event.objects.exists()
    assert not Pending.objects.exists()


class _Server(HTTPServer):
    def __init__(self) -> None:
        self.received: list[tuple[str, str | None, Any]] = []
        self.answers = [201]
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.received.append((self.path, self.headers.get("Authorization"), body))
        self.send_response(self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0])
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Silent."""


@pytest.fixture
def another_server(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    server = _Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setattr(settings.ENV, "openlineage_url", address)
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "secret")
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_events_also_go_to_another_server_when_one_is_set(another_server: _Server) -> None:
    with transaction.atomic():
        emit()
    deliver()
    ((path, key, body),) = another_server.received
    assert (path, key) == ("/api/v1/lineage", "Bearer secret")
    assert body["job"]["name"] == "step"
    assert Event.objects.count() == 1


def test_a_server_that_is_down_is_tried_again_and_one_that_refuses_is_not(another_server: _Server) -> None:
    with transaction.atomic():
        emit()
    message = OutboxMessage.objects.get(topic="openlineage.forward")
    another_server.answers = [503, 400]
    with pytest.raises(httpx.HTTPStatusError):
        handler_of(message.topic)(message.payload, message)
    handler_of(message.topic)(message.payload, message)
    assert len(another_server.received) == 2
