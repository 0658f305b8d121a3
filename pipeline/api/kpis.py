"""``GET /api/v1/kpis``: the six figures as they stand."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.accounts.permissions import HasRole
from pipeline.api.responses import figures_response
from pipeline.selectors_kpi import KpiReading, figures_version, kpi_readings

SERIES_DAYS = 14
READERS = ("owner", "steward", "oncall", "dpo", "auditor")


class TrendPointSerializer(serializers.Serializer[Any]):
    business_date = serializers.DateField()
    value = serializers.DecimalField(max_digits=24, decimal_places=6, allow_null=True)


class FreshnessSerializer(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=["on_time", "late", "unknown"])
    refreshed_at = serializers.DateTimeField(allow_null=True)
    due_at = serializers.DateTimeField(allow_null=True, help_text="when it becomes late")
    max_age_s = serializers.IntegerField(help_text="the KPI's cadence: its maximum age, seconds")


class TrendSerializer(serializers.Serializer[Any]):
    previous = serializers.DecimalField(max_digits=24, decimal_places=6, allow_null=True)
    change_ratio = serializers.FloatField(allow_null=True, help_text="(value − previous) / |previous|")
    series = TrendPointSerializer(many=True)


class KpiSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    title = serializers.CharField()
    value = serializers.DecimalField(max_digits=24, decimal_places=6, allow_null=True, help_text="null: not defined")
    unit = serializers.CharField()
    business_date = serializers.DateField(allow_null=True)
    as_of = serializers.DateTimeField(allow_null=True, help_text="the moment the figure refers to")
    better = serializers.ChoiceField(choices=["higher", "lower"])
    trend = TrendSerializer()
    freshness = FreshnessSerializer()
    run = serializers.UUIDField(allow_null=True, help_text="pipeline run that refreshed it last")
    dataset = serializers.CharField()
    contract_version = serializers.CharField()


class KpisSerializer(serializers.Serializer[Any]):
    kpis = KpiSerializer(many=True)
    event_id = serializers.UUIDField(help_text="also in X-Event-Id, and in the log beside the run")
    served_at = serializers.DateTimeField()
    lake = serializers.DictField(help_text="{reachable, notice}")


class KpisView(APIView):
    """Every KPI with unit, trend, as-of, freshness against its cadence, and the run behind it."""

    permission_classes = [HasRole(*READERS)]

    @extend_schema(
        operation_id="kpis",
        responses={200: KpisSerializer, 304: None},
        examples=[OpenApiExample("One KPI", value={"kpis": [{"key": "net_revenue", "value": "184220.15", "unit": "EUR"}]})],
        tags=["figures"],
    )
    def get(self, request: Request) -> Response:
        now = timezone.now()
        readings = kpi_readings(now)
        states = ",".join(reading.freshness.state for reading in readings)
        runs = [str(reading.step.run.uuid) for reading in readings if reading.step]
        return figures_response(
            request,
            dataset="kpis",
            version=f"{figures_version()}|{states}",
            run=runs[0] if runs else None,
            build=lambda: {"kpis": [reading_json(reading) for reading in readings]},
        )


def reading_json(reading: KpiReading) -> dict[str, Any]:
    """A reading as the API shows it (``KpiSerializer``)."""
    return {
        "key": reading.kpi.key,
        "title": reading.kpi.title,
        "value": reading.value,
        "unit": reading.kpi.unit,
        "business_date": reading.business_date,
        "as_of": reading.last.as_of if reading.last else None,
        "better": reading.kpi.better,
        "trend": {
            "previous": reading.previous.value if reading.previous else None,
            "change_ratio": reading.change,
            "series": [{"business_date": one.business_date, "value": one.value} for one in reading.values[-SERIES_DAYS:]],
        },
        "freshness": {
            "state": reading.freshness.state,
            "refreshed_at": reading.freshness.refreshed_at,
            "due_at": reading.freshness.due_at,
            "max_age_s": reading.freshness.max_age_s,
        },
        "run": str(reading.step.run.uuid) if reading.step else None,
        "dataset": reading.contract.dataset,
        "contract_version": reading.contract.version,
    }
