"""``POST /api/v1/lineage`` and ``/batch``: what is checked and answered, whichever way the request came.

The answers follow what producers do with them: a 4xx makes the OpenLineage client drop the event for good, so it is given only
to what can never be accepted; overload and a missing database are 503 with ``Retry-After``. Requests come through Django's
views below, or around its request cycle through ``lineage.api.wsgi``.
"""

from __future__ import annotations

import hashlib
import json
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse
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

Kind = Literal["event", "batch"]


@dataclass(slots=True)
class Sent:
    """A request: ``read(n)`` gives up to n bytes of the body, fewer only at its end."""

    authorization: str
    encoding: str
    read: Callable[[int], bytes]


@dataclass(slots=True)
class Answer:
    """``content`` is sent as JSON; None is an empty body."""

    status: int
    content: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        return b"" if self.content is None else json.dumps(self.content).encode()


class _Refused(Exception):
    def __init__(self, status: int, reason: str, path: str = "$", **headers: str) -> None:
        super().__init__(reason)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = Answer(status, {"error": reason, "path": path}, named)


def answer(kind: Kind, sent: Sent) -> Answer:
    """Take in one event (201 new, 200 sent before) or a bare array of events (204, or 200 naming each that is not stored).

    Needs the key of a producer or administrator. Everything that can go wrong gets its answer here.
    """
    with SECONDS.time(kind=kind):
        try:
            key = _producer(sent)
            return _event(sent, key) if kind == "event" else _batch(sent, key)
        except _Refused as refusal:
            return refusal.answer
        except Overloaded as overload:
            return _busy(str(overload), overload.retry_after_s)
        except (OperationalError, InterfaceError):
            return _busy("the database does not answer; the event was not stored", RETRY_AFTER_S)


def _busy(reason: str, retry_after_s: int) -> Answer:
    return Answer(HTTPStatus.SERVICE_UNAVAILABLE, {"error": reason, "path": "$"}, {"Retry-After": str(retry_after_s)})


def _producer(sent: Sent) -> ApiKey:
    scheme, _, secret = sent.authorization.partition(" ")
    key = _key(secret.strip()) if scheme.lower() == "bearer" else None
    if key is None:
        raise _Refused(401, "send the key of a producer: Authorization: Bearer ts_…", WWW_Authenticate="Bearer")
    if not user_has_role(KeyPrincipal(key), Role.PRODUCER):
        raise _Refused(403, "this needs the key of a producer")
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


def _event(sent: Sent, key: ApiKey) -> Answer:
    text = _text(sent, key, EVENT_MAX_BYTES)
    result = services.events_ingest(bodies=[text], producer=key)
    if result.failed:
        failure = result.failed[0]
        return Answer(failure.status, {"error": failure.reason, "path": failure.path})
    return Answer(HTTPStatus.CREATED if result.accepted else HTTPStatus.OK)


def _batch(sent: Sent, key: ApiKey) -> Answer:
    text = _text(sent, key, BATCH_MAX_BYTES)
    try:
        events: list[Parsed] = services.json_array(text)
    except Fault as fault:
        _keep(text, fault, key)
        raise _Refused(fault.status, fault.reason, fault.path) from None
    result = services.events_ingest(bodies=events, producer=key)
    return Answer(HTTPStatus.OK, _summary(result)) if result.failed else Answer(HTTPStatus.NO_CONTENT)


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


def _text(sent: Sent, key: ApiKey, limit: int) -> str:
    """The body as text, unpacked; 413 above the limit, whatever the packing hid."""
    raw = sent.read(limit + 1)
    if len(raw) > limit:
        raise _Refused(413, f"the body is larger than {limit} bytes")
    encoding = sent.encoding.strip().lower()
    if encoding == "gzip":
        raw = _gunzip(raw, limit)
    elif encoding not in {"", "identity"}:
        raise _Refused(415, f"Content-Encoding {encoding!r} is not understood; gzip is")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fault = Fault("$", f"is not UTF-8 (byte {error.start})", status=400)
        _keep(raw.decode("utf-8", "replace"), fault, key)
        raise _Refused(400, fault.reason) from None


def _gunzip(raw: bytes, limit: int) -> bytes:
    """All members of a gzip body; never more than the limit in memory, whatever a bomb would grow to."""
    plain, left = b"", raw
    while left or not plain:
        unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            plain += unpacker.decompress(left, limit + 1 - len(plain))
        except zlib.error as error:
            raise _Refused(400, f"the body is not gzip: {error}") from None
        if len(plain) > limit:
            raise _Refused(413, f"the unpacked body is larger than {limit} bytes")
        if not unpacker.eof:
            raise _Refused(400, "the gzip body is cut short")
        if not plain and not unpacker.unused_data:
            break
        left = unpacker.unused_data
    return plain


def _keep(text: str, fault: Fault, key: ApiKey) -> None:
    with transaction.atomic():
        services.quarantine(items=[(text, "", fault)], producer=key.name)


# --- through Django


@csrf_exempt  # there is no session: the key is in the header of each request
def event(request: HttpRequest) -> HttpResponse:
    """``POST`` one event; ``GET`` of the same address asks for the graph (``api.graph``)."""
    return _response(answer("event", _sent(request)))


@csrf_exempt
def batch(request: HttpRequest) -> HttpResponse:
    """``POST`` a bare array of events."""
    if request.method != "POST":
        refusal = _Refused(405, "send a JSON array of events with POST", Allow="POST")
        return _response(refusal.answer)
    return _response(answer("batch", _sent(request)))


def _sent(request: HttpRequest) -> Sent:
    return Sent(request.headers.get("Authorization", ""), request.headers.get("Content-Encoding", ""), request.read)


def _response(found: Answer) -> HttpResponse:
    return HttpResponse(found.body, status=found.status, content_type="application/json", headers=found.headers)
