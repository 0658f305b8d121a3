"""Reproductions and evidence bundles over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.accounts.permissions import HasRole
from controlplane.evidence import selectors_reproductions
from controlplane.evidence.access import MayProve
from controlplane.evidence.models import Reproduction
from controlplane.evidence.services import bundles, reproductions
from controlplane.evidence.views_reproduce import bundle_response
from pipeline import selectors_reproduce
from pipeline.errors import NotReproducible

READERS = ("owner", "steward", "oncall", "dpo", "auditor")
AT = OpenApiParameter("at", OpenApiTypes.DATETIME, description="the figure as it was known at this moment")


class ReproductionRequestSerializer(serializers.Serializer[Any]):
    source = serializers.ChoiceField(  # type: ignore[assignment]  # a field of the document, not DRF's own of that name
        choices=Reproduction.Source.choices,
        default="bronze",
        help_text="bronze: raw files; delta: the lake's table versions, as long as they last",
    )
    at = serializers.DateTimeField(
        required=False,
        default_timezone=ZoneInfo(settings.BUSINESS_TIME_ZONE),
        help_text="the figure as it was known at this moment; without an offset it is business time",
    )


class ReproductionSerializer(serializers.Serializer[Any]):
    reproduction = serializers.UUIDField()
    kpi = serializers.CharField()
    business_date = serializers.DateField()
    value_id = serializers.IntegerField(help_text="row of the published figure")
    source = serializers.ChoiceField(choices=Reproduction.Source.choices)  # type: ignore[assignment]
    state = serializers.ChoiceField(choices=Reproduction.State.choices)
    outcome = serializers.ChoiceField(choices=Reproduction.Outcome.choices, allow_null=True, help_text="null until it is done")
    progress = serializers.DictField(help_text="{done, total, now, files_checked, files_total}")
    result = serializers.DictField(help_text="reason, published, computed, datasets, faults, erasures")
    error = serializers.CharField(allow_blank=True)
    requested_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class Gone(APIException):
    status_code = status.HTTP_410_GONE
    default_code = "not_reproducible"


def figure_or_404(key: str, day: str, at: datetime | None) -> Any:
    try:
        wanted = date.fromisoformat(day)
    except ValueError:
        raise ValidationError({"day": f"{day} is not a day; write it as 2026-11-24"}) from None
    value = selectors_reproduce.figure(key=key, day=wanted, at=at)
    if value is None:
        raise NotFound("no figure was published for this day" + (" by then" if at else ""))
    return value


class ReproductionsView(APIView):
    """Compute a published figure again, from its raw files or from the lake's versions."""

    permission_classes = [MayProve]

    @extend_schema(
        operation_id="reproduction_start",
        request=ReproductionRequestSerializer,
        responses={202: ReproductionSerializer},
        tags=["evidence"],
    )
    def post(self, request: Request, kpi: str, day: str) -> Response:
        asked = ReproductionRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        value = figure_or_404(kpi, day, asked.validated_data.get("at"))
        made = reproductions.reproduction_request(
            value_id=value.pk,
            source=asked.validated_data["source"],
            actor=request.user,
            user=request.user if request.auth is None else None,
        )
        body = bundles.reproduction_json(made)
        where = f"/api/v1/evidence/reproductions/{made.uuid}"
        return Response(body, status=status.HTTP_202_ACCEPTED, headers={"Location": where})


class ReproductionView(APIView):
    """One reproduction: progress while it runs, outcome when it is done."""

    permission_classes = [HasRole(*READERS)]

    @extend_schema(operation_id="reproduction", responses={200: ReproductionSerializer}, tags=["evidence"])
    def get(self, _request: Request, uuid: UUID) -> Response:
        one = selectors_reproductions.reproduction_by_uuid(uuid)
        if one is None:
            raise NotFound("no such reproduction")
        return Response(bundles.reproduction_json(one))


class BundleView(APIView):
    """The evidence bundle of a figure: a signed zip, for ``manage.py evidence verify``. Downloads are audited."""

    permission_classes = [MayProve]

    @extend_schema(
        operation_id="evidence_bundle",
        parameters=[AT],
        responses={
            (200, "application/zip"): OpenApiTypes.BINARY,
            410: OpenApiResponse(description="not reproducible any more"),
        },
        tags=["evidence"],
    )
    def get(self, request: Request, kpi: str, day: str) -> HttpResponse:
        asked = ReproductionRequestSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        value = figure_or_404(kpi, day, asked.validated_data.get("at"))
        try:
            data = bundles.bundle_build(value_id=value.pk)
        except NotReproducible as gone:
            raise Gone(str(gone)) from None
        bundles.bundle_handed_out(value_id=value.pk, data=data, actor=request.user)
        return bundle_response(value.pk, data)
