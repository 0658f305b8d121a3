"""``GET /api/v1/products`` and ``/datasets``: what there is, whose it is, and what it promises."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog import registry, selectors
from catalog.models import DataProduct, Dataset
from controlplane.accounts.permissions import HasRole
from controlplane.accounts.roles import Role

READERS = HasRole(*Role.values)


class Pages(LimitOffsetPagination):
    default_limit = 100
    max_limit = 1000


class LinkSerializer(serializers.Serializer[Any]):
    title = serializers.CharField()
    url = serializers.URLField()


class PromiseSerializer(serializers.Serializer[Any]):
    state = serializers.CharField(help_text="on_time, late, unknown; unknown where nothing has measured it")
    text = serializers.CharField()
    as_of = serializers.DateTimeField(allow_null=True)


class ProductSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    name = serializers.CharField()
    domain = serializers.CharField()
    description = serializers.CharField()
    owner = serializers.CharField(allow_null=True)
    steward = serializers.CharField(allow_null=True)
    tier = serializers.CharField()
    state = serializers.CharField()
    links = LinkSerializer(many=True)
    datasets = serializers.ListField(child=serializers.CharField(), required=False)
    dataset_count = serializers.IntegerField()
    promise = PromiseSerializer()
    updated_at = serializers.DateTimeField()


class FieldSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    type = serializers.CharField()
    description = serializers.CharField()
    classification = serializers.CharField(help_text="low, medium, high; empty when nobody said")
    pii = serializers.CharField(help_text="category of personal data, or empty")
    required = serializers.BooleanField()  # type: ignore[assignment]  # a column's key, not the serializer's option
    in_key = serializers.BooleanField()
    source = serializers.CharField(help_text="contract or event")  # type: ignore[assignment]


class DatasetSerializer(serializers.Serializer[Any]):
    dataset = serializers.CharField(allow_null=True, help_text="name in contracts; null where no contract describes it")
    namespace = serializers.CharField()
    name = serializers.CharField(help_text="name in lineage events")
    layer = serializers.CharField()
    product = serializers.CharField(allow_null=True)
    description = serializers.CharField()
    uri = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    contract_version = serializers.CharField(allow_null=True)
    last_seen_at = serializers.DateTimeField(allow_null=True)


class DatasetDetailSerializer(DatasetSerializer):
    fields_ = FieldSerializer(many=True, help_text="columns in order")

    def get_fields(self) -> dict[str, Any]:
        found = super().get_fields()
        found["fields"] = found.pop("fields_")  # ``fields`` is an attribute of serializers
        return found


class _PageSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


class ProductPageSerializer(_PageSerializer):
    results = ProductSerializer(many=True)


class DatasetPageSerializer(_PageSerializer):
    results = DatasetSerializer(many=True)


def product_json(product: DataProduct, promise: registry.PromiseState) -> dict[str, Any]:
    return {
        "key": product.key,
        "name": product.name,
        "domain": product.domain,
        "description": product.description,
        "owner": product.owner.get_username() if product.owner else None,
        "steward": product.steward.get_username() if product.steward else None,
        "tier": product.tier,
        "state": product.state,
        "links": product.links,
        "promise": {"state": promise.state, "text": promise.text, "as_of": promise.as_of},
        "updated_at": product.updated_at,
    }


def dataset_json(dataset: Dataset) -> dict[str, Any]:
    return {
        "dataset": dataset.contract_name,
        "namespace": dataset.namespace,
        "name": dataset.name,
        "layer": dataset.layer,
        "product": dataset.product.key if dataset.product else None,
        "description": dataset.description,
        "uri": dataset.uri,
        "source": dataset.source,
        "contract_version": dataset.current_version.version if dataset.current_version else None,
        "last_seen_at": dataset.last_seen_at,
    }


def _text(name: str, about: str = "") -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, description=about)


_PAGING = [OpenApiParameter("limit", OpenApiTypes.INT), OpenApiParameter("offset", OpenApiTypes.INT)]


class _List(APIView):
    """Paged answers: {"count", "next", "previous", "results"}."""

    permission_classes = [READERS]

    def paged(self, request: Request, rows: Any) -> tuple[Pages, list[Any]]:
        pages = Pages()
        return pages, list(pages.paginate_queryset(rows, request, view=self) or [])

    def asked(self, request: Request, *names: str) -> dict[str, str]:
        return {name: request.query_params.get(name, "").strip() for name in names}


class ProductsView(_List):
    """Data products with owner, state and the present state of their promise."""

    @extend_schema(
        operation_id="products_list",
        parameters=[_text("domain"), _text("owner", "user name"), _text("state"), _text("search"), *_PAGING],
        responses=ProductPageSerializer,
        tags=["catalog"],
    )
    def get(self, request: Request) -> Response:
        pages, found = self.paged(request, selectors.products(**self.asked(request, "domain", "owner", "state", "search")))
        states = registry.promise_states(found)
        rows = [{**product_json(one, states[one.pk]), "dataset_count": one.dataset_count} for one in found]
        return pages.get_paginated_response(rows)


class ProductView(APIView):
    """One data product with the names of its datasets."""

    permission_classes = [READERS]

    @extend_schema(operation_id="products_read", responses={200: ProductSerializer, 404: OpenApiTypes.OBJECT}, tags=["catalog"])
    def get(self, request: Request, key: str) -> Response:
        product = selectors.product_by_key(key)
        if product is None:
            raise NotFound(f"There is no data product '{key}'.")
        names = [str(one) for one in product.datasets.all()]
        promise = registry.promise_states([product])[product.pk]
        return Response({**product_json(product, promise), "datasets": names, "dataset_count": len(names)})


class DatasetsView(_List):
    """Datasets of contracts and of lineage events."""

    @extend_schema(
        operation_id="datasets_list",
        parameters=[
            _text("layer", "bronze, silver, gold"),
            _text("product"),
            _text("source", "contract or event"),
            _text("search"),
            *_PAGING,
        ],
        responses=DatasetPageSerializer,
        tags=["catalog"],
    )
    def get(self, request: Request) -> Response:
        found = selectors.datasets(**self.asked(request, "layer", "product", "source", "search"))
        pages, rows = self.paged(request, found)
        return pages.get_paginated_response([dataset_json(one) for one in rows])


class DatasetView(APIView):
    """One dataset by its contract's name, with its columns."""

    permission_classes = [READERS]

    @extend_schema(
        operation_id="datasets_read", responses={200: DatasetDetailSerializer, 404: OpenApiTypes.OBJECT}, tags=["catalog"]
    )
    def get(self, request: Request, dataset: str) -> Response:
        found = selectors.dataset_by_name(dataset)
        if found is None:
            raise NotFound(f"There is no dataset '{dataset}'.")
        columns = ("name", "type", "description", "classification", "pii", "required", "in_key", "source")
        return Response({**dataset_json(found), "fields": list(selectors.dataset_fields(found).values(*columns))})
