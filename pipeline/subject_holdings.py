"""Where the pipeline holds data of customers: raw files, Silver and Gold tables, rows that were held back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import pyarrow as pa
from django.db.models import Q

from catalog.domain.contract import Contract
from catalog.selectors import contracts_current
from controlplane.keys import services as keys
from controlplane.lake import services as lake
from controlplane.subjects.protocol import Found, SubjectIdentifiers
from controlplane.subjects.registry import register
from pipeline.domain.decode import decoded_schema
from pipeline.models import BronzeFile, QuarantinedRow, SilverReject
from pipeline.services.gold import schema_of
from pipeline.services.landing import SUBJECT, decoded_uri
from pipeline.services.steps import table_of


def _wanted(contract: Contract, identifiers: SubjectIdentifiers) -> dict[str, list[str]]:
    """Column → values to look for: identifiers under the field's own name, and tokens of customer ids."""
    tokens = [keys.token(value, kind=SUBJECT) for value in identifiers.of("customer_id")]
    found: dict[str, list[str]] = {}
    for one in contract.personal_fields:
        values = tokens if one.token_of or one.name == "customer_token" else list(identifiers.of(one.name))
        if values and one.type == "string":
            found[one.name] = sorted({value.strip().lower() for value in values})
    return found


def _count(session: Any, view: str, wanted: Mapping[str, list[str]]) -> int:
    tests = []
    for number, (column, values) in enumerate(wanted.items()):
        session.register_arrow(f"wanted_{number}", pa.table({"v": pa.array(values, pa.string())}))
        tests.append(f"EXISTS (SELECT 1 FROM wanted_{number} AS w{number} WHERE w{number}.v = LOWER(TRIM(r.{column})))")
    rows = session.fetch(f"SELECT COUNT(*) AS n FROM {view} AS r WHERE {' OR '.join(tests)}")
    return int(rows["n"][0].as_py())


def _categories(contract: Contract) -> tuple[str, ...]:
    return tuple(sorted({str(one.pii) for one in contract.personal_fields}))


class Tables:
    """Silver and Gold tables."""

    name = "pipeline.tables"
    description = "Customers and what they did, typed and joined, to compute the figures; retention as each contract says."
    population: Literal["customers"] = "customers"

    def find(self, identifiers: SubjectIdentifiers) -> Iterable[Found]:
        for contract in contracts_current().values():
            wanted = _wanted(contract, identifiers)
            if not wanted or not lake.table_exists(table_of(contract)):
                continue
            with lake.engine().session() as session:
                session.register_table("rows_here", table_of(contract), schema=schema_of(contract))
                records = _count(session, "rows_here", wanted)
            if records:
                yield Found(lake.table_uri(table_of(contract)), records, _categories(contract))

    def describe(self) -> Mapping[str, str]:
        return {  # the fields of the shipped contracts; ``find`` follows whatever contracts there are
            "customer_id": "user.unique_id",
            "customer_token": "user.unique_id.pseudonymous",
            "email": "user.contact.email",
            "phone": "user.contact.phone_number",
            "first_name": "user.name.first",
            "last_name": "user.name.last",
            "birth_date": "user.demographic.date_of_birth",
            "city": "user.contact.address.city",
            "postal_code": "user.contact.address.postal_code",
        }


class BronzeFiles:
    """Drops as they came, and the same records as text."""

    name = "pipeline.bronze"
    description = "Drops of the sources, verbatim, and a text copy that engines read; kept 30 days to replay."
    population: Literal["customers"] = "customers"

    def find(self, identifiers: SubjectIdentifiers) -> Iterable[Found]:
        for contract in contracts_current().values():
            wanted = {name: values for name, values in _wanted(contract, identifiers).items() if contract.source}
            if not wanted:
                continue
            for file in BronzeFile.objects.filter(dataset=contract.dataset).iterator():
                with lake.engine().session() as session:
                    session.register_files("rows_here", [decoded_uri(file, contract)], decoded_schema(contract))
                    records = _count(session, "rows_here", wanted)
                if records:
                    yield Found(file.uri, records, _categories(contract))

    def describe(self) -> Mapping[str, str]:
        return {"content": "user"}


class HeldRows:
    """Rejected rows and quarantined copies, with the original record."""

    name = "pipeline.held_rows"
    description = "Rows that broke a rule or carried an unknown column, kept whole so that they can be mended and judged again."
    population: Literal["customers"] = "customers"

    def find(self, identifiers: SubjectIdentifiers) -> Iterable[Found]:
        wanted = Q()
        for values in identifiers.values.values():
            for value in values:
                wanted |= Q(record__icontains=value)
        if not wanted:
            return
        for model in (SilverReject, QuarantinedRow):
            records = model._default_manager.filter(wanted).count()
            if records:
                yield Found(f"table:{model._meta.db_table}", records, ("user",))

    def describe(self) -> Mapping[str, str]:
        return {"record": "user"}


def register_holdings() -> None:
    """Called once, when the apps are ready."""
    register(Tables())
    register(BronzeFiles())
    register(HeldRows())
