"""``POST /api/v1/lineage`` and ``/batch``: plain views, because every producer waits for them.

The answers follow what producers do with them: a 4xx makes the OpenLineage client drop the event for good, so it is given only
to what can never be accepted; overload and a missing database are 503 with ``Retry-After``.
"""

from __future__ import annotations

import hashlib
import time
import zlib
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from controlplane.accounts import services as accounts
from controlplane.accounts.models import ApiKey
from controlplane.accounts.permissions import user_has_role
from controlplane.accounts.principals import KeyPrincipal
from controlplane.accounts.roles import Role
from controlplane.accounts.selectors import apikey_by_secret
from controlplane.telemetry.metrics import histogram
from lineage import services
from lineage.domain.spec import Fault
from lineage.errors import Overloaded
from lineage.services import Ingested, Parsed

SECONDS = histogram("lineage_ingest_seconds", "Time to answer an ingest request", "kind")

EVENT_MAX_BYTES = 16 * 2**20
BATCH_MAX_BYTES = 32 * 2**20
RETRY_AFTER_S = 5
# A key read once serves this long: a revoked key is refused at most this much later.
KEY_CACHE_S = 2.0
_keys: dict[bytes, tuple[float, ApiKey]] = {}

View = Callable[[HttpRequest, ApiKey], HttpResponse]


class _Answer(Exception):
    def __init__(self, status: int, reason: str, path: str = "$", **headers: str) -> None:
        super().__init__(reason)
        self.response = JsonResponse({"error": reason, "path": path}, status=status)
        for name, value in headers.items():
            self.response[name.replace("_", "-")] = value


def _producers(kind: str) -> Callable[[View], Callable[[HttpRequest], HttpResponse]]:
    """POST with the key of a producer (or administrator); everything that can go wrong gets its answer here."""

    def decorate(view: View) -> Callable[[HttpRequest], HttpResponse]:
        @csrf_exempt  # there is no session: the key is in the header of each request
        @wraps(view)
        def answer(request: HttpRequest) -> HttpResponse:
            with SECONDS.time(kind=kind):
                try:
                    return view(request, _producer(request))
                except _Answer as refusal:
                    return refusal.response
                except Overloaded as overload:
                    return _busy(str(overload), overload.retry_after_s)
                except (OperationalError, InterfaceError):
                    return _busy("the database does not answer; the event was not stored", RETRY_AFTER_S)

        return answer

    return decorate


def _busy(reason: str, retry_after_s: int) -> HttpResponse:
    return JsonResponse({"error": reason, "path": "$"}, status=503, headers={"Retry-After": str(retry_after_s)})


def _producer(request: HttpRequest) -> ApiKey:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    key = _key(secret.strip()) if scheme.lower() == "bearer" else None
    if key is None:
        raise _Answer(401, "send the key of a producer: Authorization: Bearer ts_…", WWW_Authenticate="Bearer")
    if not user_has_role(KeyPrincipal(key), Role.PRODUCER):
        raise _Answer(403, "this needs the key of a producer")
    return key


def _key(secret: str) -> ApiKey | None:
    digest = hashlib.sha256(secret.encode()).digest()
    now = time.monotonic()
    cached = _keys.get(digest)
    if cached is not None and cached[0] > now:
        return cached[1]
    key = apikey_by_secret(secret)
    if key is None:
        _keys.pop(digest, None)
        return None
    accounts.apikey_touch(key=key)
    if len(_keys) > 1000:
        _keys.clear()
    _keys[digest] = (now + KEY_CACHE_S, key)
    return key


@_producers("event")
def event(request: HttpRequest, key: ApiKey) -> HttpResponse:
    """One event: 201 when it is new, 200 when it was sent before; both mean that it is stored.

    ``POST`` only; ``GET`` of the same address asks for the graph (``api.graph``).
    """
    text = _text(request, key, EVENT_MAX_BYTES)
    result = services.events_ingest(bodies=[text], producer=key)
    if result.failed:
        failure = result.failed[0]
        return JsonResponse({"error": failure.reason, "path": failure.path}, status=failure.status)
    return HttpResponse(status=201 if result.accepted else 200, content_type="application/json")


@_producers("batch")
def batch(request: HttpRequest, key: ApiKey) -> HttpResponse:
    """A bare array of events: 204 when all are stored, else 200 with a summary that names each one that is not."""
    if request.method != "POST":
        raise _Answer(405, "send a JSON array of events with POST", Allow="POST")
    text = _text(request, key, BATCH_MAX_BYTES)
    try:
        events: list[Parsed] = services.json_array(text)
    except Fault as fault:
        _keep(text, fault, key)
        raise _Answer(fault.status, fault.reason, fault.path) from None
    result = services.events_ingest(bodies=events, producer=key)
    if not result.failed:
        return HttpResponse(status=204)
    return JsonResponse(_summary(result))


def _summary(result: Ingested) -> dict[str, Any]:
    successful = result.received - len(result.failed)
    return {
        "status": "partial_success" if successful else "failure",
        "summary": {"received": result.received, "successful": successful, "failed": len(result.failed)},
        "failed_events": [
            {
                "index": failure.index,
                "reason": f"{failure.path}: {failure.reason}",
                "path": failure.path,
                "status": failure.status,
                "retriable": failure.retriable,
            }
            for failure in result.failed
        ],
    }


def _text(request: HttpRequest, key: ApiKey, limit: int) -> str:
    """The body as text, unpacked; 413 above the limit, whatever the packing hid."""
    raw = request.read(limit + 1)
    if len(raw) > limit:
        raise _Answer(413, f"the body is larger than {limit} bytes")
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "gzip":
        raw = _gunzip(raw, limit)
    elif encoding not in {"", "identity"}:
        raise _Answer(415, f"Content-Encoding {encoding!r} is not understood; gzip is")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fault = Fault("$", f"is not UTF-8 (byte {error.start})", status=400)
        _keep(raw.decode("utf-8", "replace"), fault, key)
        raise _Answer(400, fault.reason) from None


def _gunzip(raw: bytes, limit: int) -> bytes:
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        plain = unpacker.decompress(raw, limit + 1)
    except zlib.error as error:
        raise _Answer(400, f"the body is not gzip: {error}") from None
    if len(plain) > limit:
        raise _Answer(413, f"the unpacked body is larger than {limit} bytes")
    if not unpacker.eof:
        raise _Answer(400, "the gzip body is cut short")
    return plain


def _keep(text: str, fault: Fault, key: ApiKey) -> None:
    with transaction.atomic():
        services.quarantine(items=[(text, "", fault)], producer=key.name)
