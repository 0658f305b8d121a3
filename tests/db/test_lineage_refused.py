"""Refused events: judged again, corrected, closed."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django.core.management import call_command

from controlplane.accounts import services as accounts
from controlplane.audit.models import AuditEntry
from lineage import services
from lineage.domain import spec
from lineage.models import Event, Job, Quarantine
from lineage.services import ingest, projection, refused
from tests.lineage_support import run_event

pytestmark = pytest.mark.django_db


def kept(**fields: Any) -> Quarantine:
    return Quarantine.objects.get(**fields)


def audited() -> list[str]:
    return list(AuditEntry.objects.filter(action__startswith="lineage.").order_by("id").values_list("action", flat=True))


def test_a_refused_event_is_replayed_after_the_key_may_speak_for_its_namespace() -> None:
    key, _ = accounts.apikey_create(name="bank", role="producer", namespaces=["shop"], actor="tests")
    services.events_ingest(bodies=[run_event("sum", namespace="bank")], producer=key)
    item = kept()
    ((_, fault),) = services.quarantine_replay(uuids=[item.uuid], actor="tests").refused
    assert (fault.status, fault.path) == (403, "$.job.namespace")
    item.refresh_from_db()
    assert (item.state, item.times) == (Quarantine.State.OPEN, 1)
    key.namespaces = ["*"]
    key.save()
    assert services.quarantine_replay(uuids=[item.uuid], actor="tests").accepted == (item.uuid,)
    assert services.quarantine_replay(uuids=[item.uuid], actor="tests").skipped == (item.uuid,)
    item.refresh_from_db()
    assert item.state == Quarantine.State.REPLAYED
    assert services.quarantine_dismiss(uuids=[item.uuid], actor="tests") == ()
    assert Event.objects.get().producer == "bank"
    assert audited() == ["lineage.quarantine_replay"] * 2


def test_a_refused_event_is_replayed_after_the_rule_was_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spec, "EVENT_TYPES", frozenset({"START"}))
    event = run_event("sum")
    services.events_ingest(bodies=[event, event | {"producer": "p"}], producer="tests")
    monkeypatch.undo()
    done = services.quarantine_replay(uuids=services.quarantine_matching(text="eventtype"), actor="tests")
    assert (done.replayed, done.refused) == (2, ())
    services.pending_project()
    assert Job.objects.count() == 1


def test_one_refused_again_after_a_replay_is_open_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spec, "EVENT_TYPES", frozenset({"START"}))
    body = json.dumps(run_event("sum"))
    services.events_ingest(bodies=[body], producer="tests")
    Quarantine.objects.update(state="replayed")
    services.events_ingest(bodies=[body], producer="tests")
    assert (kept().state, kept().times) == ("open", 2)
    services.quarantine_dismiss(uuids=[kept().uuid], actor="tests", reason="known")
    services.events_ingest(bodies=[body], producer="tests")
    assert kept().state == "dismissed"


def test_a_corrected_body_takes_the_place_of_the_refused_one() -> None:
    services.events_ingest(bodies=["{"], producer="tests")
    item = kept()
    assert services.quarantine_correct(uuid=item.uuid, body="[]", actor="tests").refused
    assert kept().state == "open"
    assert services.quarantine_correct(uuid=item.uuid, body=json.dumps(run_event("a")), actor="tests").replayed == 1
    assert (kept().state, kept().body) == ("replayed", "{")
    assert Event.objects.count() == 1


def test_a_body_kept_in_part_cannot_be_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "BODY_KEPT_BYTES", 5)
    monkeypatch.setattr(refused, "BODY_KEPT_BYTES", 5)
    services.events_ingest(bodies=["{no json at all"], producer="tests")
    ((_, fault),) = services.quarantine_replay(uuids=[kept().uuid], actor="tests").refused
    assert "send it again" in fault.reason


@pytest.mark.parametrize("whole", [True, False])
def test_an_event_that_was_not_understood_is_folded_after_the_fix(monkeypatch: pytest.MonkeyPatch, whole: bool) -> None:
    def fold(delta: Any, item: Any) -> None:
        raise ValueError("cannot be understood")

    with monkeypatch.context() as broken:
        broken.setattr(projection, "fold", fold)
        services.events_ingest(bodies=[run_event("sum")], producer="tests")
        services.pending_project()
        item = kept(stage="projection")
        assert services.quarantine_replay(uuids=[item.uuid], actor="tests").refused[0][1].reason.startswith("ValueError")
    if not whole:
        monkeypatch.setattr(refused, "BODY_KEPT_BYTES", 5)
    assert services.quarantine_replay(uuids=[item.uuid], actor="tests").replayed == 1
    assert Job.objects.count() == 1
    assert kept().state == "replayed"


def test_more_than_a_call_may_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        services.quarantine_replay(uuids=[uuid.uuid4() for _ in range(refused.REPLAY_MAX + 1)], actor="tests")


def test_the_command_lists_replays_and_dismisses_by_filter(capsys: pytest.CaptureFixture[str]) -> None:
    services.events_ingest(bodies=["{", "["], producer="one")
    services.events_ingest(bodies=["{"], producer="two")
    call_command("lineage", "quarantine", "list", "--producer", "one")
    assert capsys.readouterr().out.count("is not JSON") == 2
    call_command("lineage", "quarantine", "replay", "--producer", "one")
    assert "0 accepted, 0 known before, 2 refused again" in capsys.readouterr().out
    call_command("lineage", "quarantine", "dismiss", "--producer", "one", "--reason", "test noise")
    assert Quarantine.objects.filter(state="open").values_list("producer", flat=True).get() == "two"
    assert audited() == ["lineage.quarantine_replay", "lineage.quarantine_dismiss"]
