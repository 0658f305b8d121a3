"""How an app says where it holds a person's data. Plain Python: the registry is filled in ``AppConfig.ready``.

A *holding* is one place (a table, a set of files, a queue) in which data of data subjects may stand. Erasure plans, access
answers and the residue scanner are made from the registry, so a place that is not registered is a place that is forgotten: a
test demands that every app with models registers its holdings or says why it has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

__all__ = ["Found", "SubjectHolding", "SubjectIdentifiers"]


@dataclass(frozen=True)
class SubjectIdentifiers:
    """What a person is known by: kind → values (``{"customer_id": ("…",), "email": ("…",)}``), as the request gave them."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, kind: str) -> tuple[str, ...]:
        return self.values.get(kind, ())


@dataclass(frozen=True)
class Found:
    """Data of the person in one place of a holding: ``location`` (``table:accounts_user``, a URI) and how many records."""

    location: str
    records: int
    categories: tuple[str, ...] = ()


@runtime_checkable
class SubjectHolding(Protocol):
    """One place in which an app holds personal data."""

    @property
    def name(self) -> str:
        """``<app>.<what>``, unique (``accounts.users``)."""

    @property
    def description(self) -> str:
        """What it holds and why, for the records of processing."""

    @property
    def population(self) -> Literal["customers", "staff", "both"]:
        """Whose data it is."""

    def find(self, identifiers: SubjectIdentifiers) -> Iterable[Found]:
        """Where data of this person stands now; nothing when there is none. Reads only."""

    def describe(self) -> Mapping[str, str]:
        """Fields that hold personal data → category (``{"email": "user.contact.email"}``)."""
