"""Writes about people and keys. Each function is one transaction and leaves an entry in the audit log."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from controlplane.accounts.domain.access import pattern_fault
from controlplane.accounts.domain.secrets import key_digest, key_new
from controlplane.accounts.errors import Invalid, NameTaken, Unknown
from controlplane.accounts.models import ApiKey, RoleGrant, User
from controlplane.accounts.roles import Role
from controlplane.audit import services as audit

__all__ = [
    "DEMO_PASSWORD",
    "DEMO_PEOPLE",
    "admin_create",
    "apikey_create",
    "apikey_revoke",
    "apikey_touch",
    "demo_users_ensure",
    "role_grant",
    "role_revoke",
    "user_create",
    "user_disable",
    "user_update",
]

Actor = User | ApiKey | str | None
UPDATABLE = ("first_name", "last_name", "email", "is_active")
LAST_USED_PRECISION = timedelta(minutes=1)
DEMO_PASSWORD = "touchstone-demo"  # noqa: S105  (printed by the demo; used for demo sign-ins only)
# The people whom the demo company's contracts name, and one for every other role.
DEMO_PEOPLE = (
    ("olivia", Role.OWNER),
    ("martin", Role.OWNER),
    ("stefan", Role.STEWARD),
    ("oncall", Role.ONCALL),
    ("dpo", Role.DPO),
    ("auditor", Role.AUDITOR),
    ("admin", Role.ADMIN),
)


@transaction.atomic
def user_create(
    *, username: str, password: str | None, roles: Iterable[str] = (), actor: Actor, email: str = "", full_name: str = ""
) -> User:
    """A person who may sign in (``password=None``: only through single sign-on). Raises NameTaken, Invalid."""
    wanted = _roles(roles)
    user = User(username=username, email=email, is_staff=True, first_name=full_name[:150])
    try:
        User.username_validator(username)
        if password is not None:
            validate_password(password, user)
    except ValidationError as fault:
        raise Invalid(" ".join(fault.messages)) from fault
    if User.objects.filter(username=username).exists():
        raise NameTaken(f"a user named {username!r} exists")
    user.set_password(password)
    user.save()
    audit.record(action="accounts.user_create", actor=actor, target=user.audit_ref, payload={"username": username})
    for role in wanted:
        _grant(user=user, role=role, actor=actor)
    return user


@transaction.atomic
def user_disable(*, user: User, actor: Actor, reason: str = "") -> None:
    """The person can no longer sign in; what they did stays attributed to them."""
    if User.objects.filter(pk=user.pk, is_active=True).update(is_active=False):
        audit.record(action="accounts.user_disable", actor=actor, target=user.audit_ref, reason=reason)
    user.is_active = False


@transaction.atomic
def user_update(*, user: User, values: Mapping[str, object], roles: Iterable[str], actor: Actor, reason: str = "") -> None:
    """Set name, e-mail and whether the person may sign in, and exactly these roles. Raises Invalid; then nothing is saved."""
    changed = [name for name in UPDATABLE if name in values]
    before = User.objects.select_for_update().get(pk=user.pk)
    if before.is_active and not values.get("is_active", True) and _is_last_admin(before):
        raise Invalid("the last administrator cannot be disabled")
    User.objects.filter(pk=user.pk).update(**{name: values[name] for name in changed})
    audit.record(
        action="accounts.user_update",
        actor=actor,
        target=before.audit_ref,
        payload={"changed": [name for name in changed if getattr(before, name) != values[name]]},
        reason=reason,
    )
    wanted = {role.value for role in _roles(roles)}
    held = set(before.role_grants.values_list("role", flat=True))
    for role in sorted(wanted - held):
        _grant(user=before, role=Role(role), actor=actor, reason=reason)
    for role in sorted(held - wanted):
        role_revoke(user=before, role=role, actor=actor, reason=reason)


def _is_last_admin(user: User) -> bool:
    # Rows are locked so that two administrators who remove each other cannot both succeed.
    admins = User.objects.select_for_update().filter(is_active=True, is_superuser=True)
    return list(admins.values_list("pk", flat=True)) == [user.pk]


@transaction.atomic
def role_grant(*, user: User, role: str, actor: Actor, reason: str = "") -> bool:
    """Give a role; False when it was held already. Raises Invalid for an unknown role."""
    (wanted,) = _roles([role])
    return _grant(user=user, role=wanted, actor=actor, reason=reason)


@transaction.atomic
def role_revoke(*, user: User, role: str, actor: Actor, reason: str = "") -> bool:
    """Take a role away; False when it was not held. The last active administrator keeps the role (Invalid)."""
    (wanted,) = _roles([role])
    if wanted == Role.ADMIN:
        if _is_last_admin(user):
            raise Invalid("the last administrator cannot lose the role")
        User.objects.filter(pk=user.pk).update(is_superuser=False)
        user.is_superuser = False
    deleted, _ = RoleGrant.objects.filter(user=user, role=wanted).delete()
    user.__dict__.pop("_roles", None)
    if deleted:
        audit.record(
            action="accounts.role_revoke", actor=actor, target=user.audit_ref, payload={"role": wanted.value}, reason=reason
        )
    return bool(deleted)


def _grant(*, user: User, role: Role, actor: Actor, reason: str = "") -> bool:
    _, created = RoleGrant.objects.get_or_create(user=user, role=role.value)
    if role == Role.ADMIN and not user.is_superuser:
        user.is_superuser = True
        user.save(update_fields=["is_superuser"])
    user.__dict__.pop("_roles", None)
    if created:
        audit.record(
            action="accounts.role_grant", actor=actor, target=user.audit_ref, payload={"role": role.value}, reason=reason
        )
    return created


def _roles(roles: Iterable[str]) -> list[Role]:
    try:
        return [Role(role) for role in roles]
    except ValueError as fault:
        raise Invalid(f"{fault}; the roles are: {', '.join(Role.values)}") from fault


@transaction.atomic
def admin_create(*, username: str, actor: Actor, email: str = "") -> tuple[User, str]:
    """An administrator with a random password, returned once. Raises NameTaken, Invalid."""
    password = secrets.token_urlsafe(15)
    user = user_create(username=username, password=password, roles=[Role.ADMIN], actor=actor, email=email)
    return user, password


@transaction.atomic
def demo_users_ensure() -> list[tuple[str, str]]:
    """The demo's sign-ins, one per role, as (user name, password). Called by the demo command only: the password is public.

    A demo person who exists already keeps what was changed about them, except the password.
    """
    names: list[tuple[str, str]] = []
    for username, role in DEMO_PEOPLE:
        user = User.objects.filter(username=username).first()
        if user is None:
            user = user_create(username=username, password=DEMO_PASSWORD, roles=[role], actor="system:demo")
        elif not user.check_password(DEMO_PASSWORD):
            user.set_password(DEMO_PASSWORD)
            user.save(update_fields=["password"])
            audit.record(action="accounts.password_reset", actor="system:demo", target=user.audit_ref)
        names.append((username, DEMO_PASSWORD))
    return names


@transaction.atomic
def apikey_create(
    *, name: str, role: str, namespaces: Iterable[str], actor: Actor, expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """A new key and its secret, which is shown once and stored nowhere. Raises NameTaken, Invalid."""
    (wanted,) = _roles([role])
    patterns = sorted(set(namespaces))
    faults = [fault for fault in map(pattern_fault, patterns) if fault] or ([] if patterns else ["no namespace was named"])
    if not name.strip() or len(name) > 100:
        faults.append("the name must have 1 to 100 characters")
    if expires_at is not None and expires_at <= timezone.now():
        faults.append("the expiry lies in the past")
    if faults:
        raise Invalid("; ".join(faults))
    if ApiKey.objects.filter(name=name).exists():
        raise NameTaken(f"a key named {name!r} exists; revoked keys keep their name so that the audit log stays readable")
    prefix, secret = key_new()
    key = ApiKey.objects.create(
        name=name,
        prefix=prefix,
        digest=key_digest(secret),
        role=wanted.value,
        namespaces=patterns,
        created_by=actor if isinstance(actor, User) else None,
        expires_at=expires_at,
    )
    audit.record(
        action="accounts.apikey_create",
        actor=actor,
        target=key.audit_ref,
        payload={
            "name": name,
            "role": wanted.value,
            "namespaces": patterns,
            "expires_at": expires_at.isoformat() if expires_at else None,
        },
    )
    return key, secret


@transaction.atomic
def apikey_revoke(*, name: str, actor: Actor, reason: str = "") -> ApiKey:
    """From now on the key is refused. Revoking twice changes nothing. Raises Unknown."""
    changed = ApiKey.objects.filter(name=name, revoked_at__isnull=True).update(revoked_at=timezone.now())
    key = ApiKey.objects.filter(name=name).first()
    if key is None:
        raise Unknown(f"no key is named {name!r}")
    if changed:
        audit.record(action="accounts.apikey_revoke", actor=actor, target=key.audit_ref, payload={"name": name}, reason=reason)
    return key


def apikey_touch(*, key: ApiKey) -> None:
    """Note the use of a key, at most once a minute, so that a busy producer does not turn every read into a write."""
    now = timezone.now()
    if key.last_used_at is not None and now - key.last_used_at < LAST_USED_PRECISION:
        return
    # Compare and set: of many requests in the same minute one writes.
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - LAST_USED_PRECISION)
    ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)
    key.last_used_at = now
