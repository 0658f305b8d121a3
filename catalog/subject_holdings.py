"""Where the catalog holds data of persons: the people whom contracts and products name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from django.db.models import Q

from controlplane.subjects.protocol import Found, SubjectIdentifiers


class NamedInContracts:
    """Owners and stewards, by user name, in the text of contract versions."""

    name = "catalog.contracts"
    description = "User names of owners and stewards in contract texts, which never change once imported."
    population: Literal["staff"] = "staff"

    def find(self, identifiers: SubjectIdentifiers) -> Iterable[Found]:
        from catalog.models import ContractVersion

        wanted = Q(pk__in=[])
        for name in identifiers.of("username"):
            wanted |= Q(document__team__members__contains=[{"username": name}])
        records = ContractVersion.objects.filter(wanted).count()
        if records:
            yield Found("table:catalog_contractversion", records, ("user.account.username",))

    def describe(self) -> Mapping[str, str]:
        return {"document": "user.account.username"}
