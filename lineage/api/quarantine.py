"""Refused events: a producer sees, replays and closes its own; people do by role."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from controlplane.accounts.models import ApiKey, User
from controlplane.accounts.permissions import HasRole, user_has_role
from controlplane.accounts.roles import Role
from controlplane.ui.pages import EVERY_ROLE
from lineage import selectors, services
from lineage.api import reads, shapes
from lineage.models import Quarantine

Json = dict[str, Any]
# Bodies may hold personal data: those who act on them see them, the DPO too.
SEES_BODIES = (Role.ONCALL, Role.STEWARD, Role.DPO)
ACTS = (Role.PRODUCER, Role.ONCALL, Role.STEWARD)


class ReplaySerializer(serializers.Serializer[Any]):
    uuids = serializers.ListField(child=serializers.UUIDField(), required=False, max_length=services.REPLAY_MAX)
    body = serializers.CharField(required=False, help_text="a corrected event, in place of the one that was refused")


class DismissSerializer(serializers.Serializer[Any]):
    uuids = serializers.ListField(child=serializers.UUIDField(), required=False, max_length=services.REPLAY_MAX)
    reason = serializers.CharField(required=False, allow_blank=True, max_length=2000)


class _View(reads.ReadView):
    permission_classes = [HasRole(*EVERY_ROLE)]

    def rows(self, request: Request) -> Any:
        """What this reader may see: a producer's key its own."""
        return selectors.refused_events(key=_own(request))

    def item(self, request: Request, key: uuid.UUID) -> Quarantine:
        row = self.rows(request).filter(uuid=key).first()
        if row is None:
            raise NotFound("there is no such refused event, or it is another producer's")
        return row  # type: ignore[no-any-return]


class _Action(_View):
    permission_classes = [HasRole(*ACTS)]
    http_method_names = ["post", "options"]

    def wanted(self, request: Request, given: Json, key: uuid.UUID | None) -> list[uuid.UUID]:
        """The events to act on, all of which the caller may see."""
        keys = [key] if key else list(given.get("uuids") or ())
        if not keys:
            raise ValidationError({"uuids": ["name the refused events; GET /api/v1/lineage/quarantine?state=open lists them"]})
        mine = set(self.rows(request).filter(uuid__in=keys).values_list("uuid", flat=True))
        if missing := [str(item) for item in keys if item not in mine]:
            raise NotFound(f"no such refused events, or another producer's: {', '.join(missing[:10])}")
        return keys

    def get_permissions(self) -> list[Any]:
        return [permission() for permission in self.permission_classes]


class QuarantineList(_View):
    @extend_schema(
        parameters=[
            *reads.PAGING,
            OpenApiParameter("state", str, enum=["open", "replayed", "dismissed"]),
            OpenApiParameter("stage", str, enum=["ingest", "projection"]),
            OpenApiParameter("namespace", str),
            OpenApiParameter("producer", str, description="name of the key"),
        ],
        responses={200: dict},
        operation_id="lineage_quarantine",
    )
    def get(self, request: Request) -> Response:
        """Refused events, newest first. A producer sees its own, with bodies; everybody else sees that they exist."""
        state = reads.choice(request, "state", ("", "open", "replayed", "dismissed"), "")
        stage = reads.choice(request, "stage", ("", "ingest", "projection"), "")
        asked = {name: request.query_params.get(name, "") for name in ("namespace", "producer")} | {
            "state": state,
            "stage": stage,
        }
        found = self.rows(request).filter(**{name: value for name, value in asked.items() if value})
        rows, total = reads.page(found, request)
        own = _own(request) is not None
        return reads.listed(request, "refused", [_shown(row, body=own) for row in rows], total)


class QuarantineItem(_View):
    @extend_schema(responses={200: dict}, operation_id="lineage_quarantine_item")
    def get(self, request: Request, key: uuid.UUID) -> Response:
        """One refused event; with its body for its producer, and for on-call, steward and DPO."""
        row = self.item(request, key)
        return Response(_shown(row, body=_own(request) is not None or user_has_role(request.user, *SEES_BODIES)))


class QuarantineReplay(_Action):
    @extend_schema(request=ReplaySerializer, responses={200: dict}, operation_id="lineage_quarantine_replay")
    def post(self, request: Request, key: uuid.UUID | None = None) -> Response:
        """Judge refused events again by today's rules; or send one corrected. What is refused again stays open and says why."""
        given = ReplaySerializer(data=request.data)
        given.is_valid(raise_exception=True)
        wanted = self.wanted(request, given.validated_data, key)
        body = given.validated_data.get("body")
        if body is not None and key is None:
            raise ValidationError({"body": ["a corrected event goes to /api/v1/lineage/quarantine/<id>/replay"]})
        if body is not None and key is not None:
            done = services.quarantine_correct(uuid=key, body=body, actor=_actor(request))
        else:
            done = services.quarantine_replay(uuids=wanted, actor=_actor(request))
        return Response(
            {
                "accepted": [str(item) for item in done.accepted],
                "duplicates": [str(item) for item in done.duplicates],
                "refused": [{"id": str(item), "path": fault.path, "reason": fault.reason} for item, fault in done.refused],
                "skipped": [str(item) for item in done.skipped],
            }
        )


class QuarantineDismiss(_Action):
    @extend_schema(request=DismissSerializer, responses={200: dict}, operation_id="lineage_quarantine_dismiss")
    def post(self, request: Request, key: uuid.UUID | None = None) -> Response:
        """Close refused events without replaying them; their bodies stay."""
        given = DismissSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        wanted = self.wanted(request, given.validated_data, key)
        closed = services.quarantine_dismiss(uuids=wanted, actor=_actor(request), reason=given.validated_data.get("reason", ""))
        return Response({"dismissed": [str(item) for item in closed]})


@extend_schema_view(post=extend_schema(operation_id="lineage_quarantine_replays"))
class QuarantineReplays(QuarantineReplay):
    """Many at once."""


@extend_schema_view(post=extend_schema(operation_id="lineage_quarantine_dismissals"))
class QuarantineDismissals(QuarantineDismiss):
    """Many at once."""


def _own(request: Request) -> ApiKey | None:
    return request.auth if isinstance(request.auth, ApiKey) and request.auth.role == Role.PRODUCER else None


def _actor(request: Request) -> ApiKey | User:
    return request.auth if isinstance(request.auth, ApiKey) else request.user  # type: ignore[return-value]


def _shown(row: Quarantine, *, body: bool) -> Json:
    shown: Json = {
        "id": str(row.uuid),
        "producer": row.producer,
        "namespace": row.namespace,
        "stage": row.stage,
        "state": row.state,
        "path": row.path,
        "reason": row.reason,
        "times": row.times,
        "receivedAt": shapes.moment(row.received_at),
        "lastReceivedAt": shapes.moment(row.last_received_at),
        "bodyBytes": row.body_bytes,
    }
    return {**shown, "body": row.body} if body else shown
