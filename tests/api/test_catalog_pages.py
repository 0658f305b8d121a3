"""The catalog's pages: who sees them, who edits, what an edit does."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client

from catalog import selectors, services
from catalog.models import DataProduct
from controlplane.accounts import services as accounts

pytestmark = pytest.mark.django_db
DATA = Path(__file__).parents[1] / "data"
ORDERS = (DATA / "catalog_orders.odcs.yaml").read_text()
NEWER = ORDERS.replace("version: 1.0.0", "version: 1.1.0").replace("value: 15", "value: 20")
PAGES = (
    "/products/",
    "/products/?format=csv",
    "/products/orders/",
    "/products/orders/history/",
    "/datasets/",
    "/datasets/orders/",
    "/datasets/orders/history/",
    "/contracts/orders/1.0.0/",
)


def client_of(username: str, *roles: str) -> Client:
    client = Client()
    client.force_login(accounts.user_create(username=username, password=None, roles=roles, actor=None))
    return client


@pytest.fixture
def owner():
    return client_of("olivia", "owner")


@pytest.fixture
def teammate():
    return client_of("stefan", "steward")


@pytest.fixture
def outsider():
    return client_of("mallory", "owner")


@pytest.fixture
def world(owner, teammate):
    services.contract_import(text=(DATA / "catalog_customers.odcs.yaml").read_text(), actor=None)
    return services.contract_import(text=ORDERS, actor=None)


def form(**changes: str) -> dict[str, str]:
    return {"base": "1.0.0", "purpose": "Orders.", "freshness": "15 min", "retention": "90 d", "links": "", **changes}


@pytest.mark.parametrize("address", PAGES)
def test_people_who_are_not_signed_in_are_sent_to_the_sign_in_page(world, address):
    assert Client().get(address).status_code == 302


@pytest.mark.parametrize("role", ["owner", "oncall", "dpo", "auditor", "producer", "admin"])
def test_every_role_reads_every_page(world, role):
    client = client_of(f"a_{role}", role)
    for address in PAGES:
        assert client.get(address).status_code == 200, address


def test_the_product_page_says_unknown_while_nothing_measures_the_promise(world, outsider):
    page = outsider.get("/products/orders/").content.decode()
    assert "Unknown" in page
    assert "at most 15" in page
    assert "Edit the description" not in page


def test_the_dataset_page_shows_types_and_sensitivity(world, outsider):
    page = outsider.get("/datasets/orders/").content.decode()
    assert "decimal(18,2)" in page
    assert "user.unique_id" in page
    assert "dispatch_window" in page


def test_what_is_not_there_answers_404(owner):
    for address in ("/products/x/", "/datasets/x/", "/contracts/x/1.0.0/", "/products/orders/nonsense/", "/contracts/x/edit/"):
        assert owner.get(address).status_code == 404, address


@pytest.mark.parametrize(("who", "status"), [("owner", 302), ("teammate", 302), ("outsider", 403)])
@pytest.mark.parametrize("address", ["/products/orders/edit/", "/contracts/orders/edit/"])
def test_owner_and_steward_edit_and_outsiders_do_not(world, request, who, status, address):
    client = request.getfixturevalue(who)
    assert client.get(address).status_code == (403 if status == 403 else 200)
    data = form() if "contracts" in address else {"name": "Orders", "description": "All of them", "state": "published"}
    assert client.post(address, data).status_code == status


@pytest.mark.parametrize("role", ["auditor", "dpo", "oncall", "producer"])
def test_other_roles_do_not_edit(world, role):
    client = client_of(f"a_{role}", role)
    assert client.post("/products/orders/edit/", {"name": "x", "state": "draft"}).status_code == 403
    assert client.post("/contracts/orders/edit/", form()).status_code == 403


def test_an_edit_of_the_promise_makes_a_minor_version_and_shows_the_difference(world, owner):
    owner.post("/contracts/orders/edit/", form(freshness="10 min", links="https://wiki.example/orders Wiki of orders"))
    contract = selectors.contract_current("orders")
    assert (contract.version, contract.sla.freshness_s, contract.description) == ("1.1.0", 600, "Orders.")
    page = owner.get("/contracts/orders/1.1.0/").content.decode()
    assert "SLA freshness_s" in page
    assert "+  - {property: freshness, value: 10, unit: min}" in page


def test_an_edit_of_an_older_version_is_refused_with_the_difference(world, owner):
    services.contract_import(text=NEWER, actor=None, base_version="1.0.0")
    answer = owner.post("/contracts/orders/edit/", form(freshness="30 min"))
    assert answer.status_code == 409
    assert "imported version 1.1.0 while you were editing" in answer.content.decode()
    assert selectors.contract_current("orders").version == "1.1.0"


@pytest.mark.parametrize(
    ("field", "value"), [("freshness", "soon"), ("retention", "3 months"), ("links", "javascript:alert(1)")]
)
def test_a_value_that_cannot_be_read_is_named_and_nothing_is_saved(world, owner, field, value):
    answer = owner.post("/contracts/orders/edit/", form(**{field: value}))
    assert answer.status_code == 400
    assert 'aria-invalid="true"' in answer.content.decode()
    assert selectors.contract_current("orders").version == "1.0.0"


def test_text_of_people_is_escaped(world, owner):
    DataProduct.objects.filter(key="orders").update(description="<script>alert(1)</script>", name="<b>x</b>")
    for address in ("/products/", "/products/orders/"):
        page = owner.get(address).content.decode()
        assert "<script>alert(1)" not in page
        assert "<b>x</b>" not in page


def test_a_dataset_that_only_events_know_has_a_page(owner):
    found = services.dataset_upsert_from_event(namespace="s3://x", name="raw/clicks", fields=[services.EventField("id", "int")])
    page = owner.get(f"/datasets/{found.uuid}/").content.decode()
    assert "raw/clicks" in page
    assert "not classified" in page


def test_the_product_page_costs_a_fixed_number_of_queries(world, owner, django_assert_max_num_queries):
    owner.get("/products/orders/")
    with django_assert_max_num_queries(8):
        owner.get("/products/orders/")
