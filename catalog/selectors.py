"""Reads of the catalog. Contracts are cached by version id: a version never changes, so the cache cannot go stale."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import Count, Prefetch, Q, QuerySet

from catalog.domain import odcs
from catalog.domain.contract import Contract
from catalog.domain.versions import Change, compare, text_diff
from catalog.models import ContractVersion, DataProduct, Dataset, Field
from controlplane.accounts.permissions import user_has_role
from controlplane.accounts.roles import Role

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import AnonymousUser

    from controlplane.accounts.principals import KeyPrincipal

    Reader = AbstractBaseUser | AnonymousUser | KeyPrincipal | None

__all__ = [
    "contract_by_version",
    "contract_current",
    "contract_history",
    "contract_of",
    "contract_or_none",
    "contract_version",
    "contract_version_current",
    "contract_version_id",
    "contract_version_keys",
    "contract_versions_current",
    "contracts_current",
    "dataset_by_event",
    "dataset_by_name",
    "dataset_by_uuid",
    "dataset_fields",
    "datasets",
    "datasets_matching",
    "difference",
    "domains",
    "owners",
    "product_by_key",
    "product_editable_by",
    "product_history",
    "products",
    "products_matching",
    "products_of",
]


@lru_cache(maxsize=1024)
def contract_by_version(version_id: int) -> Contract:
    """The contract of a version's row id. Raises ContractVersion.DoesNotExist."""
    text, document = ContractVersion.objects.values_list("text", "document").get(pk=version_id)
    return odcs.from_document(document, text=text)


def contract_of(version: ContractVersion) -> Contract:
    return contract_by_version(version.pk)


def contract_version_id(dataset: str) -> int:
    """Row id of the dataset's current contract version. Raises Dataset.DoesNotExist."""
    found = Dataset.objects.filter(contract_name=dataset).values_list("current_version_id", flat=True).first()
    if found is None:
        raise Dataset.DoesNotExist(f"no contract describes the dataset '{dataset}'")
    return found


def contract_current(dataset: str) -> Contract:
    """The dataset's current contract. Raises Dataset.DoesNotExist."""
    return contract_by_version(contract_version_id(dataset))


def contract_or_none(dataset: str) -> Contract | None:
    try:
        return contract_current(dataset)
    except Dataset.DoesNotExist:
        return None


def contracts_current() -> dict[str, Contract]:
    """Every current contract by dataset name, in name order; one query when all are cached."""
    rows = Dataset.objects.filter(current_version__isnull=False, contract_name__isnull=False).order_by("contract_name")
    return {
        str(name): contract_by_version(int(version_id))
        for name, version_id in rows.values_list("contract_name", "current_version_id")
        if version_id is not None
    }


def contract_version_current(dataset: str) -> ContractVersion:
    """The row of the current version. Raises Dataset.DoesNotExist."""
    return ContractVersion.objects.select_related("dataset", "imported_by", "base").get(pk=contract_version_id(dataset))


def contract_versions_current() -> QuerySet[ContractVersion]:
    """Rows of all current versions, without their texts, by dataset name."""
    found = ContractVersion.objects.filter(current_of__isnull=False).select_related("dataset", "base")
    return found.defer("text", "document", "base__text", "base__document").order_by("dataset__contract_name")


def contract_version_keys() -> dict[tuple[str, str], tuple[int, str]]:
    """(dataset, version) → (row id, SHA-256 of the text) of every version that ever was; one query."""
    rows = ContractVersion.objects.filter(dataset__contract_name__isnull=False)
    found = rows.values_list("dataset__contract_name", "version", "pk", "sha256")
    return {(str(dataset), version): (pk, sha256) for dataset, version, pk, sha256 in found}


def contract_history(dataset: Dataset) -> QuerySet[ContractVersion]:
    """Versions of the dataset's contract, newest first."""
    found = dataset.contract_versions.select_related("dataset", "imported_by", "base")
    return found.defer("text", "document", "base__text", "base__document")


def contract_version(dataset: str, version: str) -> ContractVersion | None:
    found = ContractVersion.objects.select_related("dataset", "imported_by", "base")
    return found.filter(dataset__contract_name=dataset, version=version).first()


