"""Who may have a figure proven, and what the pages and the API answer."""

from __future__ import annotations

from datetime import date

import pytest
from django.test import Client
from django.urls import reverse

from controlplane.audit.models import AuditEntry
from controlplane.evidence.models import Reproduction
from controlplane.outbox.models import OutboxMessage
from pipeline.models import KpiValue
from pipeline.selectors_kpi import business_today
from tests import pages_world

pytestmark = pytest.mark.django_db


@pytest.fixture
def value() -> KpiValue:
    pages_world.world()
    return KpiValue.objects.get(kpi="net_revenue", business_date=business_today())


def client_of(role: str) -> Client:
    client = Client()
    client.force_login(pages_world.person(role, password=None))
    return client


def api(day: date | str, what: str = "reproductions") -> str:
    return f"/api/v1/evidence/kpis/net_revenue/{day}/{what}"


@pytest.mark.parametrize(("role", "allowed"), [("auditor", True), ("owner", True), ("steward", False)])
def test_only_whoever_answers_for_a_figure_or_examines_it_may_reproduce_it(value: KpiValue, role: str, allowed: bool) -> None:
    client = client_of(role)
    answer = client.post(reverse("reproduce", args=[value.pk]))
    made = Reproduction.objects.first()
    assert (answer.status_code, made is not None) == ((302, True) if allowed else (403, False))
    if made is not None:
        assert answer["Location"] == made.get_absolute_url()
        assert AuditEntry.objects.filter(action="evidence.reproduce", target=made.audit_target).count() == 1
        assert OutboxMessage.objects.filter(payload__task="evidence.tasks.reproduce").count() == 1
        assert client.get(made.get_absolute_url()).status_code == 200
    handed_out = client.post(reverse("evidence_bundle", args=[value.pk]))
    assert handed_out.status_code == (200 if allowed else 403)
    assert (handed_out.headers["Content-Type"] == "application/zip") == allowed
    assert AuditEntry.objects.filter(action="evidence.bundle").exists() == allowed


def test_nobody_reproduces_by_following_a_link_or_without_signing_in(value: KpiValue) -> None:
    assert client_of("auditor").get(reverse("reproduce", args=[value.pk])).status_code == 405
    assert "/login/" in Client().post(reverse("reproduce", args=[value.pk]))["Location"]
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(pages_world.person("owner", password=None))
    assert strict.post(reverse("reproduce", args=[value.pk])).status_code == 403
    assert not Reproduction.objects.exists()


def test_the_api_starts_a_reproduction_once_and_tells_how_far_it_is(value: KpiValue) -> None:
    client = client_of("auditor")
    first = client.post(api(value.business_date), {"source": "delta"}, content_type="application/json")
    assert (first.status_code, first.json()["state"], first.json()["outcome"]) == (202, "queued", None)
    again = client.post(api(value.business_date), {"source": "delta"}, content_type="application/json")
    assert again.json()["reproduction"] == first.json()["reproduction"]
    assert client.get(first["Location"]).json()["value_id"] == value.pk
    assert client_of("oncall").get(first["Location"]).status_code == 200
    assert client_of("producer").get(first["Location"]).status_code == 403


def test_the_api_says_what_is_wrong_with_a_request(value: KpiValue) -> None:
    client = client_of("dpo")
    assert client.post(api("yesterday")).status_code == 400
    assert client.post(api("1999-01-01")).status_code == 404
    assert client.post(api(value.business_date), {"source": "thin air"}, content_type="application/json").status_code == 400
    early = {"at": "2001-01-01T00:00:00Z"}
    assert client.post(api(value.business_date), early, content_type="application/json").status_code == 404
    assert client_of("steward").post(api(value.business_date)).status_code == 403


def test_a_bundle_of_a_figure_whose_contract_is_gone_is_answered_with_gone(value: KpiValue) -> None:
    value.step.contract_version = "0.0.1"
    value.step.save()
    answer = client_of("auditor").get(api(value.business_date, "bundle"))
    assert answer.status_code == 410
    assert "0.0.1" in answer.json()["detail"]


def test_a_page_that_is_done_stops_asking(value: KpiValue) -> None:
    client = client_of("auditor")
    one = Reproduction.objects.create(value=value, kpi=value.kpi, business_date=value.business_date)
    live = reverse("reproduction_live", args=[one.uuid])
    assert "X-Live-Done" not in client.get(live)
    figures = {"value": "1", "numerator": "1", "denominator": "1"}
    result = {"reason": "Value came out the same.", "published": figures, "computed": figures, "datasets": [], "faults": []}
    Reproduction.objects.filter(pk=one.pk).update(state="done", outcome="reproduced", result=result)
    answer = client.get(live)
    assert answer["X-Live-Done"] == "1"
    assert "Value came out the same." in answer.content.decode()
    assert "Reproduced" in client.get(reverse("reproductions")).content.decode()
