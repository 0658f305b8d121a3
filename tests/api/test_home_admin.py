"""The base class of the plain tables: closed and read-only unless it says otherwise."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.test import Client, RequestFactory
from django.urls import reverse

from controlplane.home.sites import TouchstoneSite
from controlplane.ui.admin import TouchstoneAdmin
from pipeline.models import Run
from tests import pages_world

pytestmark = pytest.mark.django_db


def signed_in(role: str) -> Client:
    client = Client()
    client.force_login(pages_world.person(role, password=None))
    return client


def test_the_site_is_ours() -> None:
    assert admin.site.index_title == TouchstoneSite.index_title
    assert admin.site.login_template == "home/login.html"
    assert Client().get("/").headers["Location"].startswith(reverse("admin:login"))


def test_a_table_that_names_no_roles_is_open_to_nobody_but_readers_of_everything() -> None:
    closed = TouchstoneAdmin(Run, admin.site)
    request = RequestFactory().get("/")
    for role, may in (("owner", False), ("steward", False), ("auditor", True), ("admin", True)):
        request.user = pages_world.person(role, password=None)
        assert closed.has_view_permission(request) is may, role
        assert not closed.has_add_permission(request)
        assert not closed.has_change_permission(request)
        assert not closed.has_delete_permission(request)


def test_a_producer_sees_no_table() -> None:
    assert signed_in("producer").get(reverse("admin:pipeline_run_changelist")).status_code == 403


@pytest.mark.parametrize("model", ["run", "step", "drop", "bronzefile", "work", "datasetstate", "kpivalue", "stopswitch"])
def test_every_table_of_the_pipeline_opens_and_offers_no_change(model: str) -> None:
    pages_world.world(runs=2, rejects=1, quarantined=1)
    client = signed_in("admin")
    page = client.get(reverse(f"admin:pipeline_{model}_changelist"))
    assert page.status_code == 200
    assert client.get(reverse(f"admin:pipeline_{model}_add")).status_code == 403
    assert "delete_selected" not in page.content.decode()


def test_the_selected_rows_come_as_csv_without_markup() -> None:
    run = pages_world.run_made(trigger="=cmd()")
    answer = signed_in("auditor").post(
        reverse("admin:pipeline_run_changelist"), {"action": "export_csv", "_selected_action": [run.pk]}
    )
    lines = b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert lines[0].startswith("State,")
    assert lines[1].startswith("succeeded,'=cmd(),")
    assert str(run.uuid) in lines[1]
    assert "<" not in lines[1]


def test_one_row_is_shown_read_only() -> None:
    run = pages_world.run_made()
    page = signed_in("owner").get(reverse("admin:pipeline_run_change", args=[run.pk])).content.decode()
    assert run.correlation_id in page
    assert 'name="_save"' not in page
