"""``POST /api/v1/drops/{dataset}``: a drop sent over HTTP, checked and answered at once."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, PermissionDenied, ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.accounts.permissions import HasRole, apikey_allows
from pipeline.errors import Overloaded, UnknownDataset
from pipeline.models import Drop, DropState
from pipeline.services.landing import drop_receive

MAX_BYTES = 64 * 2**20


class RawParser(BaseParser):
    """The body as it is, whatever its media type."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        return bytes(stream.read(MAX_BYTES + 1))


class FaultSerializer(serializers.Serializer[Any]):
    place = serializers.CharField(help_text="line, record or column")
    reason = serializers.CharField()
    mend = serializers.CharField()


class DropSerializer(serializers.Serializer[Any]):
    drop = serializers.UUIDField()
    dataset = serializers.CharField()
    filename = serializers.CharField()
    state = serializers.ChoiceField(choices=DropState.choices)
    rows = serializers.IntegerField(allow_null=True)
    sha256 = serializers.CharField()
    bronze_uri = serializers.CharField(allow_null=True)
    faults = FaultSerializer(many=True)
    correlation_id = serializers.CharField(help_text="follow the drop through logs to the KPI with it")


def drop_json(drop: Drop) -> dict[str, Any]:
    return {
        "drop": str(drop.uuid),
        "dataset": drop.dataset,
        "filename": drop.filename,
        "state": drop.state,
        "rows": drop.rows,
        "sha256": drop.sha256,
        "bronze_uri": drop.bronze_file.uri if drop.bronze_file else None,
        "faults": drop.faults,
        "correlation_id": drop.correlation_id,
    }


class DropView(APIView):
    """Send the bytes of a drop. They are checked against the dataset's contract before Bronze accepts them."""

    permission_classes = [HasRole("producer", "steward")]
    parser_classes = [RawParser]

    @extend_schema(
        operation_id="drop_send",
        parameters=[OpenApiParameter("filename", OpenApiTypes.STR, required=True)],
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={
            201: DropSerializer,
            200: DropSerializer,
            422: DropSerializer,
            404: OpenApiTypes.OBJECT,
            411: OpenApiTypes.OBJECT,
            413: OpenApiTypes.OBJECT,
            503: OpenApiTypes.OBJECT,
            507: OpenApiTypes.OBJECT,
        },
        tags=["drops"],
    )
    def post(self, request: Request, dataset: str) -> Response:
        key: Any = request.auth
        if key is not None and not apikey_allows(key, dataset):
            raise PermissionDenied(f"This key is not bound to the namespace {dataset}.")
        filename = request.query_params.get("filename", "").replace("\0", "").strip()
        if not filename:
            raise ValidationError({"filename": "name the file: ?filename=orders_20261124.csv"})
        if not request.META.get("CONTENT_LENGTH") and request.META.get("HTTP_TRANSFER_ENCODING"):
            return Response({"detail": "Send the drop with a Content-Length, not in chunks."}, status=411)
        length = int(request.META.get("CONTENT_LENGTH") or 0)
        content: Any = request.data if 0 < length <= MAX_BYTES else b""
        if length > MAX_BYTES or len(content) > MAX_BYTES:
            text = f"At most {MAX_BYTES // 2**20} MB over HTTP; put larger files into the landing folder."
            return Response({"detail": text}, status=413)
        try:
            drop = drop_receive(
                dataset=dataset,
                filename=filename,
                content=content,
                source="http",
                received_by=str(getattr(request.user, "audit_ref", request.user)),
            )
        except UnknownDataset as error:
            raise NotFound(str(error)) from None
        except Overloaded as error:
            headers = {"Retry-After": str(error.retry_after_s)}
            body = {"detail": error.reason, "retry_after_s": error.retry_after_s}
            return Response(body, status=error.status, headers=headers)
        status = {DropState.ACCEPTED: 201, DropState.DUPLICATE: 200}.get(DropState(drop.state), 422)
        return Response(drop_json(drop), status=status)
