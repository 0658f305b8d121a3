"""Addresses of the catalog's API, below /api/."""

from django.urls import path

from catalog.api import contracts, products

urlpatterns = [
    path("v1/products", products.ProductsView.as_view(), name="api_products"),
    path("v1/products/<slug:key>", products.ProductView.as_view(), name="api_product"),
    path("v1/datasets", products.DatasetsView.as_view(), name="api_datasets"),
    path("v1/datasets/<slug:dataset>", products.DatasetView.as_view(), name="api_dataset"),
    path("v1/contracts", contracts.ContractsView.as_view(), name="api_contracts"),
    path("v1/contracts/<slug:dataset>", contracts.ContractView.as_view(), name="api_contract"),
]
