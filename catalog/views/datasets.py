"""Datasets: the list, and one dataset with its columns."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from catalog import selectors
from catalog.lists import DATASETS
from catalog.models import Dataset
from catalog.views.products import TABS, tabs_of
from controlplane.ui import registry as ui
from controlplane.ui.pages import EVERY_ROLE, page, render_page


@page(*EVERY_ROLE)
def datasets(request: HttpRequest) -> HttpResponseBase:
    rows = selectors.datasets()
    if request.GET.get("format") == "csv":
        return DATASETS.csv(request, rows, "datasets")
    context = {"listed": DATASETS.read(request, rows), "noun": "datasets", "empty_template": "catalog/products_empty.html"}
    return render_page(request, "catalog/datasets.html", context, title="Datasets")


@page(*EVERY_ROLE)
def dataset(request: HttpRequest, name: str, tab: str = "overview") -> HttpResponseBase:
    found = selectors.dataset_by_name(name)
    if found is None:
        raise Http404(f"no dataset {name}")
    if tab not in {"overview", "history", *(ui.tabs("dataset") & set(TABS))}:
        raise Http404(f"no page {tab}")
    return _show(request, found, tab, tabs_of("dataset", name))


@page(*EVERY_ROLE)
def dataset_of_event(request: HttpRequest, uuid: UUID) -> HttpResponseBase:
    """A dataset that only lineage events know; one with a contract has its own address."""
    found = selectors.dataset_by_uuid(uuid)
    if found is None:
        raise Http404("no such dataset")
    if found.contract_name:
        return redirect(found.get_absolute_url())
    return _show(request, found, "overview", [])


def _show(request: HttpRequest, found: Dataset, tab: str, tabs: list[Any]) -> HttpResponseBase:
    contract = selectors.contract_by_version(found.current_version_id) if found.current_version_id else None
    context = {
        "dataset": found,
        "contract": contract,
        "columns": list(selectors.dataset_fields(found)),
        "tab": tab,
        "tabs": tabs,
        "editable": found.product is not None and selectors.product_editable_by(found.product, request.user),
        "versions": selectors.contract_history(found) if tab == "history" else (),
    }
    crumbs = [("Datasets", reverse("datasets"))]
    return render_page(request, "catalog/dataset.html", context, title=str(found), crumbs=crumbs)
