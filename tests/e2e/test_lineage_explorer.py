"""The lineage explorer and the pages around it in real Chromium: keyboard, redrawing in place, slider, axe, two widths."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlparse

import pytest
from django.urls import reverse

from controlplane.audit.models import AuditEntry
from lineage import services
from lineage.models import Dataset, DatasetVersion, Job, Quarantine
from lineage.views.addresses import dataset_url, job_url, version_url
from lineage.views.state import node_url
from tests.e2e.test_pages_browser import NARROW, sign_in, sweep
from tests.lineage_support import columns, dataset, run_event, run_uuid

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page
    from pytest_django.live_server_helper import LiveServer

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

LONG = (
    "very_long_schema_of_a_spark_application.execute_create_hive_table_as_select_command.warehouse_of_everything_we_sell_daily"
)
DIRECT = {"type": "DIRECT", "subtype": "IDENTITY", "masking": False}
ERROR = {"message": "disk full", "programmingLanguage": "python", "stackTrace": "Traceback (most recent call last):\n  boom"}


@pytest.fixture(scope="session", autouse=True)
def _playwright_beside_django() -> None:
    """Playwright's event loop runs in this thread for as long as the browser does; Django would refuse its database here."""
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


@pytest.fixture
def world(live_server: LiveServer) -> LiveServer:
    """raw → load → clean → publish → mart → report → board, and what Spark would call its jobs and tables."""
    raw = dataset("raw", fields=["id", "email"])
    clean = dataset(
        "clean", fields=["id", "who"], columnLineage=columns(id=[("raw", "id", DIRECT)], who=[("raw", "email", DIRECT)])
    )
    wider = dataset("clean", fields=["id", "who", "since"])
    warehouse = dataset(f"/user/hive/warehouse/{LONG}", namespace="hdfs://cluster-with-a-long-name:8020")
    failed = {"errorMessage": ERROR, "odd": {"a": {"b": [1, None, {}]}}}
    rows = {"outputStatistics": {"rowCount": 120, "size": 4096}}
    mart = {**dataset("mart", fields=["total"]), "outputFacets": rows}
    steps = [
        run_event("load", time=1, run="r1", inputs=[raw], outputs=[clean], job_facets={"sql": {"query": "select id from raw"}}),
        run_event("load", "FAIL", time=50, run="r9", inputs=[raw], outputs=[wider], run_facets=failed),
        run_event("publish", time=10, run="r2", inputs=[dataset("clean")], outputs=[mart]),
        run_event("report", time=20, run="r3", inputs=[dataset("mart")], outputs=[dataset("board")]),
        run_event("watch", time=30, run="r4", inputs=[dataset("board")], outputs=[dataset("alarm")]),
        run_event(LONG, time=40, run="r5", inputs=[dataset("mart")], outputs=[warehouse]),
    ]
    for number, event in enumerate(steps):  # one at a time: each is a moment on the slider
        if number == 3:
            time.sleep(1.1)  # moments of one second are one position
        services.events_ingest(bodies=[event], producer="tests")
        services.pending_project()
    services.events_ingest(bodies=["[1]", '{"eventTime": 1}'], producer="tests")
    return live_server


def open_graph(page: Page, world: LiveServer, node: str = "dataset:shop:mart") -> None:
    page.goto(world.url + node_url(node))
    page.locator("#lin-frame .lin-focus").wait_for()


def labels(page: Page) -> set[str]:
    return {text for text in page.locator("#lin-frame a.lin-node .lin-label").all_text_contents() if text}


def state_of(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlparse(page.url).query)


def addresses() -> dict[str, str]:
    clean, mart = (Dataset.objects.get(name=name) for name in ("clean", "mart"))
    return {
        "start": reverse("lineage"),
        "explorer": f"{node_url('dataset:shop:mart')}&open=dataset:shop:clean&open=dataset:shop:raw&depth=3&overlay=personal",
        "long names": node_url(f"job:etl:{LONG}"),
        "unknown node": node_url("dataset:shop:none"),
        "dataset": dataset_url(clean),
        "versions": dataset_url(clean, "versions"),
        "version": version_url(DatasetVersion.objects.filter(dataset_id=clean.id).latest("first_time")),
        "figures": dataset_url(mart, "figures"),
        "job": job_url(Job.objects.get(name=LONG)),
        "run": reverse("lineage_run", args=[run_uuid("r9")]),
        "datasets": reverse("lineage_datasets"),
        "jobs": reverse("lineage_jobs"),
        "runs": reverse("lineage_runs"),
        "refused": reverse("lineage_refused"),
        "refused event": reverse("lineage_refused_one", args=[Quarantine.objects.latest("id").uuid]),
    }


def test_axe_finds_nothing_serious_and_long_names_do_not_overflow(look: BrowserContext, world: LiveServer) -> None:
    page = look.new_page()
    sign_in(page, world.url, "admin")
    sweep(page, world.url, addresses(), {})


