"""The pages in real Chromium: by role, by keyboard, at two widths, light and dark, with axe-core."""

from __future__ import annotations

import os
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from axe_core_python.sync_playwright import Axe
from django.urls import reverse
from django.utils import timezone

from pipeline.models import DatasetState, Drop, KpiValue, Run, SilverReject, Step
from pipeline.selectors_kpi import business_today
from tests import pages_world

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page
    from pytest_django.live_server_helper import LiveServer

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

WCAG = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}}
NARROW, WIDE = {"width": 360, "height": 780}, {"width": 1440, "height": 900}


@pytest.fixture(scope="session", autouse=True)
def _playwright_beside_django() -> None:
    """Playwright's event loop runs in this thread for as long as the browser does; Django would refuse its database here."""
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


@pytest.fixture
def world(live_server: LiveServer) -> LiveServer:
    pages_world.world(runs=6, rejects=60)
    return live_server


def sign_in(page: Page, base: str, role: str) -> None:
    person = pages_world.person(role)
    page.goto(f"{base}/login/")
    page.get_by_label("User name").fill(person.username)
    page.get_by_label("Password").fill(pages_world.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{base}/")


def faults(page: Page) -> list[str]:
    """Serious and critical findings of axe-core on the page as it stands."""
    found = Axe().run(page, options=WCAG)["violations"]
    return [
        f"{one['id']} ({one['impact']}): {one['help']}: {[node['html'][:160] for node in one['nodes'][:3]]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def addresses() -> dict[str, str]:
    return {
        "home": "/",
        "runs": reverse("runs"),
        "run": reverse("run", args=[Run.objects.get(state="failed").uuid]),
        "drops": reverse("drops"),
        "drop": reverse("drop", args=[Drop.objects.get(state="refused").uuid]),
        "long name": reverse("drop", args=[Drop.objects.filter(filename=pages_world.LONG).latest("id").uuid]),
        "upload": reverse("drop_upload"),
        "rejects": reverse("rejects"),
        "reject": reverse("reject", args=[SilverReject.objects.latest("id").pk]),
        "quarantine": reverse("quarantine"),
        "limits": reverse("limits"),
        "system": reverse("system"),
        "evidence": reverse("evidence"),
        "figure": reverse("evidence_kpi", args=["net_revenue"]),
        "search": reverse("find") + "?q=orders",
        "records": reverse("admin:records"),
        "admin list": reverse("admin:accounts_user_changelist"),
    }


def sweep(page: Page, url: str, pages: dict[str, str], found: dict[str, list[str]]) -> None:
    """Open the pages at two widths: axe finds nothing serious (nor did it in ``found``), nothing overflows, no script fails."""
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    for width in (WIDE, NARROW):
        page.set_viewport_size(width)  # type: ignore[arg-type]
        for name, address in pages.items():
            answer = page.goto(url + address)
            assert answer is not None
            assert answer.ok, f"{name}: {answer.status}"
            found[f"{name} at {width['width']}"] = faults(page)
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, f"{name} is {wide} px too wide at {width['width']} px"
    assert {name: list_ for name, list_ in found.items() if list_} == {}
    assert broken == []


def test_axe_finds_nothing_serious_and_nothing_overflows(look: BrowserContext, world: LiveServer) -> None:
    page = look.new_page()
    page.goto(f"{world.url}/login/")
    found = {"sign-in": faults(page)}
    sign_in(page, world.url, "admin")
    sweep(page, world.url, addresses(), found)


@pytest.mark.parametrize(
    ("role", "question"),
    [
        ("owner", "Are my promises kept?"),
        ("dpo", "What is due?"),
        ("auditor", "What can I verify?"),
        ("oncall", "What is broken"),
    ],
)
def test_each_role_signs_in_and_finds_its_home(page: Page, world: LiveServer, role: str, question: str) -> None:
    sign_in(page, world.url, role)
    assert page.locator("[data-kpi]").count() == 6
    assert page.get_by_role("heading", name=question).is_visible()
    assert page.get_by_role("link", name="People").count() == (1 if role == "auditor" else 0)


def test_a_wrong_password_is_told_apart_from_nothing(page: Page, world: LiveServer) -> None:
    page.goto(f"{world.url}/login/")
    page.get_by_label("User name").fill("nobody")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    assert page.get_by_role("alert").is_visible()
    assert page.get_by_label("User name").input_value() == "nobody"


def test_an_open_page_shows_a_new_value_within_five_seconds_without_a_reload(page: Page, world: LiveServer) -> None:
    sign_in(page, world.url, "owner")
    page.evaluate("window.stillTheSamePage = true")
    opened = page.locator("#kpi-data-net_revenue")
    opened.locator("summary").click()
    step = Step.objects.filter(dataset="kpi_net_revenue").latest("id")
    newer = pages_world.step_made(pages_world.run_made(state="failed"), step.dataset)
    KpiValue.objects.create(
        kpi="net_revenue", business_date=business_today(), value=Decimal("123456"), as_of=timezone.now(),
        computed_at=timezone.now(), step=newer,
    )  # fmt: skip
    DatasetState.objects.filter(dataset="kpi_net_revenue").update(refreshed_at=timezone.now())
    page.locator("[data-kpi=net_revenue] [data-kpi-value]", has_text="123,456").wait_for(timeout=5_000)
    assert page.evaluate("window.stillTheSamePage") is True
    assert opened.get_attribute("open") is not None, "what the reader had opened was closed"
    assert page.locator("[data-live-mark]").get_attribute("data-state") == "live"


def test_selected_text_is_not_pulled_away(page: Page, world: LiveServer) -> None:
    sign_in(page, world.url, "owner")
    value = page.locator("[data-kpi=net_revenue] [data-kpi-value]")
    before = value.inner_text()
    value.select_text()
    DatasetState.objects.filter(dataset="kpi_net_revenue").update(refreshed_at=timezone.now() - timedelta(hours=1))
    page.locator("[data-live-mark][data-state=held]").wait_for(timeout=8_000)
    assert value.inner_text() == before
    page.evaluate("getSelection().removeAllRanges()")
    page.locator("[data-kpi=net_revenue] .ts-bad").wait_for(timeout=8_000)


def test_a_run_is_followed_to_its_end(page: Page, world: LiveServer) -> None:
    sign_in(page, world.url, "oncall")
    run = pages_world.run_made(state="running", ago_s=2, trigger="2 new drops")
    first = pages_world.step_made(run, "orders", state="running")
    pages_world.step_made(run, "fact_order", state="waiting")
    page.goto(world.url + reverse("run", args=[run.uuid]))
    assert page.get_by_role("progressbar").get_attribute("aria-valuenow") == "0"
    Step.objects.filter(pk=first.pk).update(state="succeeded", finished_at=timezone.now(), rows_in=240)
    page.locator("[role=progressbar][aria-valuenow='50']").wait_for(timeout=5_000)
    run.steps.update(state="succeeded", finished_at=timezone.now())
    Run.objects.filter(pk=run.pk).update(state="succeeded", finished_at=timezone.now())
    page.locator(".ts-facts .ts-state", has_text="Succeeded").wait_for(timeout=5_000)
    page.wait_for_function("!document.querySelector('[data-live]')")


def test_everything_is_reached_by_keyboard(page: Page, world: LiveServer) -> None:
    sign_in(page, world.url, "steward")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.keyboard.press("Control+k")
    dialog = page.get_by_role("dialog", name="Search")
    assert dialog.is_visible()
    page.keyboard.type("quarantine")
    dialog.get_by_role("link", name="Quarantine").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/quarantine/")
    page.goto(f"{world.url}/rejects/")
    page.get_by_role("checkbox", name="Select row").first.focus()
    page.keyboard.press("Space")
    assert page.get_by_text("1 selected").is_visible()
    page.get_by_role("button", name="Reprocess the selected").focus()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none", "the focus cannot be seen"
    page.keyboard.press("Enter")
    page.get_by_text("1 row will be tried again in the next run").wait_for()


def test_all_filtered_rows_are_reprocessed_only_after_a_confirmation(page: Page, world: LiveServer) -> None:
    sign_in(page, world.url, "steward")
    page.goto(f"{world.url}/rejects/?rule=enum:currency")
    page.get_by_role("link", name="Reprocess all 20 filtered").click()
    dialog = page.get_by_role("dialog")
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert SilverReject.objects.filter(state="open").count() == 60
    page.get_by_role("link", name="Reprocess all 20 filtered").click()
    dialog.get_by_role("button", name="Reprocess 20").click()
    page.get_by_text("20 rows will be tried again in the next run").wait_for()
    assert SilverReject.objects.filter(state="queued").count() == 20


def test_the_chosen_theme_holds_on_the_next_page_from_its_first_paint(page: Page, world: LiveServer) -> None:
    sign_in(page, world.url, "owner")
    assert "dark" not in (page.locator("html").get_attribute("class") or "")
    page.locator("details.ts-user summary").click()
    page.get_by_role("button", name="Dark").click()
    assert "dark" in (page.locator("html").get_attribute("class") or "")
    page.goto(f"{world.url}/runs/", wait_until="commit")
    page.wait_for_selector("body")
    assert "dark" in (page.locator("html").get_attribute("class") or "")


def test_the_menu_opens_and_closes_on_a_telephone(page: Page, world: LiveServer) -> None:
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    sign_in(page, world.url, "owner")
    menu = page.get_by_role("complementary", name="Main")
    assert not menu.is_visible()
    page.get_by_role("button", name="Open the menu").press("Enter")
    menu.get_by_role("link", name="Runs", exact=True).wait_for()
    page.keyboard.press("Escape")
    page.wait_for_function("!document.documentElement.classList.contains('ts-nav-open')")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Open the menu"


def test_pages_can_be_read_and_used_without_javascript(browser: Browser, world: LiveServer) -> None:
    context = browser.new_context(java_script_enabled=False, viewport=NARROW)  # type: ignore[arg-type]
    page = context.new_page()
    sign_in(page, world.url, "steward")
    assert page.locator("[data-kpi]").first.is_visible()
    assert page.get_by_role("link", name="Quarantine", exact=True).is_visible()
    page.goto(f"{world.url}/rejects/")
    page.get_by_label("Rule").fill("enum:currency")
    page.get_by_role("button", name="Apply").click()
    assert page.get_by_text("1–20 of 20 rows").is_visible()
    context.close()


def test_a_figure_is_traced_to_a_file_in_three_clicks(page: Page, world: LiveServer) -> None:
    sign_in(page, world.url, "auditor")
    page.get_by_role("link", name="Net Revenue").first.click()
    page.get_by_role("heading", name="Net Revenue").wait_for()
    page.locator("#files-orders").get_by_role("link", name="orders_0.csv").click()
    page.get_by_role("heading", name="orders_0.csv").wait_for()
    assert page.get_by_text("What became of it").is_visible()
