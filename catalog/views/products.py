"""Data products: the list, one product, and its owner's edits."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from catalog import registry, selectors
from catalog.errors import CatalogError, EditRefused
from catalog.lists import PRODUCTS
from catalog.models import DataProduct, ProductState
from catalog.services import product_update
from catalog.views.forms import LinksField, editor_of
from controlplane.accounts.roles import Role
from controlplane.ui import registry as ui
from controlplane.ui.pages import EVERY_ROLE, page, render_page

# Panels of higher apps appear under these tabs; a tab without a panel is not shown.
TABS = {"lineage": "Lineage", "quality": "Quality", "runs": "Runs", "incidents": "Incidents", "access": "Access"}


class ProductForm(forms.Form):
    name = forms.CharField(max_length=200)
    description = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 5}))
    state = forms.ChoiceField(choices=ProductState.choices)
    links = LinksField()
    reason = forms.CharField(required=False, max_length=500)


@page(*EVERY_ROLE)
def products(request: HttpRequest) -> HttpResponseBase:
    rows = selectors.products()
    if request.GET.get("format") == "csv":
        return PRODUCTS.csv(request, rows, "products")
    context = {"listed": PRODUCTS.read(request, rows), "noun": "data products", "empty_template": "catalog/products_empty.html"}
    return render_page(request, "catalog/products.html", context, title="Data products")


def _product(key: str) -> DataProduct:
    found = selectors.product_by_key(key)
    if found is None:
        raise Http404(f"no data product {key}")
    return found


def tabs_of(kind: str, key: str) -> list[tuple[str, str, int | None]]:
    """(title, address, count) of an object's pages: what the catalog shows, then what higher apps registered."""
    tabs: list[tuple[str, str, int | None]] = [("Overview", reverse(kind, args=[key]), None)]
    registered = ui.tabs(kind)
    tabs += [(title, reverse(f"{kind}_tab", args=[key, tab]), None) for tab, title in TABS.items() if tab in registered]
    return [*tabs, ("History", reverse(f"{kind}_tab", args=[key, "history"]), None)]


@page(*EVERY_ROLE)
def product(request: HttpRequest, key: str, tab: str = "overview") -> HttpResponseBase:
    found = _product(key)
    if tab not in {"overview", "history", *(ui.tabs("product") & set(TABS))}:
        raise Http404(f"no page {tab}")
    datasets = list(found.datasets.all())
    context: dict[str, Any] = {
        "product": found,
        "promise": registry.promise_states([found])[found.pk],
        "tab": tab,
        "tabs": tabs_of("product", key),
        "editable": selectors.product_editable_by(found, request.user),
        "datasets": [
            (one, selectors.contract_by_version(one.current_version_id)) for one in datasets if one.current_version_id
        ],
        "versions": selectors.product_history(found) if tab == "history" else (),
    }
    return render_page(
        request, "catalog/product.html", context, title=found.name, crumbs=[("Data products", reverse("products"))]
    )


@page(Role.OWNER, Role.STEWARD, methods=("GET", "HEAD", "POST"))
def product_edit(request: HttpRequest, key: str) -> HttpResponseBase:
    found = _product(key)
    actor = editor_of(request, found)
    start = {"name": found.name, "description": found.description, "state": found.state, "links": LinksField.text(found.links)}
    form = ProductForm(request.POST or None, initial=start)
    if request.method == "POST" and form.is_valid():
        try:
            product_update(key=key, actor=actor, **form.cleaned_data)
        except EditRefused as error:
            raise PermissionDenied(str(error)) from None
        except CatalogError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "Saved.")
            return redirect(found.get_absolute_url())
    crumbs = [("Data products", reverse("products")), (found.name, found.get_absolute_url())]
    return render_page(
        request,
        "catalog/edit.html",
        {"edit": form, "back": found.get_absolute_url(), "lead": "What people read before they use this data product."},
        title="Edit the description",
        crumbs=crumbs,
        status=400 if form.errors else 200,
    )
