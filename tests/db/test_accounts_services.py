"""People, roles and keys."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from controlplane.accounts import selectors, services
from controlplane.accounts.errors import Invalid, NameTaken, Unknown
from controlplane.accounts.models import ApiKey, User
from controlplane.accounts.permissions import user_has_role
from controlplane.accounts.roles import Role
from controlplane.audit.models import AuditEntry

pytestmark = pytest.mark.django_db


def user(name: str, *roles: str) -> User:
    return services.user_create(username=name, password="a-long-enough-one", roles=roles, actor="system:test")


def test_a_person_may_hold_several_roles_and_each_grant_is_audited() -> None:
    alice = user("alice", "owner", "steward")
    assert selectors.roles_of(alice) == {"owner", "steward"}
    assert user_has_role(alice, "steward", "dpo")
    assert not user_has_role(alice, "dpo")
    assert AuditEntry.objects.filter(action="accounts.role_grant", target=alice.audit_ref).count() == 2


def test_a_disabled_person_holds_no_role() -> None:
    alice = user("alice", "owner")
    services.user_disable(user=alice, actor="system:test")
    assert selectors.roles_of(User.objects.get(pk=alice.pk)) == frozenset()


def test_the_last_administrator_can_neither_lose_the_role_nor_be_disabled() -> None:
    root = user("root", "admin")
    with pytest.raises(Invalid, match="last administrator"):
        services.role_revoke(user=root, role="admin", actor=root)
    with pytest.raises(Invalid, match="last administrator"):
        services.user_update(user=root, values={"is_active": False}, roles=["admin"], actor=root)
    user("other", "admin")
    assert services.role_revoke(user=root, role="admin", actor=root)
    assert not user_has_role(User.objects.get(pk=root.pk), "admin")


def test_updating_a_person_sets_exactly_the_roles_named() -> None:
    alice = user("alice", "owner", "steward")
    services.user_update(user=alice, values={"email": "a@example.org"}, roles=["steward", "dpo"], actor="system:test")
    alice = User.objects.get(pk=alice.pk)
    assert selectors.roles_of(alice) == {"steward", "dpo"}
    assert alice.email == "a@example.org"


def test_a_bad_name_password_or_role_saves_nothing() -> None:
    user("alice")
    for kwargs in (
        {"username": "alice"},
        {"username": "b o b"},
        {"username": "bob", "password": "short"},
        {"username": "bob", "roles": ["king"]},
    ):
        with pytest.raises((Invalid, NameTaken)):
            services.user_create(**{"password": None, "actor": "system:test", **kwargs})  # type: ignore[arg-type]
    assert User.objects.count() == 1


def test_the_first_administrator_is_made_without_a_dialogue() -> None:
    out = io.StringIO()
    call_command("admin", "create", "root", stdout=out, stderr=io.StringIO())
    root = User.objects.get(username="root")
    assert root.check_password(out.getvalue().strip())
    assert user_has_role(root, Role.ADMIN)
    assert root.is_superuser


def test_demo_sign_ins_exist_only_after_the_demo_asked_and_work_twice() -> None:
    assert not User.objects.exists()
    made = services.demo_users_ensure()
    assert services.demo_users_ensure() == made
    assert [name for name, _ in made] == ["olivia", "martin", "stefan", "oncall", "dpo", "auditor", "admin"]
    for name, password in made:
        assert User.objects.get(username=name).check_password(password)


def test_the_command_prints_the_key_alone_and_the_secret_is_stored_nowhere() -> None:
    out = io.StringIO()
    call_command("apikey", "create", "crm", "--role", "producer", "--namespace", "*", stdout=out)
    secret = out.getvalue().strip()
    assert len(secret.split()) == 1
    key = ApiKey.objects.get()
    assert secret not in str(ApiKey.objects.values().get())
    assert selectors.apikey_by_secret(secret) == key
    assert selectors.apikey_by_secret(secret[:-1] + ("A" if secret[-1] != "A" else "B")) is None


def test_a_revoked_and_an_expired_key_are_refused() -> None:
    _, revoked = services.apikey_create(name="a", role="producer", namespaces=["*"], actor="system:test")
    services.apikey_revoke(name="a", actor="system:test")
    assert selectors.apikey_by_secret(revoked) is None
    key, expired = services.apikey_create(
        name="b", role="producer", namespaces=["*"], actor="system:test", expires_at=timezone.now() + timedelta(hours=1)
    )
    assert selectors.apikey_by_secret(expired) is not None
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert selectors.apikey_by_secret(expired) is None
    with pytest.raises(Unknown):
        services.apikey_revoke(name="nobody", actor="system:test")


def test_a_key_needs_a_namespace_a_known_role_and_a_name_of_its_own() -> None:
    services.apikey_create(name="a", role="producer", namespaces=["shop-*"], actor="system:test")
    with pytest.raises(NameTaken):
        services.apikey_create(name="a", role="producer", namespaces=["*"], actor="system:test")
    for role, namespaces in (("king", ["*"]), ("producer", []), ("producer", ["a*b"])):
        with pytest.raises(Invalid):
            services.apikey_create(name="b", role=role, namespaces=namespaces, actor="system:test")


def test_the_use_of_a_key_is_noted_once_a_minute(django_assert_num_queries: object) -> None:
    key, _ = services.apikey_create(name="a", role="producer", namespaces=["*"], actor="system:test")
    services.apikey_touch(key=key)
    first = ApiKey.objects.get().last_used_at
    assert first is not None
    with django_assert_num_queries(0):  # type: ignore[operator]
        services.apikey_touch(key=key)


def test_an_auditor_may_view_any_model_and_change_none() -> None:
    auditor, owner, oncall = user("auditor", "auditor"), user("owner", "owner"), user("oncall", "oncall")
    assert auditor.has_perm("audit.view_auditentry")
    assert auditor.has_perm("pipeline.view_run")
    assert not auditor.has_perm("outbox.change_outboxmessage")
    assert oncall.has_perm("outbox.change_outboxmessage")
    assert not oncall.has_perm("accounts.change_user")
    assert not owner.has_perm("audit.view_auditentry")
