"""A source that the code has never heard of: one YAML and a drop. docs/onboarding.md shows the same with commands."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from catalog.domain.faults import ContractInvalid
from catalog.models import Dataset
from catalog.services import contract_import
from controlplane.outbox.models import OutboxMessage
from pipeline.errors import UnknownDataset
from pipeline.models import DropState, HeldState, SilverReject
from pipeline.services.landing import drop_receive
from tests import pipeline_support as support
from tests.db.test_pipeline_replay import rows

pytestmark = pytest.mark.django_db(transaction=True)
DATA = Path(__file__).parents[1] / "data" / "onboarding"


def onboard(name: str, drop: str) -> None:
    contract_import(text=(DATA / f"{name}.odcs.yaml").read_text(), actor="system:test")
    taken = drop_receive(dataset=name, filename=drop, content=(DATA / drop).read_bytes(), source="test")
    assert taken.state == DropState.ACCEPTED
    support.drain()
    assert support.failures() == []


def test_a_csv_source_needs_one_yaml_and_a_drop(lake_home: Path) -> None:
    with pytest.raises(UnknownDataset):
        drop_receive(dataset="gift_cards", filename="x.csv", content=b"", source="test")
    onboard("gift_cards", "gift_cards.csv")
    found = rows("gift_cards", "SELECT t.card_id, t.currency, t.value, t.sold_date, t.sold_at FROM t ORDER BY t.card_id")
    assert found == [
        {
            "card_id": "GC-000001",
            "currency": "EUR",
            "value": Decimal("50.00"),
            "sold_date": date(2026, 11, 21),  # 23:30 in London is the next day in Paris
            "sold_at": datetime(2026, 11, 20, 23, 30, tzinfo=UTC),
        },
        {
            "card_id": "GC-000003",
            "currency": "GBP",
            "value": Decimal("20.00"),
            "sold_date": date(2026, 11, 20),
            "sold_at": datetime(2026, 11, 20, 9, 0, tzinfo=UTC),
        },
    ]
    rejects = SilverReject.objects.filter(state=HeldState.OPEN).order_by("row")
    assert [(one.row, one.rules) for one in rejects] == [(1, ["minimum:value"]), (4, ["pattern:card_id"])]


def test_a_json_source_with_nested_values_needs_no_more(lake_home: Path) -> None:
    onboard("store_visits", "store_visits.json")
    found = rows("store_visits", "SELECT t.visit_id, t.store_code, t.store_floor FROM t ORDER BY t.visit_id")
    assert found == [
        {"visit_id": "v1", "store_code": "PAR-1", "store_floor": 0},
        {"visit_id": "v2", "store_code": "MAD-2", "store_floor": None},
    ]
    assert [(one.row, one.rules) for one in SilverReject.objects.all()] == [(2, ["required:store_code"])]


def test_the_new_source_stands_in_the_catalog_and_is_told_to_the_lineage(lake_home: Path) -> None:
    onboard("gift_cards", "gift_cards.csv")
    assert Dataset.objects.filter(contract_name="gift_cards", current_version__version="1.0.0").exists()
    events = [message.payload for message in OutboxMessage.objects.exclude(topic="celery")]
    said = str(events)
    assert "land.gift_cards" in said
    assert "refresh.gift_cards" in said
    assert "silver.gift_cards" in said


def test_a_faulty_contract_is_refused_with_line_and_reason(lake_home: Path) -> None:
    text = (DATA / "gift_cards.odcs.yaml").read_text().replace("logicalType: number", "logicalType: numbre", 1)
    line = text[: text.index("numbre")].count("\n") + 1
    with pytest.raises(ContractInvalid) as refused:
        contract_import(text=text, actor="system:test")
    assert any(fault.line == line for fault in refused.value.faults)
    assert not Dataset.objects.filter(contract_name="gift_cards").exists()
    faulty = lake_home / "gift_cards.odcs.yaml"
    faulty.write_text(text)
    with pytest.raises(CommandError, match=rf"gift_cards\.odcs\.yaml:{line}:\d+: "):
        call_command("contract", "import", str(faulty))
