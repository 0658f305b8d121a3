"""The pages over HTTP: who may see them, what they say, how many queries they cost, and that live parts answer 304."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from controlplane.accounts import services as accounts
from controlplane.audit.models import AuditEntry
from controlplane.ui.pages import STAFF_ROLES
from pipeline.models import BronzeFile, Drop, HeldState, QuarantinedRow, Run, SilverReject, StopSwitch, Work
from tests import pages_world

pytestmark = pytest.mark.django_db

OWN = ("pipeline.", "controlplane.home.", "controlplane.evidence.")


def signed_in(role: str) -> Client:
    client = Client()
    client.force_login(pages_world.person(role, password=None))
    return client


@pytest.fixture
def world() -> None:
    pages_world.world()


def addresses() -> dict[str, str]:
    run = Run.objects.order_by("-started_at").first()
    assert run is not None
    return {
        "home": reverse("admin:index"),
        "runs": reverse("runs"),
        "run": reverse("run", args=[run.uuid]),
        "drops": reverse("drops"),
        "drop": reverse("drop", args=[Drop.objects.filter(state="accepted").latest("id").uuid]),
        "rejects": reverse("rejects"),
        "reject": reverse("reject", args=[SilverReject.objects.latest("id").pk]),
        "quarantine": reverse("quarantine"),
        "quarantined": reverse("quarantined", args=[QuarantinedRow.objects.latest("id").pk]),
        "limits": reverse("limits"),
        "system": reverse("system"),
        "evidence": reverse("evidence"),
        "evidence_kpi": reverse("evidence_kpi", args=["net_revenue"]),
        "find": reverse("find") + "?q=orders",
        "records": reverse("admin:records"),
    }


# --- who may ----------------------------------------------------------------------------------------------------------


def own_patterns(resolver: URLResolver | None = None) -> Iterator[URLPattern]:
    for entry in (resolver or get_resolver()).url_patterns:
        if isinstance(entry, URLResolver):
            yield from own_patterns(entry)
        elif entry.callback.__module__.startswith(OWN):
            yield entry


def test_every_page_states_its_roles() -> None:
    # Endpoints have tests of their own; what the admin site answers itself is guarded by the site.
    found = [one for one in own_patterns() if not {"api", "sites"} & set(one.callback.__module__.split("."))]
    assert len(found) > 15
    assert [str(pattern.pattern) for pattern in found if not getattr(pattern.callback, "roles", ())] == []


def test_people_who_are_not_signed_in_are_sent_to_the_sign_in_page(world: None) -> None:
    for address in addresses().values():
        response = Client().get(address)
        assert response.status_code == 302
        assert "/login/" in response.headers["Location"]


def test_a_producer_sees_drops_and_not_the_rows_of_others(world: None) -> None:
    client = signed_in("producer")
    found = addresses()
    assert {name: client.get(found[name]).status_code for name in ("home", "drops", "drop", "rejects", "reject", "runs")} == {
        "home": 200,
        "drops": 200,
        "drop": 200,
        "rejects": 403,
        "reject": 403,
        "runs": 403,
    }


@pytest.mark.parametrize("role", list(STAFF_ROLES))
def test_everybody_else_may_read_every_page(role: str, world: None) -> None:
    client = signed_in(role)
    for name, address in addresses().items():
        assert client.get(address).status_code == 200, name


def test_somebody_without_a_role_stays_outside(world: None) -> None:
    client = Client()
    client.force_login(accounts.user_create(username="outsider", password=None, roles=[], actor="system:test"))
    assert client.get(reverse("admin:index")).status_code in (302, 403)
    assert client.get(reverse("runs")).status_code == 403


def test_an_auditor_changes_nothing(world: None) -> None:
    client = signed_in("auditor")
    assert client.post(reverse("switch"), {"scope": "*", "turn": "stop", "reason": "just trying it"}).status_code == 403
    assert client.post(reverse("rejects_reprocess"), {"scope": "filtered"}).status_code == 403
    assert client.get(reverse("drop_upload")).status_code == 200  # an auditor reads everything, the form too
    assert not StopSwitch.objects.exists()


# --- what they cost ---------------------------------------------------------------------------------------------------

# Session, user and roles are three of each.
QUERIES = {
    "home": 16,
    "runs": 8,
    "run": 11,
    "drops": 7,
    "drop": 8,
    "rejects": 8,
    "reject": 6,
    "quarantine": 7,
    "limits": 9,
    "evidence": 7,
    "evidence_kpi": 28,
}


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_a_page_costs_a_fixed_number_of_queries(name: str, world: None) -> None:
    client = signed_in("steward")
    address = addresses()[name]
    client.get(address)  # contracts are cached by version

    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address).status_code == 200
        return len(captured)

    before = count()
    for number in range(3):
        run = pages_world.run_made(state="failed", ago_s=number)
        step = pages_world.step_made(run, "orders", rows_in=9)
        file = pages_world.file_made()
        pages_world.drop_made(file)
        step.bronze_files.add(file)
        pages_world.reject_made(file)
        pages_world.quarantined_made(file)
    assert count() == before
    assert before == QUERIES[name]


# --- live -------------------------------------------------------------------------------------------------------------


def test_the_home_page_answers_304_until_something_changes(world: None) -> None:
    client = signed_in("owner")
    first = client.get(reverse("home_live"))
    tag = first.headers["ETag"]
    assert client.get(reverse("home_live"), headers={"If-None-Match": tag}).status_code == 304
    pages_world.run_made(state="running", ago_s=0)
    changed = client.get(reverse("home_live"), headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag
    assert "<html" not in changed.content.decode()


def test_the_page_carries_the_tag_of_its_live_part(world: None) -> None:
    client = signed_in("owner")
    tag = client.get(reverse("home_live")).headers["ETag"]
    assert f'data-etag="{tag.replace(chr(34), "&quot;")}"' in client.get(reverse("admin:index")).content.decode()


def test_a_finished_run_tells_its_page_to_stop_asking(world: None) -> None:
    client = signed_in("oncall")
    done = Run.objects.latest("started_at")
    assert client.get(reverse("run_live", args=[done.uuid])).headers["X-Live-Done"] == "1"
    running = pages_world.run_made(state="running", ago_s=1)
    assert "X-Live-Done" not in client.get(reverse("run_live", args=[running.uuid])).headers


# --- rows held back ---------------------------------------------------------------------------------------------------

SECRET = "Zoë Almeida"


def test_personal_values_are_masked_until_somebody_says_why(world: None) -> None:
    client = signed_in("steward")
    address = addresses()["reject"]
    assert SECRET not in client.get(address).content.decode()
    refused = client.post(address, {"reason": "why"})
    assert refused.status_code == 400
    assert SECRET not in refused.content.decode()
    shown = client.post(address, {"reason": "customer asks about their order"})
    assert SECRET in shown.content.decode()
    assert shown.headers["Cache-Control"] == "no-store"
    entry = AuditEntry.objects.get(action="ui.reveal")
    assert entry.target.startswith("silver_reject:")
    assert SECRET not in str(entry.payload.document)
    assert SECRET not in client.get(address).content.decode()


def test_others_cannot_reveal(world: None) -> None:
    response = signed_in("oncall").post(addresses()["reject"], {"reason": "I would like to see it"})
    assert response.status_code == 403
    assert SECRET not in response.content.decode()
    assert not AuditEntry.objects.filter(action="ui.reveal").exists()


def test_a_value_in_an_unknown_column_is_masked_too(world: None) -> None:
    assert "NOEL-FOR" not in signed_in("steward").get(addresses()["quarantined"]).content.decode()


def test_filters_stand_in_the_address_and_hold_for_csv(world: None) -> None:
    client = signed_in("steward")
    page = client.get(reverse("rejects"), {"rule": "enum:currency"}).content.decode()
    assert "1–4 of 4 rows" in page
    body = b"".join(client.get(reverse("rejects"), {"rule": "enum:currency", "format": "csv"}).streaming_content).decode()  # type: ignore[attr-defined]
    assert len(body.strip().splitlines()) == 5
    assert SECRET not in body


def test_selected_rows_are_queued_and_it_is_recorded(world: None) -> None:
    client = signed_in("steward")
    chosen = list(SilverReject.objects.values_list("pk", flat=True)[:2])
    client.post(reverse("rejects_reprocess"), {"scope": "selected", "rows": chosen})
    assert set(SilverReject.objects.filter(state=HeldState.QUEUED).values_list("pk", flat=True)) == set(chosen)
    assert Work.objects.filter(reason="reprocess").count() == 1
    assert AuditEntry.objects.filter(action="pipeline.reprocess").count() == 1


def test_all_filtered_rows_are_queued_and_no_others(world: None) -> None:
    client = signed_in("owner")
    client.post(reverse("rejects_reprocess"), {"scope": "filtered", "filters": "rule=enum:currency", "reason": "mended"})
    queued = SilverReject.objects.filter(state=HeldState.QUEUED)
    assert queued.count() == 4
    assert all("enum:currency" in row.rules for row in queued)


# --- switches, uploads, search ----------------------------------------------------------------------------------------


def test_a_stop_needs_a_reason_and_is_audited(world: None) -> None:
    client = signed_in("oncall")
    client.post(reverse("switch"), {"scope": "orders", "turn": "stop", "reason": "no"})
    assert not StopSwitch.objects.exists()
    client.post(reverse("switch"), {"scope": "orders", "turn": "stop", "reason": "the source sends nonsense"})
    assert StopSwitch.objects.get().scope == "orders"
    assert "the source sends nonsense" in client.get(reverse("limits")).content.decode()
    client.post(reverse("switch"), {"scope": "orders", "turn": "resume", "reason": "the source is mended"})
    assert not StopSwitch.objects.exists()
    assert list(AuditEntry.objects.order_by("id").values_list("action", flat=True))[-2:] == ["pipeline.stop", "pipeline.resume"]


def test_a_drop_uploaded_in_the_browser_is_checked_at_once(lake_home: object) -> None:
    pages_world.contracts_ready()
    client = signed_in("producer")
    response = client.post(
        reverse("drop_upload"),
        {"dataset": "carriers", "file": SimpleUploadedFile("carriers.csv", b"nonsense\n1\n")},
        follow=True,
    )
    drop = Drop.objects.get()
    assert drop.state == "refused"
    assert response.redirect_chain[-1][0] == reverse("drop", args=[drop.uuid])
    page = response.content.decode()
    assert "Why it was refused" in page
    assert drop.faults[0]["place"] in page


def test_a_refused_drop_says_what_to_do(world: None) -> None:
    drop = Drop.objects.get(state="refused")
    page = signed_in("steward").get(reverse("drop", args=[drop.uuid])).content.decode()
    assert "record 118" in page
    assert "Export the file again, it is cut." in page
    assert drop.kept_uri in page


def test_the_search_finds_pages_figures_drops_and_runs(world: None) -> None:
    client = signed_in("owner")
    run = Run.objects.latest("started_at")
    file = BronzeFile.objects.filter(dataset="orders").latest("id")
    for term, found in (
        ("quarant", reverse("quarantine")),
        ("net rev", reverse("evidence_kpi", args=["net_revenue"])),
        (str(run.uuid)[:8], reverse("run", args=[run.uuid])),
        (file.sha256[:12], reverse("drop", args=[file.drops.latest("id").uuid])),
    ):
        assert found in client.get(reverse("find"), {"q": term}, headers={"HX-Request": "true"}).content.decode(), term


def test_an_empty_installation_says_what_will_appear_and_how() -> None:
    client = signed_in("steward")
    assert "No figures yet" in client.get(reverse("admin:index")).content.decode()
    assert "No run yet" in client.get(reverse("runs")).content.decode()
    assert "No drop yet" in client.get(reverse("drops")).content.decode()
    assert "No row is held back" in client.get(reverse("rejects")).content.decode()
    assert "No figure is defined yet" in client.get(reverse("evidence")).content.decode()


def test_an_unknown_figure_or_day_is_not_found(world: None) -> None:
    client = signed_in("auditor")
    assert client.get(reverse("evidence_kpi", args=["nothing"])).status_code == 404
    assert client.get(reverse("evidence_kpi_day", args=["net_revenue", "yesterday"])).status_code == 404
    assert (
        "No figure was published"
        in client.get(reverse("evidence_kpi_day", args=["net_revenue", "2001-01-01"])).content.decode()
    )