def difference(old: Contract, new: Contract) -> tuple[list[Change], str]:
    """What changed in words, and the unified diff of the texts."""
    diff = text_diff(old.text, new.text, old_name=f"{old.dataset} {old.version}", new_name=f"{new.dataset} {new.version}")
    return compare(old, new), diff


def dataset_by_name(contract_name: str) -> Dataset | None:
    return (
        Dataset.objects.select_related("product", "product__owner", "product__steward", "current_version")
        .filter(contract_name=contract_name)
        .first()
    )


def dataset_by_event(namespace: str, name: str) -> Dataset | None:
    """The dataset of an OpenLineage identity."""
    return Dataset.objects.filter(namespace=namespace, name=name).first()


def dataset_by_uuid(uuid: UUID) -> Dataset | None:
    return Dataset.objects.select_related("product", "current_version").filter(uuid=uuid).first()


def dataset_fields(dataset: Dataset) -> QuerySet[Field]:
    return dataset.fields.order_by("position", "name")


def datasets(*, layer: str = "", product: str = "", search: str = "", source: str = "") -> QuerySet[Dataset]:
    """Datasets with product, owner and current version joined; each filter is optional."""
    found = Dataset.objects.select_related("product", "product__owner", "current_version")
    if layer:
        found = found.filter(layer=layer)
    if product:
        found = found.filter(product__key=product)
    if source:
        found = found.filter(source=source)
    return datasets_matching(found, search) if search else found


def datasets_matching(rows: QuerySet[Dataset], search: str) -> QuerySet[Dataset]:
    return rows.filter(Q(name__icontains=search) | Q(contract_name__icontains=search) | Q(description__icontains=search))


def products(*, domain: str = "", owner: str = "", state: str = "", search: str = "") -> QuerySet[DataProduct]:
    """Products with people joined and ``dataset_count``; each filter is optional."""
    found = DataProduct.objects.select_related("owner", "steward").annotate(dataset_count=Count("datasets", distinct=True))
    if domain:
        found = found.filter(domain=domain)
    if owner:
        found = found.filter(owner__username=owner)
    if state:
        found = found.filter(state=state)
    return (products_matching(found, search) if search else found).order_by("name")


def products_matching(rows: QuerySet[DataProduct], search: str) -> QuerySet[DataProduct]:
    return rows.filter(Q(name__icontains=search) | Q(key__icontains=search) | Q(description__icontains=search))


def product_history(product: DataProduct) -> QuerySet[ContractVersion]:
    """Contract versions of all its datasets, newest first."""
    found = ContractVersion.objects.filter(dataset__product=product).select_related("dataset", "imported_by", "base")
    return found.defer("text", "document", "base__text", "base__document")


def product_by_key(key: str) -> DataProduct | None:
    """The product with its people and its datasets (``datasets.all()``), four queries in all."""
    inner = Dataset.objects.select_related("current_version").order_by("layer", "name")
    return (
        DataProduct.objects.select_related("owner", "steward")
        .prefetch_related(Prefetch("datasets", queryset=inner))
        .filter(key=key)
        .first()
    )


def products_of(user: AbstractBaseUser) -> QuerySet[DataProduct]:
    """Products that this person owns or stewards."""
    return products().filter(Q(owner_id=user.pk) | Q(steward_id=user.pk))


def owners() -> Iterable[str]:
    """User names of people who own a product."""
    found = DataProduct.objects.filter(owner__isnull=False).order_by("owner__username")
    return found.values_list("owner__username", flat=True).distinct()


def domains() -> Iterable[str]:
    return DataProduct.objects.order_by("domain").values_list("domain", flat=True).distinct()


def product_editable_by(product: DataProduct, user: Reader) -> bool:
    """Owner and steward edit what is theirs, administrators everything; a key never edits."""
    if user_has_role(user, Role.ADMIN) and getattr(user, "pk", None) is not None:
        return True
    mine = user is not None and getattr(user, "pk", None) in {product.owner_id, product.steward_id} - {None}
    return mine and user_has_role(user, Role.OWNER, Role.STEWARD)
