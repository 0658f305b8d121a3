"""The servers that accepted events go on to: how far each is, and its dead letters once more."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from controlplane.accounts.models import ApiKey
from controlplane.accounts.permissions import HasRole
from controlplane.accounts.roles import Role
from lineage import selectors, services
from lineage.api import reads, shapes

Json = dict[str, Any]


class Targets(reads.ReadView):
    @extend_schema(parameters=reads.PAGING, responses={200: dict}, operation_id="lineage_targets")
    def get(self, request: Request) -> Response:
        """Each server with its position: everything recorded up to it was sent there. `behindSeconds` 0: nothing waits."""
        configured = {target.name: target for target in services.targets()}
        due = set(selectors.forward_waiting())
        now = timezone.now()
        shown = [
            {
                "name": row.name,
                "url": configured[row.name].endpoint if row.name in configured else row.url,
                "configured": row.name in configured,
                "position": shapes.moment(row.position),
                "behindSeconds": round((now - row.position).total_seconds()) if row.name in due else 0,
                "sent": row.sent,
                "deadLetters": row.refused,
                "attempts": row.attempts,
                "nextTry": shapes.moment(row.due_at) if row.attempts else None,
                "lastSentAt": shapes.moment(row.last_sent_at),
                "lastError": row.last_error,
            }
            for row in selectors.forward_targets()
        ]
        rows, total = reads.page(shown, request)
        return reads.listed(request, "targets", rows, total)


class TargetRetry(reads.ReadView):
    permission_classes = [HasRole(Role.ONCALL)]
    http_method_names = ["post", "options"]

    def get_permissions(self) -> list[Any]:
        return [permission() for permission in self.permission_classes]

    @extend_schema(request=None, responses={200: dict}, operation_id="lineage_target_retry")
    def post(self, request: Request, name: str) -> Response:
        """Send the oldest 200 dead letters of a server once more; it waits for the server's answers."""
        if name not in {target.name for target in services.targets()}:
            raise NotFound(f"no target {name!r} is configured; GET /api/v1/lineage/targets lists them")
        actor: Any = request.auth if isinstance(request.auth, ApiKey) else request.user
        done = services.forward_retry(name=name, actor=actor)
        return Response({"sent": done.sent, "refused": done.refused, "stopped": done.stopped})
