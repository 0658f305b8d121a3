"""Our own events: the real OpenLineage client over the outbox."""

from __future__ import annotations

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
