"""Who makes a request: a person (``User``) or a program (``KeyPrincipal``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from django.http import HttpRequest

from controlplane.accounts.models import ApiKey, User

if TYPE_CHECKING:
    from rest_framework.request import Request

# ``User`` and ``ApiKey`` too: other apps tell who acts by them, and see nothing else of the models.
__all__ = ["ApiKey", "KeyPrincipal", "User", "actor_of"]


@dataclass(frozen=True)
class KeyPrincipal:
    """Stands in ``request.user`` when a request came with an API key."""

    key: ApiKey
    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False
    is_active: ClassVar[bool] = True
    is_staff: ClassVar[bool] = False
    is_superuser: ClassVar[bool] = False

    @property
    def pk(self) -> str:
        # The throttles of REST framework tell callers apart by it.
        return self.key.audit_ref

    @property
    def audit_ref(self) -> str:
        return self.key.audit_ref

    @property
    def audit_name(self) -> str:
        return self.key.name

    def get_username(self) -> str:
        return self.key.name

    def __str__(self) -> str:
        return self.key.name


def actor_of(request: HttpRequest | Request) -> User | ApiKey | None:
    """Who to name in the audit log: the key, else the person, else None."""
    key = getattr(request, "auth", None)
    if isinstance(key, ApiKey):
        return key
    return request.user if isinstance(request.user, User) else None
