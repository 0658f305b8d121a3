"""Datasets and fields that lineage events tell of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from catalog import selectors, services
from catalog.models import Dataset
from catalog.services import EventField

pytestmark = pytest.mark.django_db
CUSTOMERS = (Path(__file__).parents[1] / "data" / "catalog_customers.odcs.yaml").read_text()
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def tell(name: str = "raw/clicks", *fields: EventField, seen_at: datetime = NOW, **more: str) -> Dataset:
    return services.dataset_upsert_from_event(namespace="s3://bucket", name=name, fields=fields, seen_at=seen_at, **more)


def columns(dataset: Dataset) -> dict[str, str]:
    return dict(dataset.fields.values_list("name", "type"))


def test_an_event_makes_a_dataset_with_its_fields():
    dataset = tell("raw/clicks", EventField("id", "int", "Identifier"), EventField("url", "text"), uri="s3://bucket/raw/clicks")
    assert (dataset.source, dataset.contract_name, dataset.uri, dataset.last_seen_at) == (
        "event",
        None,
        "s3://bucket/raw/clicks",
        NOW,
    )
    assert columns(dataset) == {"id": "int", "url": "text"}
    assert selectors.dataset_by_event("s3://bucket", "raw/clicks") == dataset


def test_the_same_event_again_changes_nothing():
    first = tell("raw/clicks", EventField("id", "int"))
    assert tell("raw/clicks", EventField("id", "int")) == first
    assert Dataset.objects.count() == 1
    assert columns(first) == {"id": "int"}


def test_a_newer_event_replaces_types_and_fields_and_an_older_one_does_not():
    dataset = tell("raw/clicks", EventField("id", "int"), EventField("gone", "int"))
    tell("raw/clicks", EventField("id", "bigint"), EventField("new", "text"), seen_at=NOW + timedelta(minutes=1))
    assert columns(dataset) == {"id": "bigint", "new": "text"}
    tell("raw/clicks", EventField("id", "short"), seen_at=NOW - timedelta(days=1))
    assert columns(dataset) == {"id": "bigint", "new": "text"}
    dataset.refresh_from_db()
    assert dataset.last_seen_at == NOW + timedelta(minutes=1)


def test_what_the_contract_says_wins_over_events():
    services.contract_import(text=CUSTOMERS, actor=None)
    dataset = services.dataset_upsert_from_event(
        namespace="touchstone",
        name="silver.customers",
        fields=[EventField("email", "int", "wrong"), EventField("_bronze_row", "int64")],
        description="wrong",
        uri="/lake/silver/customers",
        seen_at=NOW,
    )
    assert (dataset.contract_name, dataset.uri, dataset.source) == ("customers", "/lake/silver/customers", "contract")
    assert dataset.description.startswith("Every version")
    email = dataset.fields.get(name="email")
    assert (email.type, email.description, email.pii) == ("string", "", "user.contact.email")
    assert dataset.fields.get(name="_bronze_row").source == "event"
    assert list(dataset.fields.values_list("name", flat=True))[-1] == "_bronze_row"


def test_a_contract_takes_over_a_dataset_that_events_knew_first():
    known = services.dataset_upsert_from_event(
        namespace="touchstone", name="silver.customers", fields=[EventField("email", "varchar")], seen_at=NOW
    )
    services.contract_import(text=CUSTOMERS, actor=None)
    dataset = Dataset.objects.get()
    assert (dataset.pk, dataset.source, dataset.contract_name) == (known.pk, "contract", "customers")
    assert dataset.fields.get(name="email").type == "string"


def test_layers_are_read_from_the_names_of_our_own_tables():
    assert services.dataset_upsert_from_event(namespace="touchstone", name="bronze.orders").layer == "bronze"
    assert tell("raw/clicks").layer == ""
