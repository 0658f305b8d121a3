"""Data products: made by contracts, described by their owners."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import Q

from catalog import selectors
from catalog.domain.contract import Contract
from catalog.errors import CatalogError, EditRefused
from catalog.models import DataProduct, ProductState
from controlplane.accounts.permissions import user_has_role
from controlplane.accounts.principals import ApiKey, User
from controlplane.accounts.roles import Role
from controlplane.accounts.selectors import user_by_name
from controlplane.audit import services as audit

_STATES = {"proposed": "draft", "draft": "draft", "active": "published", "deprecated": "deprecated", "retired": "retired"}


def may_edit(product: DataProduct | None, actor: User | ApiKey, *, named: Collection[str] = ()) -> bool:
    """Owner and steward edit what is theirs, administrators everything. ``named``: user names that may make a new product."""
    if isinstance(actor, ApiKey):
        return actor.role == Role.ADMIN
    if product is None:
        return user_has_role(actor, Role.ADMIN) or (
            actor.get_username() in named and user_has_role(actor, Role.OWNER, Role.STEWARD)
        )
    return selectors.product_editable_by(product, actor)


def product_ensure(*, contract: Contract) -> DataProduct:
    """The product that a contract names, made when new, in the import's transaction. Owner, steward, domain and tier follow it.

    The description is an owner's own text once it exists; only the dataset that gave the product its name fills an empty one.
    """
    product, _ = DataProduct.objects.get_or_create(
        key=contract.product,
        defaults={
            "name": _title(contract.product),
            "domain": contract.domain,
            "state": _STATES.get(str(contract.document.get("status")), "published"),
            "tier": contract.tier,
        },
    )
    product.domain, product.tier = contract.domain, contract.tier
    product.owner, product.steward = user_by_name(contract.owner), user_by_name(contract.steward)
    product.owner_name, product.steward_name = contract.owner, contract.steward
    if not product.description and contract.dataset == contract.product.replace("-", "_"):
        product.description = contract.description
    product.save()
    return product


@transaction.atomic
def people_link() -> int:
    """Fill owners and stewards of products whose contracts name people that have signed up since. Returns how many changed."""
    changed = 0
    missing = Q(owner__isnull=True) | Q(steward__isnull=True)
    for product in DataProduct.objects.select_for_update().filter(missing):
        before = (product.owner_id, product.steward_id)
        if product.owner_id is None:
            product.owner = user_by_name(product.owner_name)
        if product.steward_id is None:
            product.steward = user_by_name(product.steward_name)
        if before != (product.owner_id, product.steward_id):
            product.save(update_fields=["owner", "steward", "updated_at"])
            changed += 1
    return changed


def _title(key: str) -> str:
    """``merchandising-margin`` → ``Merchandising margin``, ``kpi`` → ``KPI``."""
    words = key.replace("_", " ").replace("-", " ")
    return words.upper() if len(words) <= 3 else words.capitalize()


@transaction.atomic
def product_update(
    *,
    key: str,
    actor: User,
    name: str | None = None,
    description: str | None = None,
    links: Iterable[dict[str, str]] | None = None,
    state: str | None = None,
    reason: str = "",
) -> DataProduct:
    """Change what an owner says about a product; None leaves a value alone. ``links``: {"title", "url"} with http(s) addresses.

    Raises EditRefused, CatalogError (a value that is not allowed), DataProduct.DoesNotExist.
    """
    product = DataProduct.objects.select_for_update(of=("self",)).select_related("owner", "steward").get(key=key)
    if not may_edit(product, actor):
        raise EditRefused(f"'{product.name}' belongs to {product.owner_text}; only its owner, its steward and admins edit it.")
    wanted: dict[str, Any] = {"name": name, "description": description, "state": state}
    if links is not None:
        wanted["links"] = [_link(link) for link in links]
    if state is not None and state not in ProductState.values:
        raise CatalogError(f"{state!r} is not a state; one of {', '.join(ProductState.values)}")
    if name is not None and not name.strip():
        raise CatalogError("a product has a name")
    changed = {
        field: (getattr(product, field), value)
        for field, value in wanted.items()
        if value is not None and value != getattr(product, field)
    }
    if not changed:
        return product
    for field, (_, value) in changed.items():
        setattr(product, field, value)
    product.save()
    audit.record(
        action="catalog.product_update",
        actor=actor,
        target=product.audit_target,
        payload={"changes": {field: {"from": old, "to": new} for field, (old, new) in changed.items()}},
        reason=reason,
    )
    return product


def _link(link: dict[str, str]) -> dict[str, str]:
    url, title = str(link.get("url", "")).strip(), str(link.get("title", "")).strip()
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise CatalogError(f"{url!r} is not a web address (http:// or https://)")
    return {"title": title[:200] or parts.netloc, "url": url[:1000]}
