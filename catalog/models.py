"""Data products, their datasets and fields, and the versions of contracts.

Deliberately absent: run states, quality results and lineage, which belong to higher apps and reach the pages through panels.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.urls import reverse
from django.utils import timezone


class ProductState(models.TextChoices):
    DRAFT = "draft", "Draft"
    PUBLISHED = "published", "Published"
    DEPRECATED = "deprecated", "Deprecated"
    RETIRED = "retired", "Retired"


class Tier(models.TextChoices):
    CRITICAL = "critical", "Critical"
    STANDARD = "standard", "Standard"
    EXPERIMENTAL = "experimental", "Experimental"


def _person(user: Any, name: str) -> str:
    if user is not None:
        return str(user.get_full_name() or user.get_username())
    return f"{name} (not signed up)" if name else "nobody"


class DataProduct(models.Model):
    """What an owner promises to others: one or more datasets under one key.

    Owner and steward come from the contract imported last; a user name without a person here is kept as ``owner_name`` until
    that person signs up (``services.people_link``). ``links`` is a list of {"title": str, "url": str}.

    Holds personal data: names of people.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    key = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=200)
    domain = models.CharField(max_length=100, db_index=True)
    description = models.TextField(blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="owned_products"
    )
    steward = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="stewarded_products"
    )
    owner_name = models.CharField(max_length=150, blank=True, help_text="user name that the contract gives")
    steward_name = models.CharField(max_length=150, blank=True, help_text="user name that the contract gives")
    tier = models.CharField(max_length=20, choices=Tier.choices, default=Tier.STANDARD)
    state = models.CharField(max_length=20, choices=ProductState.choices, default=ProductState.PUBLISHED)
    links = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        verbose_name = "data product"
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=ProductState.values), name="catalog_product_state_known"),
            models.CheckConstraint(condition=models.Q(tier__in=Tier.values), name="catalog_product_tier_known"),
        ]
        indexes = [
            GinIndex(fields=["name"], name="catalog_product_name_trgm", opclasses=["gin_trgm_ops"]),
            GinIndex(fields=["description"], name="catalog_product_desc_trgm", opclasses=["gin_trgm_ops"]),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("product", args=[self.key])

    @property
    def owner_text(self) -> str:
        """The owner as people read it, also before that person has signed up."""
        return _person(self.owner, self.owner_name)

    @property
    def steward_text(self) -> str:
        return _person(self.steward, self.steward_name)

    @property
    def audit_target(self) -> str:
        return f"product:{self.key}"


class Dataset(models.Model):
    """A table, known from its contract or only from lineage events. ``(namespace, name)`` is its identity in events.

    ``contract_name`` is the name contracts use (``orders`` for ``silver.orders``); empty when no contract describes it.
    """

    class Source(models.TextChoices):
        CONTRACT = "contract", "Contract"
        EVENT = "event", "Lineage event"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    namespace = models.CharField(max_length=300)
    name = models.CharField(max_length=500)
    contract_name = models.CharField(max_length=63, unique=True, null=True, blank=True)
    layer = models.CharField(max_length=20, blank=True, db_index=True)
    product = models.ForeignKey(DataProduct, null=True, blank=True, on_delete=models.SET_NULL, related_name="datasets")
    description = models.TextField(blank=True)
    uri = models.CharField(max_length=1000, blank=True)
    source = models.CharField(max_length=10, choices=Source.choices, default=Source.CONTRACT)
    current_version = models.ForeignKey(
        "catalog.ContractVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="current_of"
    )
    first_seen_at = models.DateTimeField(default=timezone.now, editable=False)
    last_seen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["namespace", "name"]
        constraints = [
            models.UniqueConstraint(fields=["namespace", "name"], name="catalog_dataset_identity_key"),
            models.CheckConstraint(condition=models.Q(source__in=["contract", "event"]), name="catalog_dataset_source_known"),
        ]
        indexes = [GinIndex(fields=["name"], name="catalog_dataset_name_trgm", opclasses=["gin_trgm_ops"])]

    def __str__(self) -> str:
        return self.contract_name or f"{self.namespace}/{self.name}"

    def get_absolute_url(self) -> str:
        return (
            reverse("dataset", args=[self.contract_name]) if self.contract_name else reverse("dataset_event", args=[self.uuid])
        )

    @property
    def audit_target(self) -> str:
        return f"dataset:{self.contract_name or self.uuid}"


class Field(models.Model):
    """A column as it is now. What a contract says wins over what events say; history is in the contract versions."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="fields")
    name = models.CharField(max_length=300)
    type = models.CharField(max_length=100, blank=True)
    position = models.PositiveIntegerField(default=0)
    description = models.TextField(blank=True)
    classification = models.CharField(max_length=10, blank=True, help_text="low, medium or high; empty when nobody said")
    pii = models.CharField("personal data", max_length=100, blank=True, help_text="category, for example user.contact.email")
    required = models.BooleanField(default=False)
    in_key = models.BooleanField(default=False)
    source = models.CharField(max_length=10, choices=Dataset.Source.choices, default=Dataset.Source.CONTRACT)

    class Meta:
        ordering = ["position", "name"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "name"], name="catalog_field_once"),
            models.CheckConstraint(
                condition=models.Q(classification__in=["", "low", "medium", "high"]), name="catalog_field_classification_known"
            ),
        ]
        indexes = [
            models.Index(fields=["dataset", "position"], name="catalog_field_order"),
            models.Index(fields=["pii"], name="catalog_field_pii", condition=~models.Q(pii="")),
        ]

    def __str__(self) -> str:
        return f"{self.dataset}.{self.name}"


class ContractVersion(models.Model):
    """One version of a dataset's contract, exactly as its author wrote it. Immutable: a trigger refuses UPDATE and DELETE.

    ``origin`` says where the text came from: an import of the file without a base is measured against the last version that
    a file brought, so edits made in the UI in between are not lost.
    """

    class Origin(models.TextChoices):
        FILE = "file", "File"
        UI = "ui", "Page"
        API = "api", "API"

    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="contract_versions")
    version = models.CharField(max_length=30)
    text = models.TextField()
    document = models.JSONField()
    sha256 = models.CharField(max_length=64, unique=True)
    base = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="successors")
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.FILE)
    breaking = models.BooleanField(default=False)
    changes = models.JSONField(default=list, help_text="list of {where, what, weight} against the base")
    imported_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="imported_contracts"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = "contract version"
        constraints = [models.UniqueConstraint(fields=["dataset", "version"], name="catalog_contract_version_once")]

    def __str__(self) -> str:
        return f"{self.dataset} {self.version}"

    def get_absolute_url(self) -> str:
        return reverse("contract", args=[self.dataset.contract_name, self.version])
