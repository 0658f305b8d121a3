"""What every answer with figures carries: the event id, the run behind it, and whether the client has it already."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from pipeline.selectors_kpi import lake_reachable

log = structlog.get_logger(__name__)

CACHE_S = 2
UNREACHABLE = "The lake is unreachable; these figures are those of the last publication."


def _has_copy(sent: str, tag: str) -> bool:
    """Whether If-None-Match names the tag: a list, weak tags (a proxy that compresses makes them so), or any copy."""
    named = [one.strip().removeprefix("W/") for one in sent.split(",")]
    return tag in named or named == ["*"]


def figures_response(
    request: Request, *, dataset: str, version: str, run: str | None, build: Callable[[], dict[str, Any]]
) -> Response:
    """Answer with figures: 304 when the client's copy is current.

    Headers: ``X-Event-Id`` (stands in the log beside the run), ``X-Pipeline-Run``, ``ETag``, ``Cache-Control``.
    """
    event_id = str(uuid.uuid4())
    reachable = lake_reachable()
    tag = '"' + hashlib.sha256(f"{version}|{reachable}|{request.get_full_path()}".encode()).hexdigest()[:32] + '"'
    log.info("mart query", event_id=event_id, dataset=dataset, run=run, path=request.path)
    headers = {"X-Event-Id": event_id, "ETag": tag, "Cache-Control": f"private, max-age={CACHE_S}"}
    if run:
        headers["X-Pipeline-Run"] = run
    if not reachable:
        headers["Warning"] = f'110 - "{UNREACHABLE}"'
    if _has_copy(request.headers.get("If-None-Match", ""), tag):
        return Response(status=304, headers=headers)
    body = {
        **build(),
        "event_id": event_id,
        "served_at": timezone.now(),
        "lake": {"reachable": reachable, "notice": "" if reachable else UNREACHABLE},
    }
    return Response(body, headers=headers)
