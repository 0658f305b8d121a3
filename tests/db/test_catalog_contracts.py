"""Imports of contracts: versions, stale bases, permissions, folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import DatabaseError, transaction

from catalog import registry, selectors, services
from catalog.domain.edit import Edit
from catalog.errors import ContractInvalid, EditRefused, StaleBase, VersionRefused
from catalog.models import ContractVersion, DataProduct, Dataset
from controlplane.accounts import services as accounts
from controlplane.audit.models import AuditEntry

pytestmark = pytest.mark.django_db

DATA = Path(__file__).parents[1] / "data"
ORDERS = (DATA / "catalog_orders.odcs.yaml").read_text()
CUSTOMERS = (DATA / "catalog_customers.odcs.yaml").read_text()


@pytest.fixture
def owner():
    return accounts.user_create(username="olivia", password=None, roles=["owner"], actor=None)


@pytest.fixture
def teammate():
    return accounts.user_create(username="stefan", password=None, roles=["steward"], actor=None)


@pytest.fixture
def outsider():
    return accounts.user_create(username="mallory", password=None, roles=["owner", "steward"], actor=None)


@pytest.fixture
def customers():
    return services.contract_import(text=CUSTOMERS, actor=None)


@pytest.fixture
def orders(customers, owner, teammate):
    return services.contract_import(text=ORDERS, actor=None)


def version_of(text: str, version: str) -> str:
    assert "version: 1.0.0" in text
    return text.replace("version: 1.0.0", f"version: {version}")


def test_an_import_makes_product_dataset_fields_and_version(orders, owner, teammate):
    product = DataProduct.objects.get(key="orders")
    assert (product.owner, product.steward, product.domain, product.state) == (owner, teammate, "sales", "published")
    dataset = Dataset.objects.get(contract_name="orders")
    assert (dataset.namespace, dataset.name, dataset.layer, dataset.product) == (
        "touchstone",
        "silver.orders",
        "silver",
        product,
    )
    assert dataset.current_version == orders
    assert list(dataset.fields.values_list("name", flat=True))[:3] == ["order_id", "customer_id", "customer_token"]
    assert dataset.fields.get(name="customer_id").pii == "user.unique_id"
    assert dataset.fields.get(name="total_amount").type == "decimal(18,2)"
    assert AuditEntry.objects.filter(action="catalog.contract_import", target="dataset:orders").count() == 1


def test_the_current_contract_equals_the_parsed_text(orders):
    from catalog.domain import odcs

    assert selectors.contract_current("orders") == odcs.parse(ORDERS)
    assert selectors.contract_current("orders").text == ORDERS


def test_reading_all_contracts_costs_one_query_once_cached(orders, django_assert_num_queries):
    selectors.contracts_current()
    with django_assert_num_queries(1):
        assert list(selectors.contracts_current()) == ["customers", "orders"]


def test_the_same_text_again_is_a_no_op(orders):
    before = AuditEntry.objects.count()
    again = services.contract_offer(text=ORDERS, actor=None)
    assert (again.created, again.version) == (False, orders)
    assert AuditEntry.objects.count() == before


def test_a_reference_to_an_unknown_dataset_is_refused_with_its_line():
    with pytest.raises(ContractInvalid) as caught:
        services.contract_import(text=ORDERS, actor=None, filename="orders.yaml")
    [fault] = caught.value.faults
    assert (fault.line, "no contract describes 'customers'" in fault.reason) == (30, True)
    assert not Dataset.objects.exists()


def test_a_stale_base_is_refused_with_the_difference(orders):
    newer = version_of(ORDERS, "1.1.0").replace("value: 15, unit: min", "value: 20, unit: min")
    services.contract_import(text=newer, actor=None, base_version="1.0.0")
    late = version_of(ORDERS, "1.1.1").replace("value: 15, unit: min", "value: 30, unit: min")
    with pytest.raises(StaleBase) as caught:
        services.contract_import(text=late, actor=None, base_version="1.0.0")
    assert "-  - {property: freshness, value: 20, unit: min}" in caught.value.diff
    assert "+  - {property: freshness, value: 30, unit: min}" in caught.value.diff
    assert selectors.contract_current("orders").version == "1.1.0"


def test_an_edit_in_the_ui_is_not_overwritten_by_the_file(orders, owner, tmp_path, customers):
    services.contract_edit(dataset="orders", base_version="1.0.0", edit=Edit(purpose="Better words."), actor=owner)
    assert selectors.contract_current("orders").version == "1.0.1"
    (tmp_path / "orders.odcs.yaml").write_text(ORDERS)
    assert [one.outcome for one in services.contracts_sync(folder=tmp_path, actor=None).results] == ["behind"]
    (tmp_path / "orders.odcs.yaml").write_text(version_of(ORDERS, "1.1.0").replace("value: 15", "value: 20"))
    [result] = services.contracts_sync(folder=tmp_path, actor=None).results
    assert result.outcome == "refused"
    assert "made from version 1.0.0, but 1.0.1 is current" in result.messages[0]
    assert "-  purpose: Better words." in result.messages[1]


def test_an_edit_keeps_the_comments_of_the_author(orders, owner):
    edit = Edit(sla={"freshness": (10, "min"), "latency": (5, "min")}, links=(("Runbook", "https://example.org/r"),))
    done = services.contract_edit(dataset="orders", base_version="1.0.0", edit=edit, actor=owner)
    assert done.version.version == "1.1.0"
    assert done.version.text.startswith("# Example contract of a Silver dataset")
    contract = selectors.contract_current("orders")
    assert (contract.sla.freshness_s, contract.sla.latency_s, contract.sla.retention_days) == (600, 300, 90)


def test_an_edit_that_changes_nothing_makes_no_version(orders, owner):
    done = services.contract_edit(dataset="orders", base_version="1.0.0", edit=Edit(sla={"retention": (90, "d")}), actor=owner)
    assert not done.created


@pytest.mark.parametrize(("who", "allowed"), [("owner", True), ("teammate", True), ("outsider", False)])
def test_only_owner_and_steward_edit(orders, request, who, allowed):
    person = request.getfixturevalue(who)
    text = version_of(ORDERS, "1.1.0").replace("value: 15", "value: 20")
    if allowed:
        assert services.contract_offer(text=text, actor=person, base_version="1.0.0").created
    else:
        with pytest.raises(EditRefused):
            services.contract_offer(text=text, actor=person, base_version="1.0.0")
        with pytest.raises(EditRefused):
            services.contract_edit(dataset="orders", base_version="1.0.0", edit=Edit(purpose="x"), actor=person)
        with pytest.raises(EditRefused):
            services.product_update(key="orders", actor=person, description="mine now")


def test_nobody_moves_a_dataset_into_the_product_of_another(orders, outsider):
    services.contract_import(text=version_of(CUSTOMERS, "1.1.0").replace("carla", "mallory"), actor=None)
    mine = version_of(CUSTOMERS, "1.2.0").replace("dataProduct: customers", "dataProduct: orders")
    with pytest.raises(EditRefused, match="'Orders' belongs to olivia"):
        services.contract_import(text=mine, actor=outsider, base_version="1.1.0")


def test_a_breaking_change_needs_a_major_version(orders):
    breaking = version_of(ORDERS, "1.1.0").replace("validValues: [FR, ES, DE, ME]", "validValues: [FR, ES, DE]")
    with pytest.raises(VersionRefused, match=r"2\.0\.0") as caught:
        services.contract_import(text=breaking, actor=None, base_version="1.0.0")
    assert caught.value.changes == ["breaking: region: values no longer allowed: ME"]
    version = services.contract_import(text=breaking.replace("1.1.0", "2.0.0"), actor=None, base_version="1.0.0")
    assert (version.breaking, version.base) == (True, orders)


def test_a_version_number_is_used_once(orders):
    with pytest.raises(VersionRefused, match="a version never changes"):
        services.contract_import(text=ORDERS.replace("value: 15", "value: 20"), actor=None)


def test_a_version_cannot_be_changed_or_deleted_in_the_database(orders):
    for statement in (
        lambda: ContractVersion.objects.filter(pk=orders.pk).update(text="other"),
        lambda: ContractVersion.objects.filter(pk=orders.pk)._raw_delete("default"),
    ):
        with pytest.raises(DatabaseError, match="never changes"), transaction.atomic():
            statement()


def test_a_person_who_imported_can_be_erased(customers, owner, teammate):
    version = services.contract_import(text=ORDERS, actor=owner)
    owner.delete()
    version.refresh_from_db()
    assert version.imported_by is None


def test_a_folder_is_imported_file_by_file_in_any_order(tmp_path, owner):
    (tmp_path / "a_orders.odcs.yaml").write_text(ORDERS)
    (tmp_path / "customers.odcs.yaml").write_text(CUSTOMERS)
    (tmp_path / "broken.odcs.yaml").write_text("a: 1\na: 2\n")
    report = services.contracts_sync(folder=tmp_path, actor=None)
    assert [(one.filename, one.outcome) for one in report.results] == [
        ("a_orders.odcs.yaml", "imported"),
        ("broken.odcs.yaml", "refused"),
        ("customers.odcs.yaml", "imported"),
    ]
    assert any(line.startswith("broken.odcs.yaml:2:1: the key 'a' stands twice") for line in report.results[1].messages)
    again = services.contracts_sync(folder=tmp_path, actor=None)
    assert (again.count("unchanged"), again.count("refused")) == (2, 1)


def test_a_listener_hears_of_new_versions_and_can_undo_them(customers, monkeypatch):
    heard = []
    monkeypatch.setattr(registry, "_listeners", [lambda version, changes: heard.append((str(version), len(changes)))])
    services.contract_import(text=ORDERS, actor=None)
    assert heard == [("orders 1.0.0", 0)]

    def refuse(version, changes):
        raise RuntimeError("no")

    monkeypatch.setattr(registry, "_listeners", [refuse])
    with pytest.raises(RuntimeError):
        services.contract_import(text=version_of(ORDERS, "1.1.0").replace("value: 15", "value: 20"), actor=None)
    assert selectors.contract_current("orders").version == "1.0.0"


def test_people_who_sign_up_later_become_owners(customers):
    services.contract_import(text=ORDERS, actor=None)
    assert DataProduct.objects.get(key="orders").owner is None
    accounts.user_create(username="olivia", password=None, roles=["owner"], actor=None)
    assert services.people_link() >= 1
    assert DataProduct.objects.get(key="orders").owner.username == "olivia"


def test_a_product_update_is_audited_with_old_and_new_values(orders, owner):
    services.product_update(
        key="orders", actor=owner, description="All orders", links=[{"title": "Wiki", "url": "https://w.example"}]
    )
    product = DataProduct.objects.get(key="orders")
    assert (product.description, product.links[0]["url"]) == ("All orders", "https://w.example")
    assert AuditEntry.objects.filter(action="catalog.product_update", target="product:orders").exists()


def test_a_link_that_runs_script_is_refused(orders, owner):
    from catalog.errors import CatalogError

    with pytest.raises(CatalogError, match="web address"):
        services.product_update(key="orders", actor=owner, links=[{"title": "x", "url": "javascript:alert(1)"}])


def test_people_named_in_contracts_are_found_as_data_subjects(db):
    from catalog.subject_holdings import NamedInContracts
    from controlplane.subjects.protocol import SubjectIdentifiers
    from tests.pipeline_support import contracts_ready

    contracts_ready()
    (found,) = NamedInContracts().find(SubjectIdentifiers({"username": ("martin",)}))
    assert found.records == 7
    assert not list(NamedInContracts().find(SubjectIdentifiers({"username": ("nobody",)})))
