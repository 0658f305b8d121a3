"""``GET /api/v1/evidence/kpis/{key}/{day}``: the whole trail of a figure."""

from __future__ import annotations

from datetime import date
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.accounts.permissions import HasRole
from controlplane.evidence.selectors import provenance
from controlplane.evidence.views import moment
from controlplane.ui.pages import STAFF_ROLES


class FigureSerializer(serializers.Serializer[Any]):
    kpi = serializers.CharField()
    title = serializers.CharField()
    unit = serializers.CharField()
    business_date = serializers.DateField()
    id = serializers.IntegerField(help_text="names this very figure: the parameter value")
    value = serializers.CharField(allow_null=True, help_text="decimal as text; null: not defined")
    numerator = serializers.CharField(allow_null=True)
    denominator = serializers.CharField(allow_null=True)
    as_of = serializers.DateTimeField(help_text="the moment that the figure refers to")
    computed_at = serializers.DateTimeField()
    dataset = serializers.CharField()
    step = serializers.UUIDField()
    run = serializers.UUIDField()
    environment = serializers.CharField()
    previous_id = serializers.IntegerField(allow_null=True, help_text="the figure that was known before")
    confirmed = serializers.DictField(help_text="{count, last_at}: later refreshes that came to the same")


class ProvenanceSerializer(serializers.Serializer[Any]):
    format = serializers.CharField(help_text="touchstone/provenance/1")
    figure = FigureSerializer()
    exact = serializers.BooleanField(help_text="whether every step had kept the table versions that it read")
    datasets = serializers.ListField(
        child=serializers.DictField(),
        help_text="the KPI first, then Gold by depth, then Silver: {dataset, layer, depth, read_by, partitions, versions_read,"
        " table_uri, steps: [{step, run, environment, contract, code, inputs, table_version, rows, quality, …}],"
        " files: {total, rows_total, complete, listed: [{logical_id, uri, sha256, size_bytes, rows, rows_used}]}, held_rows}",
    )
    sql = serializers.DictField(child=serializers.CharField(), help_text="SHA-256 → the SQL that ran")


class ProvenanceView(APIView):
    """The trail of a KPI's figure down to the raw files, without personal data.

    The newest figure of the day, or the one known ``at`` a moment, or the one with the id ``value``. Tables stand with the
    versions that the steps had read; a file with the rows that it had brought by then. Lists are in a fixed order.
    """

    permission_classes = [HasRole(*STAFF_ROLES)]

    @extend_schema(
        operation_id="evidence_provenance",
        tags=["evidence"],
        parameters=[
            OpenApiParameter("day", OpenApiTypes.DATE, OpenApiParameter.PATH, description="business day, 2026-11-24"),
            OpenApiParameter("at", OpenApiTypes.DATETIME, description="as it was known then; without offset: business time"),
            OpenApiParameter("value", OpenApiTypes.INT, description="id of a figure of that day"),
        ],
        responses={200: ProvenanceSerializer, 400: OpenApiTypes.OBJECT, 404: OpenApiTypes.OBJECT},
        examples=[
            OpenApiExample(
                "A figure",
                value={
                    "format": "touchstone/provenance/1",
                    "figure": {"kpi": "net_revenue", "business_date": "2026-11-24", "value": "184220.550000", "unit": "EUR"},
                    "exact": True,
                },
            )
        ],
    )
    def get(self, request: Request, key: str, day: str) -> Response:
        try:
            wanted = date.fromisoformat(day)
        except ValueError:
            raise ValidationError({"day": f"{day} is not a day; write it as 2026-11-24"}) from None
        at, fault = moment(request.query_params.get("at", ""))
        if fault:
            raise ValidationError({"at": fault})
        pk = request.query_params.get("value", "")
        if pk and not pk.isdigit():
            raise ValidationError({"value": "is the number of a figure"})
        found = provenance(key, wanted, at=at, value_pk=int(pk) if pk else None)
        if found is None:
            raise NotFound("no such figure was published for this day")
        return Response(found)
