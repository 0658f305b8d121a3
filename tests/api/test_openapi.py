"""The API's description: whole, and for everybody with a role."""

from __future__ import annotations

import pytest
from django.test import Client

from controlplane.accounts import services as accounts
from controlplane.accounts.roles import Role

pytestmark = pytest.mark.django_db


def bearer(role: str) -> dict[str, str]:
    _, secret = accounts.apikey_create(name=f"{role}-reader", role=role, namespaces=["*"], actor=None)
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.parametrize("role", list(Role))
def test_every_role_reads_the_schema_with_its_key(client: Client, role: Role) -> None:
    answer = client.get("/api/schema?format=json", headers=bearer(role))
    assert answer.status_code == 200
    assert answer.json()["openapi"].startswith("3.")


def test_nobody_reads_it_without_signing_in(client: Client) -> None:
    assert client.get("/api/schema").status_code == 401
    assert client.get("/api/docs").status_code == 302


def test_every_operation_has_a_tag_a_description_and_a_name_of_its_own(client: Client) -> None:
    paths = client.get("/api/schema?format=json", headers=bearer("auditor")).json()["paths"]
    operations = [operation for methods in paths.values() for operation in methods.values()]
    assert [one["operationId"] for one in operations if not one.get("tags") or not one.get("description")] == []
    names = [one["operationId"] for one in operations]
    assert len(names) == len(set(names))
    for wanted in ("/api/v1/kpis", "/api/v1/drops/{dataset}", "/api/trust/metrics/export", "/api/v1/lineage/batch"):
        assert wanted in paths


def test_schema_says_how_keys_are_sent(client: Client) -> None:
    document = client.get("/api/schema?format=json", headers=bearer("owner")).json()
    assert document["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    assert {"apiKey": []} in document["paths"]["/api/v1/kpis"]["get"]["security"]


def test_browsable_page_loads_nothing_from_elsewhere_and_has_no_inline_script(client: Client) -> None:
    client.force_login(accounts.user_create(username="ines", password=None, roles=["auditor"], actor=None))
    page = client.get("/api/docs")
    assert page.status_code == 200
    text = page.content.decode()
    assert "//cdn" not in text
    assert "https://" not in text
    assert "<script>" not in text
    script = client.get("/api/docs?script=")
    assert script.status_code == 200
    assert "SwaggerUIBundle" in script.content.decode()
