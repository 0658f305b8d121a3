"""Addresses of the catalog's pages."""

from django.urls import path

from catalog.views import contracts, datasets, products

urlpatterns = [
    path("products/", products.products, name="products"),
    path("products/<slug:key>/", products.product, name="product"),
    path("products/<slug:key>/edit/", products.product_edit, name="product_edit"),
    path("products/<slug:key>/<slug:tab>/", products.product, name="product_tab"),
    path("datasets/", datasets.datasets, name="datasets"),
    path("datasets/<uuid:uuid>/", datasets.dataset_of_event, name="dataset_event"),
    path("datasets/<slug:name>/", datasets.dataset, name="dataset"),
    path("datasets/<slug:name>/<slug:tab>/", datasets.dataset, name="dataset_tab"),
    path("contracts/<slug:dataset>/edit/", contracts.contract_edit, name="contract_edit"),
    path("contracts/<slug:dataset>/<str:version>/", contracts.contract, name="contract"),
]
