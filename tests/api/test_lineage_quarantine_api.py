"""Refused events over HTTP: a producer its own, people by role."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from controlplane.accounts import services as accounts
from lineage import services
from lineage.models import Event, Quarantine
from tests.lineage_support import run_event

pytestmark = pytest.mark.django_db
URL = "/api/v1/lineage/quarantine"


def key(name: str, role: str) -> Any:
    made, secret = accounts.apikey_create(name=name, role=role, namespaces=["*"], actor="tests")
    return made, {"Authorization": f"Bearer {secret}"}


def post(url: str, headers: dict[str, str], body: Any = None, status: int = 200) -> Any:
    answer = Client().post(url, json.dumps(body or {}), content_type="application/json", headers=headers)
    assert answer.status_code == status, answer.content
    return answer.json()


def refused(producer: Any, body: str) -> str:
    services.events_ingest(bodies=[body], producer=producer)
    return str(Quarantine.objects.latest("id").uuid)


def test_a_producer_corrects_replays_and_closes_its_own_and_no_other() -> None:
    mine, headers = key("mine", "producer")
    item, other = refused(mine, "[1]"), refused("somebody else", "[2]")
    assert Client().get(f"{URL}/{item}", headers=headers).json()["body"] == "[1]"
    assert Client().get(f"{URL}/{other}", headers=headers).status_code == 404
    again = post(f"{URL}/{item}/replay", headers)
    assert ([row["id"] for row in again["refused"]], again["accepted"]) == ([item], [])
    assert post(f"{URL}/{item}/replay", headers, {"body": json.dumps(run_event("fixed"))})["accepted"] == [item]
    assert Event.objects.count() == 1
    second = refused(mine, "[3]")
    assert post(f"{URL}/dismiss", headers, {"uuids": [second], "reason": "a test"}) == {"dismissed": [second]}
    post(f"{URL}/dismiss", headers, {"uuids": [other]}, 404)
    post(f"{URL}/replay", headers, {}, 400)
    assert Quarantine.objects.get(uuid=other).state == "open"
    listed = Client().get(URL, {"state": "open"}, headers=headers).json()
    assert listed["totalCount"] == 0


def test_people_see_bodies_and_act_by_role() -> None:
    item = refused("somebody", "[1]")
    _, oncall = key("oncall", "oncall")
    _, auditor = key("auditor", "auditor")
    assert Client().get(f"{URL}/{item}", headers=oncall).json()["body"] == "[1]"
    assert "body" not in Client().get(f"{URL}/{item}", headers=auditor).json()
    post(f"{URL}/{item}/dismiss", auditor, {}, 403)
    assert post(f"{URL}/{item}/dismiss", oncall)["dismissed"] == [item]
    assert Client().post(f"{URL}/{item}/dismiss").status_code in {401, 403}
