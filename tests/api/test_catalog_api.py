"""The catalog over HTTP: who may read and import, and how refusals look."""

from __future__ import annotations

from pathlib import Path

import pytest
from rest_framework.test import APIClient

from catalog import registry, services
from controlplane.accounts import services as accounts

pytestmark = pytest.mark.django_db
DATA = Path(__file__).parents[1] / "data"
ORDERS = (DATA / "catalog_orders.odcs.yaml").read_text()
CUSTOMERS = (DATA / "catalog_customers.odcs.yaml").read_text()
NEWER = ORDERS.replace("version: 1.0.0", "version: 1.1.0").replace("value: 15", "value: 20")


def client_of(username: str, *roles: str) -> APIClient:
    client = APIClient()
    client.force_authenticate(accounts.user_create(username=username, password=None, roles=roles, actor=None))
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
    services.contract_import(text=CUSTOMERS, actor=None)
    return services.contract_import(text=ORDERS, actor=None)


def send(client: APIClient, text: str, **params: str):
    query = "&".join(f"{name}={value}" for name, value in params.items())
    return client.post(f"/api/v1/contracts?{query}", data=text.encode(), content_type="application/yaml")


@pytest.mark.parametrize(
    "address", ["products", "products/orders", "datasets", "datasets/orders", "contracts", "contracts/orders"]
)
def test_people_who_are_not_signed_in_read_nothing(world, address):
    assert APIClient().get(f"/api/v1/{address}").status_code in {401, 403}


@pytest.mark.parametrize("role", ["owner", "steward", "oncall", "dpo", "auditor", "producer", "admin"])
def test_every_role_reads(world, role):
    client = client_of(f"a_{role}", role)
    for address in ("products", "products/orders", "datasets", "datasets/orders", "contracts", "contracts/orders"):
        assert client.get(f"/api/v1/{address}").status_code == 200, address


def test_somebody_without_a_role_reads_nothing(world):
    assert client_of("nobody").get("/api/v1/products").status_code == 403


def test_products_are_filtered_and_counted(world, outsider):
    answer = outsider.get("/api/v1/products?domain=sales").json()
    assert (answer["count"], answer["results"][0]["key"], answer["results"][0]["owner"]) == (1, "orders", "olivia")
    assert answer["results"][0]["promise"]["state"] == "unknown"
    assert outsider.get("/api/v1/products?owner=olivia&state=draft").json()["count"] == 0


def test_a_promise_measured_by_a_higher_app_is_shown(world, owner, monkeypatch):
    late = registry.PromiseState("late", "by 4 min")
    monkeypatch.setattr(registry, "_sources", [lambda products: {one.pk: late for one in products if one.key == "orders"}])
    assert owner.get("/api/v1/products/orders").json()["promise"] == {"state": "late", "text": "by 4 min", "as_of": None}
    assert owner.get("/api/v1/products/customers").json()["promise"]["state"] == "unknown"


def test_a_dataset_shows_its_columns_with_their_sensitivity(world, owner):
    answer = owner.get("/api/v1/datasets/orders").json()
    assert answer["contract_version"] == "1.0.0"
    column = next(one for one in answer["fields"] if one["name"] == "customer_id")
    assert (column["classification"], column["pii"], column["required"]) == ("high", "user.unique_id", True)


def test_a_contract_is_read_as_yaml_and_as_json(world, owner):
    yaml = owner.get("/api/v1/contracts/orders", headers={"Accept": "application/yaml"})
    assert (yaml.content.decode(), yaml["Content-Type"]) == (ORDERS, "application/yaml; charset=utf-8")
    assert owner.get("/api/v1/contracts/orders?format=yaml").content.decode() == ORDERS
    json = owner.get("/api/v1/contracts/orders").json()
    assert json["document"]["schema"][0]["name"] == "orders"
    assert "order_id" in json["record_schema"]["required"]


def test_what_is_not_there_answers_404(owner):
    for address in ("products/x", "datasets/x", "contracts/x", "contracts/x?version=1.0.0"):
        assert owner.get(f"/api/v1/{address}").status_code == 404


@pytest.mark.parametrize(("who", "status"), [("owner", 201), ("teammate", 201), ("outsider", 403)])
def test_owner_and_steward_import_and_outsiders_do_not(world, request, who, status):
    answer = send(request.getfixturevalue(who), NEWER, base_version="1.0.0")
    assert answer.status_code == status
    if status == 403:
        assert "belongs to olivia" in answer.json()["detail"]


@pytest.mark.parametrize("role", ["oncall", "dpo", "auditor", "producer"])
def test_other_roles_do_not_import(world, role):
    assert send(client_of(f"a_{role}", role), NEWER, base_version="1.0.0").status_code == 403


def test_an_admin_imports_anything(world):
    assert send(client_of("root", "admin"), NEWER, base_version="1.0.0").status_code == 201


def test_the_same_text_again_answers_200(world, owner):
    assert send(owner, ORDERS).status_code == 200


def test_a_missing_base_answers_409_with_the_difference(world, owner):
    answer = send(owner, NEWER)
    assert answer.status_code == 409
    assert "+  - {property: freshness, value: 20, unit: min}" in answer.json()["diff"]
    assert answer.json()["current"] == "1.0.0"


def test_too_small_a_version_answers_409_with_the_changes(world, owner):
    text = ORDERS.replace("version: 1.0.0", "version: 1.0.1").replace("value: 15", "value: 20")
    answer = send(owner, text, base_version="1.0.0")
    assert answer.status_code == 409
    assert answer.json()["changes"] == ["compatible: SLA freshness_s: 900 → 1200"]


def test_faults_answer_422_with_lines(world, owner):
    answer = send(owner, ORDERS.replace("logicalType: integer", "logicalType: int"), base_version="1.0.0")
    assert answer.status_code == 422
    [fault] = answer.json()["faults"]
    assert (fault["line"], fault["column"]) == (66, 22)


def test_a_dry_run_imports_nothing(world, owner):
    answer = send(owner, NEWER, base_version="1.0.0", dry_run="true")
    assert (answer.status_code, answer.json()["version"]) == (200, "1.1.0")
    assert owner.get("/api/v1/contracts/orders").json()["version"] == "1.0.0"


def test_an_admin_key_imports_and_an_owner_key_does_not(world):
    for role, status in (("owner", 403), ("admin", 201)):
        _, secret = accounts.apikey_create(name=f"k-{role}", role=role, namespaces=["*"], actor=None)
        client = APIClient(headers={"Authorization": f"Bearer {secret}"})
        assert send(client, NEWER, base_version="1.0.0").status_code == status


def test_a_list_of_products_costs_the_same_queries_for_any_number(world, owner, django_assert_max_num_queries):
    with django_assert_max_num_queries(6):
        owner.get("/api/v1/products")
