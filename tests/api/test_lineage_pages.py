"""Pages of the lineage app."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from django.test import Client
from django.urls import reverse

from controlplane.accounts import services as accounts
from controlplane.audit.models import AuditEntry
from controlplane.ui import registry
from controlplane.ui.registry import Mark
from lineage import services
from lineage.domain.drawing import Box, draw, shortened
from lineage.models import Dataset, DatasetVersion, Quarantine
from lineage.views.addresses import version_url
from tests.lineage_support import columns, dataset, run_event, run_uuid

pytestmark = pytest.mark.django_db


def signed_in(*roles: str) -> Client:
    user = accounts.user_create(username="-".join(roles) or "nobody", password=None, roles=roles, actor="tests")
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture(autouse=True)
def _world() -> None:
    evil = dataset("<script>alert(1)</script>", fields=["a"], columnLineage=columns(a=[("raw", "email")]))
    events = [
        run_event("load", "START", run="r1", inputs=[dataset("raw", fields=["email"])]),
        run_event("load", "FAIL", time=3, run="r1", outputs=[evil], run_facets={"errorMessage": {"message": "disk full"}}),
        run_event("next", time=5, run="r2", inputs=[evil], outputs=[dataset("mart")]),
    ]
    services.events_ingest(bodies=events, producer="tests")
    services.pending_project()


def page(client: Client, url: str, **params: Any) -> str:
    answer = client.get(url, params)
    assert answer.status_code == 200, answer.content[:500]
    return answer.content.decode()


def test_the_page_without_a_node_lists_what_was_heard_of_last_and_searches() -> None:
    client = signed_in("owner")
    assert "raw" in page(client, "/lineage/")
    found = page(client, "/lineage/", q="RAW")
    assert quote("dataset:shop:raw") in found
    assert "Nothing has this in its name" in page(client, "/lineage/", q="no such thing")


def test_the_picture_is_links_with_words_and_a_table_that_says_the_same() -> None:
    html = page(signed_in("auditor"), "/lineage/", node="dataset:shop:raw", depth="3")
    start = html.index('<svg class="lin-svg"')
    svg = ElementTree.fromstring(html[start : html.index("</svg>", start) + 6])
    space = "{http://www.w3.org/2000/svg}"
    labels = {link.get("aria-label") for link in svg.iter(f"{space}a")}
    assert "Job load, Failed" in labels
    assert "Dataset raw" in labels
    assert svg.find(f"{space}title") is not None
    assert "5 datasets" not in (svg.findtext(f"{space}desc") or "")
    assert all(link.get("href", "").startswith("/lineage/?") for link in svg.iter(f"{space}a"))
    assert "The same as a table" in html


def test_names_from_outside_are_text_everywhere() -> None:
    client = signed_in("owner")
    for url in ("/lineage/?node=dataset:shop:raw", "/lineage/?q=script", "/lineage/events/", f"/lineage/runs/{run_uuid('r2')}"):
        assert "<script>alert(1)" not in page(client, url)
    assert "is missing" not in page(client, "/lineage/", node="dataset:shop:<script>alert(1)</script>")


def test_a_picture_that_was_cut_says_so_and_leads_on() -> None:
    html = page(signed_in("owner"), "/lineage/", node="dataset:shop:raw", depth="1")
    assert "More exists than is shown" in html
    assert "lin-more" in html


def test_the_graph_at_a_moment_before_everything_is_the_node_alone() -> None:
    html = page(signed_in("owner"), "/lineage/", node="dataset:shop:raw", at="2001-01-01T00:00")
    assert "as it was known at 1 Jan 2001, 00:00:00" in html
    assert "Nothing is connected to it" in html


def test_a_node_that_nobody_named_is_explained_not_a_404() -> None:
    html = page(signed_in("owner"), "/lineage/", node="dataset:shop:none")
    assert "no event names dataset:shop:none" in html
    assert page(signed_in("steward"), "/lineage/", node="?", depth="x", direction="y", at="z", overlay="none")


def test_an_overlay_marks_the_nodes_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry._registry, "overlays", {})

    @registry.overlay("fresh", title="Freshness", legend="Late datasets are red.")
    def fresh(nodes: Any) -> dict[str, Mark]:
        return {node: Mark("late", "Late by 4 min") for node in nodes if node == "dataset:shop:raw"}

    html = page(signed_in("oncall"), "/lineage/", node="dataset:shop:raw", overlay="fresh")
    assert "Late by 4 min" in html
    assert "Late datasets are red." in html


def test_a_run_shows_its_state_datasets_error_and_events() -> None:
    html = page(signed_in("oncall"), f"/lineage/runs/{run_uuid('r1')}")
    for words in ("Failed", "disk full", "raw", "START"):
        assert words in html
    assert signed_in("owner").get(f"/lineage/runs/{run_uuid('other')}").status_code == 404


def test_the_pages_are_for_people_with_a_role() -> None:
    stranger, producer = signed_in(), signed_in("producer")
    for url in ("/lineage/", "/lineage/events/", f"/lineage/runs/{run_uuid('r1')}"):
        assert Client().get(url).status_code == 302
        assert stranger.get(url).status_code == 403
        assert producer.get(url).status_code == 403


def test_the_lists_are_read_only_and_refused_bodies_are_not_for_everyone() -> None:
    owner, oncall = signed_in("owner"), signed_in("oncall")
    for name in ("dataset", "job", "run"):
        assert "raw" in page(owner, f"/lineage/{name}/") or name != "dataset"
        assert owner.get(f"/lineage/{name}/add/").status_code == 403
    services.events_ingest(bodies=["[1]"], producer="tests")
    assert owner.get("/lineage/quarantine/").status_code == 403
    assert "an event is an object" in page(oncall, "/lineage/quarantine/")


@pytest.mark.parametrize("depth", ["1", "10"])
def test_the_page_asks_the_database_a_fixed_number_of_times(depth: str, django_assert_max_num_queries: Any) -> None:
    client = signed_in("owner")
    page(client, "/lineage/", node="dataset:shop:raw", depth=depth)
    with django_assert_max_num_queries(40):
        page(client, "/lineage/", node="dataset:shop:raw", depth=depth)


def test_three_hundred_boxes_are_drawn_without_a_colour_of_their_own() -> None:
    boxes = [
        Box(f"n:{index}", "job" if index % 2 else "dataset", f"name {index}", f"name {index}", "#") for index in range(300)
    ]
    svg = draw(boxes, [(f"n:{index // 2}", f"n:{index}") for index in range(1, 300)], title="T", description="D")
    assert svg.count("<a ") == 300
    assert svg.count('class="lin-edge"') == 299
    assert "#000" not in svg
    assert "fill=" not in svg
    ElementTree.fromstring(svg)


def test_an_empty_graph_and_a_loop_can_be_drawn() -> None:
    ElementTree.fromstring(draw([], [], title="T", description="D"))
    box = Box("a", "dataset", "a", "a", "#", focus=True)
    ElementTree.fromstring(draw([box], [("a", "a"), ("a", "gone")], title="<T>", description="&"))


def test_long_names_keep_both_ends() -> None:
    assert shortened("short", 10) == "short"
    text = shortened("s3://bucket/a/very/long/path/orders_daily", 20)
    assert len(text) == 20
    assert text.startswith("s3://")
    assert text.endswith("orders_daily")


def test_a_version_says_what_changed_since_the_one_before() -> None:
    events = [
        run_event("load", time=9, run="r7", outputs=[dataset("grown", fields=["id", "old"])]),
        run_event("load", time=10, run="r8", outputs=[dataset("grown", fields=["id", "fresh"])]),
    ]
    services.events_ingest(bodies=events, producer="tests")
    services.pending_project()
    row = Dataset.objects.get(name="grown")
    html = page(signed_in("steward"), version_url(DatasetVersion.objects.filter(dataset_id=row.id).latest("first_time")))
    changed = html[html.index("What changed") : html.index("Schema of this version")]
    assert "Added" in changed
    assert "fresh" in changed
    assert "Removed" in changed
    assert "old" in changed
    assert "<code>id</code>" not in changed


def test_filters_keep_what_matches_and_the_node_in_the_middle() -> None:
    client = signed_in("owner")
    shown = page(client, "/lineage/", node="dataset:shop:raw", depth="3", namespace="nowhere")
    assert 'data-key="dataset:shop:mart"' not in shown
    assert 'data-key="dataset:shop:raw"' in shown
    assert 'data-key="dataset:shop:mart"' in page(client, "/lineage/", node="dataset:shop:raw", depth="3", namespace="shop")


def test_refused_events_are_closed_to_those_who_need_not_see_them_and_bodies_need_a_reason() -> None:
    services.events_ingest(bodies=['["somebody@example.org"]'], producer="tests")
    item = Quarantine.objects.get()
    one, act = reverse("lineage_refused_one", args=[item.uuid]), reverse("lineage_refused_act")
    dismissal = {"events": str(item.pk), "action": "dismiss", "reason": "sent by a test"}
    assert signed_in("owner").get(one).status_code == 403
    dpo = signed_in("dpo")
    assert "somebody@" not in page(dpo, one)
    assert "somebody@" not in dpo.post(one, {"reason": "short"}).content.decode()
    assert "somebody@" in dpo.post(one, {"reason": "a subject asks for access"}).content.decode()
    assert AuditEntry.objects.filter(action="ui.reveal").exists()
    assert dpo.post(act, dismissal).status_code == 403
    oncall = signed_in("oncall")
    oncall.post(act, {**dismissal, "reason": "no"})
    item.refresh_from_db()
    assert item.state == "open"
    oncall.post(act, dismissal)
    item.refresh_from_db()
    assert item.state == "dismissed"
    assert AuditEntry.objects.filter(action="lineage.quarantine_dismiss").exists()
