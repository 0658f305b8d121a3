"""``/api/v1/contracts``: read contracts as JSON or YAML, import new versions."""

from __future__ import annotations

import json
from typing import Any, cast

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog import selectors, services
from catalog.api.products import READERS
from catalog.domain.shapes import json_schema
from catalog.domain.yaml_source import MAX_BYTES
from catalog.errors import ContractInvalid, EditRefused, StaleBase, VersionRefused
from catalog.models import ContractVersion, Dataset
from controlplane.accounts.permissions import HasRole
from controlplane.accounts.principals import actor_of
from controlplane.accounts.roles import Role


class YamlParser(BaseParser):
    """The body as it is: YAML whatever the media type says, since clients disagree on YAML's."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        return bytes(stream.read(MAX_BYTES + 1))


class YamlRenderer(BaseRenderer):
    """The author's text. Errors are written as JSON, which is YAML too."""

    media_type = "application/yaml"
    format = "yaml"
    charset = "utf-8"

    def render(self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None) -> bytes:
        text = data.get("text") if isinstance(data, dict) else None
        return (text if isinstance(text, str) else json.dumps(data, default=str)).encode()


class ChangeSerializer(serializers.Serializer[Any]):
    where = serializers.CharField()
    what = serializers.CharField()
    weight = serializers.ChoiceField(choices=["breaking", "compatible", "wording"])


class ContractSerializer(serializers.Serializer[Any]):
    dataset = serializers.CharField()
    version = serializers.CharField()
    current = serializers.BooleanField()
    base = serializers.CharField(allow_null=True)
    origin = serializers.CharField()
    breaking = serializers.BooleanField()
    changes = ChangeSerializer(many=True)
    sha256 = serializers.CharField()
    created_at = serializers.DateTimeField()
    text = serializers.CharField(required=False, help_text="the author's YAML")
    document = serializers.DictField(required=False)
    record_schema = serializers.DictField(required=False, help_text="JSON Schema of one record of a drop (Silver)")


class ContractFaultSerializer(serializers.Serializer[Any]):
    line = serializers.IntegerField()
    column = serializers.IntegerField()
    path = serializers.CharField()
    reason = serializers.CharField()


class RefusalSerializer(serializers.Serializer[Any]):
    detail = serializers.CharField()
    faults = ContractFaultSerializer(many=True, required=False)
    changes = serializers.ListField(child=serializers.CharField(), required=False)
    current = serializers.CharField(required=False)
    diff = serializers.CharField(required=False)


def version_json(version: ContractVersion, *, whole: bool = True) -> dict[str, Any]:
    told: dict[str, Any] = {
        "dataset": version.dataset.contract_name,
        "version": version.version,
        "current": version.dataset.current_version_id == version.pk,
        "base": version.base.version if version.base else None,
        "origin": version.origin,
        "breaking": version.breaking,
        "changes": version.changes,
        "sha256": version.sha256,
        "created_at": version.created_at,
    }
    if whole:
        contract = selectors.contract_of(version)
        told |= {"text": version.text, "document": version.document}
        told["record_schema"] = json_schema(contract) if contract.layer == "silver" else None
    return told


class ContractsView(APIView):
    """The current version of every contract; POST imports one."""

    permission_classes = [HasRole(Role.OWNER, Role.STEWARD)]
    parser_classes = [YamlParser]

    def get_permissions(self) -> Any:
        return [READERS()] if self.request.method in {"GET", "HEAD", "OPTIONS"} else super().get_permissions()

    @extend_schema(operation_id="contracts_list", responses=ContractSerializer(many=True), tags=["catalog"])
    def get(self, request: Request) -> Response:
        return Response([version_json(one, whole=False) for one in selectors.contract_versions_current()])

    @extend_schema(
        operation_id="contracts_import",
        parameters=[
            OpenApiParameter(
                "base_version", OpenApiTypes.STR, description="version the text was made from; not for a new dataset"
            ),
            OpenApiParameter("dry_run", OpenApiTypes.BOOL, description="check and compare only"),
        ],
        request={"application/yaml": OpenApiTypes.STR},
        responses={
            201: ContractSerializer,
            200: ContractSerializer,
            403: RefusalSerializer,
            409: RefusalSerializer,
            422: RefusalSerializer,
        },
        tags=["catalog"],
    )
    def post(self, request: Request) -> Response:
        dry_run = request.query_params.get("dry_run", "").lower() in {"1", "true", "yes"}
        try:
            done = services.contract_offer(
                text=cast(bytes, request.data),
                actor=actor_of(request),
                base_version=request.query_params.get("base_version") or None,
                filename="body",
                origin="api",
                dry_run=dry_run,
            )
        except ContractInvalid as error:
            faults = [fault.as_dict() for fault in error.faults]
            return Response({"detail": "The contract has faults; nothing was imported.", "faults": faults}, status=422)
        except StaleBase as error:
            return Response({"detail": str(error), "current": error.current, "diff": error.diff}, status=409)
        except VersionRefused as error:
            return Response({"detail": str(error), "changes": error.changes, "diff": error.diff}, status=409)
        except EditRefused as error:
            raise PermissionDenied(str(error)) from None
        if done.version is None or dry_run:
            changes = [{"where": one.where, "what": one.what, "weight": one.weight} for one in done.changes]
            return Response({"dataset": done.contract.dataset, "version": done.contract.version, "changes": changes})
        return Response(version_json(done.version), status=201 if done.created else 200)


class ContractView(APIView):
    """A contract as JSON, or as its author's YAML (``Accept: application/yaml`` or ``?format=yaml``)."""

    permission_classes = [READERS]
    renderer_classes = [JSONRenderer, YamlRenderer]

    @extend_schema(
        operation_id="contracts_read",
        parameters=[OpenApiParameter("version", OpenApiTypes.STR, description="default: the current version")],
        responses={
            (200, "application/json"): ContractSerializer,
            (200, "application/yaml"): OpenApiTypes.STR,
            404: OpenApiTypes.OBJECT,
        },
        tags=["catalog"],
    )
    def get(self, request: Request, dataset: str) -> Response:
        asked = request.query_params.get("version")
        try:
            version = selectors.contract_version(dataset, asked) if asked else selectors.contract_version_current(dataset)
        except Dataset.DoesNotExist:
            version = None
        if version is None:
            raise NotFound(f"There is no contract of '{dataset}'" + (f" of version {asked}." if asked else "."))
        return Response(version_json(version), headers={"ETag": f'"{version.sha256}"'})
