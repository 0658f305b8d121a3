"""Holdings of the apps that stand below this one and so cannot register by themselves, and of third-party apps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from django.contrib.auth import get_user_model
from django.db.models import Q

from controlplane.subjects.protocol import Found, SubjectIdentifiers
from controlplane.subjects.registry import exempt, register


class Users:
    """The people who sign in."""

    name = "accounts.users"
    description = "People who sign in to Touchstone: user name, name, e-mail. Kept while they work with it."
    population: Literal["staff"] = "staff"

    def find(self, identifiers: SubjectIdentifiers) -> Iterable[Found]:
        wanted = Q(username__in=identifiers.of("username"))
        for address in identifiers.of("email"):
            wanted |= Q(email__iexact=address) | Q(username__iexact=address)
        records = get_user_model()._default_manager.filter(wanted).count()
        if records:
            yield Found("table:accounts_user", records, tuple(sorted(set(self.describe().values()))))

    def describe(self) -> Mapping[str, str]:
        return {
            "username": "user.account.username",
            "first_name": "user.name.first",
            "last_name": "user.name.last",
            "email": "user.contact.email",
        }


class AuditPayloads:
    """Names of actors and values in the audit log's payloads."""

    name = "audit.payloads"
    description = "Names of those who acted, reasons and details of audited changes; each payload can be erased on its own."
    population: Literal["both"] = "both"

    def find(self, identifiers: SubjectIdentifiers) -> Iterable[Found]:
        from controlplane.audit.selectors import payloads_mentioning

        records = payloads_mentioning(values=[value for values in identifiers.values.values() for value in values])
        if records:
            yield Found("table:audit_auditpayload", records, ("user.name",))

    def describe(self) -> Mapping[str, str]:
        return {"document": "user.name"}


def register_lower() -> None:
    """Called once, when the apps are ready."""
    register(Users())
    register(AuditPayloads())
    exempt("lake", reason="Leases name tables and steps, never people or rows.")
    exempt("outbox", reason="Messages carry references and parameters, and are deleted a day after delivery.")
    exempt("contenttypes", reason="Names of tables only.")
    exempt("auth", reason="Groups and permissions; people stand in accounts.users.")
    exempt("sessions", reason="Signed session data holds the number of the signed-in user and expires.")
    exempt("admin", reason="Django's action log names staff by number; changes of people are not written to it.")
    exempt("django_celery_beat", reason="Names and times of periodic tasks only.")
