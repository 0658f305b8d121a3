"""People, the roles they hold, and the keys of programs."""

from __future__ import annotations

import uuid

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from controlplane.accounts.roles import Role


class User(AbstractUser):
    """A person who signs in. Holds personal data: user name, name, e-mail.

    The audit log refers to a person by ``uuid``, so that a name can be erased without touching the chain.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)

    class Meta(AbstractUser.Meta):
        swappable = "AUTH_USER_MODEL"

    @property
    def audit_ref(self) -> str:
        return f"user:{self.uuid}"

    @property
    def audit_name(self) -> str:
        return self.get_username()


class RoleGrant(models.Model):
    """One role held by one person. Administrators are ``is_superuser`` as well, for the admin of third-party apps."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="role_grants")
    role = models.CharField(max_length=20, choices=Role.choices)
    granted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "role"], name="accounts_rolegrant_user_role_key"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="accounts_rolegrant_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.get_role_display()}"


class ApiKey(models.Model):
    """The key of a program: one role, bound to namespaces. The key itself is shown once and stored as SHA-256 only."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=100, unique=True)
    prefix = models.CharField(max_length=12, unique=True, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    role = models.CharField(max_length=20, choices=Role.choices)
    namespaces = ArrayField(models.CharField(max_length=200), help_text="'*' is any, 'shop-*' a prefix")
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        verbose_name = "API key"
        constraints = [models.CheckConstraint(condition=Q(role__in=Role.values), name="accounts_apikey_role_known")]

    def __str__(self) -> str:
        return self.name

    @property
    def audit_ref(self) -> str:
        return f"apikey:{self.uuid}"

    @property
    def audit_name(self) -> str:
        return self.name