def test_the_graph_expands_folds_and_opens_columns_in_place_and_its_address_says_so(page: Page, world: LiveServer) -> None:
    sign_in(page, world.url, "owner")
    page.goto(f"{world.url}{node_url('dataset:shop:mart')}&depth=1")
    page.evaluate("window.stillTheSamePage = true")
    assert "raw" not in labels(page)
    page.get_by_role("link", name="Show 1 more upstream of clean").first.press("Enter")
    page.locator("#lin-frame .lin-label", has_text="load").wait_for()
    assert state_of(page)["up"] == ["dataset:shop:clean"]
    page.locator("#lin-frame a[aria-label='Open the columns of clean']").press("Enter")
    page.locator("#lin-frame .lin-cname", has_text="who").wait_for()
    page.locator("#lin-frame a[aria-label='Open the columns of raw']").press("Enter")
    page.locator("#lin-frame .lin-cname", has_text="email").wait_for()
    assert page.locator("#flows-title").is_visible(), "the table does not say what the lines between columns say"
    page.locator("#lin-frame a.lin-column[aria-label^='Column who']").focus()
    assert page.locator("#lin-frame .lin-column.lin-on").count() == 2, "a column and what it is made of"
    shared = page.url
    page.locator("#lin-frame a[aria-label='Fold away what is upstream of mart']").press("Enter")
    page.wait_for_function("!document.querySelector('#lin-frame .lin-flow')")
    assert "raw" not in labels(page)
    assert page.evaluate("window.stillTheSamePage") is True, "the page was loaded anew"
    page.goto(shared)
    assert {"raw", "load", "clean", "publish", "mart"} <= labels(page)
    assert page.locator("#lin-frame .lin-flow").count() == 2


def test_the_graph_is_walked_with_the_keyboard_alone(page: Page, world: LiveServer) -> None:
    sign_in(page, world.url, "auditor")
    open_graph(page, world)
    page.locator("#lin-frame").focus()
    page.keyboard.press("Tab")
    active = "document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(active).startswith("Dataset mart")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(active).startswith("Job publish")
    assert page.locator("#lin-frame .lin-item.lin-on").count() >= 3, "the way through the node is not marked"
    stroke = "getComputedStyle(document.activeElement.querySelector('.lin-box')).strokeWidth"
    assert page.evaluate(stroke) == "3px", "the focus cannot be seen"
    width = "document.querySelector('#lin-frame svg').getAttribute('width') * 1"
    before = page.evaluate(width)
    page.keyboard.press("+")
    assert page.evaluate(width) > before
    page.keyboard.press("0")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(active).startswith("Dataset clean")
    page.keyboard.press("c")
    page.locator("#lin-frame .lin-cname", has_text="who").wait_for()
    page.wait_for_function("document.activeElement.closest('#lin-frame .lin-item')")  # where it was, in the new picture
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "lin-frame"
    page.locator("#lin-frame a.lin-node[data-key='dataset:shop:clean']").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**node=dataset%3Ashop%3Aclean**")


def test_names_are_proposed_while_typing(page: Page, world: LiveServer) -> None:
    sign_in(page, world.url, "steward")
    page.goto(f"{world.url}{reverse('lineage')}")
    field = page.get_by_role("combobox", name="Dataset or job")
    field.press_sequentially("boar")
    page.get_by_role("option", name="board").wait_for()
    assert field.get_attribute("aria-expanded") == "true"
    field.press("ArrowDown")
    assert page.locator(f"#{field.get_attribute('aria-activedescendant')}").inner_text().startswith("board")
    field.press("Enter")
    page.wait_for_url("**node=dataset%3Ashop%3Aboard**")


def test_the_slider_shows_the_graph_as_it_was_and_back_leads_to_now(page: Page, world: LiveServer) -> None:
    sign_in(page, world.url, "oncall")
    open_graph(page, world)
    assert "board" in labels(page)
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("Home")
    page.wait_for_function("!document.querySelector(\"#lin-frame [data-key='dataset:shop:board']\")")
    assert "at" in state_of(page)
    assert page.get_by_text("The graph as it was known at").is_visible()
    assert page.evaluate("document.activeElement.id") == "lin-slider", "the slider has lost the focus"
    page.get_by_role("link", name="Now", exact=True).click()
    page.locator("#lin-frame [data-key='dataset:shop:board']").wait_for()


def test_refused_events_are_replayed_and_dismissed_with_a_reason(page: Page, world: LiveServer) -> None:
    sign_in(page, world.url, "steward")
    page.goto(f"{world.url}{reverse('lineage_refused')}")
    page.get_by_role("checkbox", name="Select row").first.check()
    page.get_by_role("button", name="Replay the selected").click()
    page.get_by_text("refused again and still open").wait_for()
    page.get_by_role("link", name="Dismiss all 2 filtered").click()
    dialog = page.get_by_role("dialog")
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    page.get_by_role("link", name="Dismiss all 2 filtered").click()
    dialog.get_by_label("Reason").fill("sent by a test of the producer")
    dialog.get_by_role("button", name="Dismiss 2").click()
    page.get_by_text("2 events were dismissed").wait_for()
    assert set(Quarantine.objects.values_list("state", flat=True)) == {"dismissed"}
    assert AuditEntry.objects.filter(action="lineage.quarantine_dismiss").exists()


def test_the_explorer_is_read_and_used_without_javascript(browser: Browser, world: LiveServer) -> None:
    context = browser.new_context(java_script_enabled=False, viewport=NARROW)  # type: ignore[arg-type]
    page = context.new_page()
    sign_in(page, world.url, "owner")
    page.goto(f"{world.url}{node_url('dataset:shop:mart')}&depth=1")
    page.locator("#lin-table-details").get_by_role("link", name="Show 1 more upstream of clean").first.click()
    page.locator("#lin-table-details").get_by_role("link", name="load", exact=True).first.wait_for()
    context.close()
