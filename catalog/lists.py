"""The catalog's lists, declared: columns, filters, order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from catalog import registry, selectors
from catalog.models import DataProduct, Dataset, ProductState
from controlplane.ui import components
from controlplane.ui.listing import Column, Filter, Listing


def _promises(rows: Sequence[DataProduct]) -> Sequence[DataProduct]:
    """Each product with ``promise``, asked for once per page."""
    states = registry.promise_states(rows)
    for row in rows:
        row.promise = states[row.pk]  # type: ignore[attr-defined]
    return rows


def _named(name: str, address: str, below: str = "") -> SafeString:
    small = format_html('<br><span class="ts-subtle">{}</span>', below) if below else ""
    return format_html('<a href="{}">{}</a>{}', address, name, small)


def _product_link(row: Dataset) -> SafeString:
    if row.product is None:
        return format_html('<span class="ts-subtle">{}</span>', "–")
    return _named(row.product.name, row.product.get_absolute_url())


def _choices(values: Any) -> list[tuple[str, str]]:
    return [(value, value) for value in values]


def promise(state: registry.PromiseState) -> SafeString:
    return components.state(state.state, title=state.text)


def version(row: Dataset) -> SafeString | str:
    if row.current_version is None:
        return format_html('<span class="ts-subtle">{}</span>', "none")
    return format_html('<a href="{}">{}</a>', row.current_version.get_absolute_url(), row.current_version.version)


PRODUCTS = Listing(
    columns=(
        Column("promise", "Promise", lambda row: promise(row.promise), lambda row: row.promise.state),
        Column(
            "name",
            "Data product",
            lambda row: _named(row.name, row.get_absolute_url(), Truncator(row.description.split("\n")[0]).chars(110)),
            sort="name",
            wrap=True,
        ),
        Column("state", "State", lambda row: components.state(row.state), sort="state"),
        Column("domain", "Domain", sort="domain"),
        Column("owner_text", "Owner"),
        Column("tier", "Tier", lambda row: row.get_tier_display(), sort="tier"),
        Column("dataset_count", "Datasets", right=True, sort="dataset_count"),
        Column("key", "Key", lambda row: components.copyable(row.key)),
    ),
    filters=(
        Filter("domain", "Domain", lambda rows, value: rows.filter(domain=value), lambda: _choices(selectors.domains())),
        Filter("owner", "Owner", lambda rows, value: rows.filter(owner__username=value), lambda: _choices(selectors.owners())),
        Filter("state", "State", lambda rows, value: rows.filter(state=value), lambda: ProductState.choices),
        Filter("search", "Search", selectors.products_matching, hint="name, key or words of the description"),
    ),
    order="name",
    prepare=_promises,
)

DATASETS = Listing(
    columns=(
        Column("name", "Dataset", lambda row: _named(str(row), row.get_absolute_url(), row.name), str, sort="name", wrap=True),
        Column("layer", "Layer", lambda row: row.layer or "–", sort="layer"),
        Column("product", "Data product", _product_link, lambda row: str(row.product or "")),
        Column("version", "Contract", version, lambda row: getattr(row.current_version, "version", "")),
        Column("source", "Known from", lambda row: row.get_source_display(), sort="source"),
        Column("last_seen_at", "Last event", lambda row: components.time(row.last_seen_at), sort="last_seen_at"),
        Column("uri", "Stored at", lambda row: components.copyable(row.uri)),
    ),
    filters=(
        Filter("layer", "Layer", lambda rows, value: rows.filter(layer=value), lambda: _choices(("bronze", "silver", "gold"))),
        Filter("source", "Known from", lambda rows, value: rows.filter(source=value), lambda: Dataset.Source.choices),
        Filter("search", "Search", selectors.datasets_matching, hint="orders"),
    ),
    order="name",
)
