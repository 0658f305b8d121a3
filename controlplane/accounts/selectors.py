"""Reads about people and keys."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from django.utils import timezone

from controlplane.accounts.domain.access import namespace_allowed
from controlplane.accounts.domain.secrets import key_digest, key_prefix
from controlplane.accounts.models import ApiKey, User
from controlplane.accounts.principals import KeyPrincipal
from controlplane.accounts.roles import Role

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

__all__ = ["apikey_allows", "apikey_by_secret", "apikeys", "roles_of", "user_by_name", "users_with_role"]


def roles_of(user: AbstractBaseUser | AnonymousUser | KeyPrincipal | None) -> frozenset[str]:
    """Roles held by somebody; read once per user object. Nobody, and a disabled person, holds none."""
    if isinstance(user, KeyPrincipal):
        return frozenset({user.key.role})
    if not isinstance(user, User) or not user.is_active:
        return frozenset()
    cached: frozenset[str] | None = user.__dict__.get("_roles")
    if cached is None:
        cached = frozenset(user.role_grants.values_list("role", flat=True))
        if user.is_superuser:
            cached |= {Role.ADMIN.value}
        user.__dict__["_roles"] = cached
    return cached


def user_by_name(username: str) -> User | None:
    return User.objects.filter(username=username).first()


def users_with_role(role: str) -> QuerySet[User]:
    """Active people who hold the role."""
    return User.objects.filter(is_active=True, role_grants__role=role).order_by("username")


def apikeys() -> QuerySet[ApiKey]:
    return ApiKey.objects.select_related("created_by").order_by("name")


def apikey_by_secret(secret: str) -> ApiKey | None:
    """The live key that was presented; None when unknown, revoked or expired."""
    prefix = key_prefix(secret)
    if prefix is None:
        return None
    key = ApiKey.objects.filter(prefix=prefix, revoked_at__isnull=True).first()
    if key is None or not hmac.compare_digest(key.digest, key_digest(secret)):
        return None
    if key.expires_at is not None and key.expires_at <= timezone.now():
        return None
    return key


def apikey_allows(key: ApiKey, namespace: str) -> bool:
    """Whether the key may speak for the namespace."""
    return namespace_allowed(key.namespaces, namespace)
