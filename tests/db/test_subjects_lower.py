"""Holdings of accounts and the audit log."""

import pytest

from controlplane.accounts import services as accounts
from controlplane.audit import services as audit
from controlplane.subjects.lower import AuditPayloads, Users
from controlplane.subjects.protocol import SubjectIdentifiers

pytestmark = pytest.mark.django_db


def test_a_person_is_found_by_address_in_any_case_and_another_is_not() -> None:
    accounts.user_create(username="jean", email="Jean@Example.fr", password=None, actor="system:test")
    (found,) = Users().find(SubjectIdentifiers({"email": ("jean@example.FR",)}))
    assert found.records == 1
    assert list(Users().find(SubjectIdentifiers({"email": ("x@example.fr",)}))) == []
    assert list(Users().find(SubjectIdentifiers())) == []


def test_values_in_audit_payloads_are_found() -> None:
    audit.record(action="a.b", actor="system:test", target="x", reason='asked by "Jean@Example.fr"')
    (found,) = AuditPayloads().find(SubjectIdentifiers({"email": ("jean@example.fr",)}))
    assert found.records == 1
    assert list(AuditPayloads().find(SubjectIdentifiers({"email": ("none@example.fr",)}))) == []
    assert list(AuditPayloads().find(SubjectIdentifiers())) == []
