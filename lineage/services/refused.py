"""What a person or a producer does with refused events: judge them again, send them corrected, close them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from controlplane.accounts.models import ApiKey, User
from controlplane.accounts.selectors import apikey_allows
from controlplane.audit import services as audit
from lineage.domain.spec import Fault, event_check
from lineage.models import Quarantine
from lineage.services.ingest import BODY_KEPT_BYTES, Failure, Parsed, events_ingest, json_parse
from lineage.services.projection import events_refold

__all__ = ["REPLAY_MAX", "Replayed", "quarantine_correct", "quarantine_dismiss", "quarantine_matching", "quarantine_replay"]

Actor = User | ApiKey | str
REPLAY_MAX = 1000
_INCOMPLETE = Failure(
    0, "$", f"only the first {BODY_KEPT_BYTES} bytes were kept: the producer has to send it again", status=422
)


@dataclass(frozen=True)
class Replayed:
    """What became of refused events that were judged again.

    ``accepted`` are now in the store and the graph, ``duplicates`` had reached the store meanwhile, ``refused`` are refused
    still (uuid → today's fault) and stay open, ``skipped`` were not open or not found.
    """

    accepted: tuple[uuid.UUID, ...] = ()
    duplicates: tuple[uuid.UUID, ...] = ()
    refused: tuple[tuple[uuid.UUID, Failure], ...] = ()
    skipped: tuple[uuid.UUID, ...] = ()

    @property
    def replayed(self) -> int:
        return len(self.accepted) + len(self.duplicates)


@transaction.atomic
def quarantine_replay(*, uuids: Iterable[uuid.UUID], actor: Actor) -> Replayed:
    """Judge open refused events by today's rules: those refused at ingest are stored, those not understood are folded again.

    At most ``REPLAY_MAX`` a call (ValueError above). One that is refused again stays open with today's reason. Each is held to
    the namespaces that its producer's key may speak for today. Doing it twice does nothing the second time. Raises
    ``Overloaded`` when the projection is too far behind.
    """
    wanted = _wanted(uuids)
    # Locked in one order, so that two people who replay the same selection do not wait for each other.
    items = list(Quarantine.objects.select_for_update().filter(uuid__in=wanted, state=Quarantine.State.OPEN).order_by("pk"))
    keys = {key.name: key for key in ApiKey.objects.filter(name__in={item.producer for item in items})}
    accepted: list[uuid.UUID] = []
    duplicates: list[uuid.UUID] = []
    refused: list[tuple[uuid.UUID, Failure]] = []
    for item in items:
        outcome = _again(item, keys.get(item.producer, item.producer))
        if isinstance(outcome, Failure):
            refused.append((item.uuid, outcome))
            continue
        (accepted if outcome else duplicates).append(item.uuid)
    _close([*accepted, *duplicates], Quarantine.State.REPLAYED)
    for key, fault in refused:
        Quarantine.objects.filter(uuid=key).update(path=fault.path[:2000], reason=fault.reason[:2000])
    found = {item.uuid for item in items}
    done = Replayed(tuple(accepted), tuple(duplicates), tuple(refused), tuple(key for key in wanted if key not in found))
    if items:
        payload = {
            "accepted": [str(key) for key in accepted],
            "duplicates": [str(key) for key in duplicates],
            "refused": [str(key) for key, _ in refused],
        }
        audit.record(action="lineage.quarantine_replay", actor=actor, target=_target(found), payload=payload)
    return done


@transaction.atomic
def quarantine_correct(*, uuid: uuid.UUID, body: str, actor: Actor) -> Replayed:
    """Store a corrected body in place of a refused one, which is thereby closed and keeps what was sent.

    Refused in its turn, the corrected body changes nothing: ``refused`` says why.
    """
    item = Quarantine.objects.select_for_update().filter(uuid=uuid, state=Quarantine.State.OPEN).first()
    if item is None or item.stage != Quarantine.Stage.INGEST:
        return Replayed(skipped=(uuid,))
    producer = ApiKey.objects.filter(name=item.producer).first() or item.producer
    outcome = _store(body, producer)
    if isinstance(outcome, Failure):
        return Replayed(refused=((uuid, outcome),))
    _close([uuid], Quarantine.State.REPLAYED)
    audit.record(action="lineage.quarantine_correct", actor=actor, target=_target({uuid}), payload={"new": outcome})
    return Replayed(accepted=(uuid,)) if outcome else Replayed(duplicates=(uuid,))


@transaction.atomic
def quarantine_dismiss(*, uuids: Iterable[uuid.UUID], actor: Actor, reason: str = "") -> tuple[uuid.UUID, ...]:
    """Close refused events without replaying them; returns those that were open. Their bodies stay."""
    wanted = _wanted(uuids)
    open_ = Quarantine.objects.select_for_update().filter(uuid__in=wanted, state=Quarantine.State.OPEN).order_by("pk")
    closed = tuple(item.uuid for item in open_)
    _close(closed, Quarantine.State.DISMISSED)
    if closed:
        payload = {"dismissed": [str(key) for key in closed]}
        audit.record(
            action="lineage.quarantine_dismiss", actor=actor, target=_target(set(closed)), payload=payload, reason=reason
        )
    return closed


def quarantine_matching(
    *,
    stage: str = "",
    producer: str = "",
    namespace: str = "",
    text: str = "",
    before: datetime | None = None,
    limit: int = REPLAY_MAX,
) -> list[uuid.UUID]:
    """Open refused events that a filter names, the oldest first: what a bulk action is given.

    ``text`` is looked for in path and reason; an empty filter matches all.
    """
    found = Quarantine.objects.filter(state=Quarantine.State.OPEN).order_by("received_at", "pk")
    for name, value in (("stage", stage), ("producer", producer), ("namespace", namespace)):
        if value:
            found = found.filter(**{name: value})
    if text:
        found = found.filter(reason__icontains=text) | found.filter(path__icontains=text)
    if before is not None:
        found = found.filter(received_at__lt=before)
    return list(found.values_list("uuid", flat=True)[:limit])


def _wanted(uuids: Iterable[uuid.UUID]) -> list[uuid.UUID]:
    wanted = list(dict.fromkeys(uuids))
    if len(wanted) > REPLAY_MAX:
        raise ValueError(f"at most {REPLAY_MAX} at once, these are {len(wanted)}")
    return wanted


def _close(keys: Sequence[uuid.UUID], state: Quarantine.State) -> None:
    Quarantine.objects.filter(uuid__in=keys).update(state=state)


def _target(keys: set[uuid.UUID]) -> str:
    return f"lineage.quarantine:{next(iter(keys))}" if len(keys) == 1 else "lineage.quarantine"


def _again(item: Quarantine, producer: ApiKey | str) -> int | Failure:
    """1: accepted now; 0: it had been before; or why it is refused still."""
    if item.stage == Quarantine.Stage.PROJECTION:
        fault = events_refold(event_id=item.event_id, body=item.body if item.body_bytes <= BODY_KEPT_BYTES else None)
        return 1 if fault is None else _failure(fault)
    if item.body_bytes > BODY_KEPT_BYTES:
        return _INCOMPLETE
    return _store(item.body, producer)


def _store(body: str, producer: ApiKey | str) -> int | Failure:
    try:
        parsed = _judged(body, producer)
    except Fault as fault:
        return _failure(fault)
    result = events_ingest(bodies=[parsed], producer=producer)
    return result.failed[0] if result.failed else result.accepted


def _judged(body: str, producer: ApiKey | str) -> Parsed:
    """Raises ``Fault``. Judged before it is handed to ingest, which would count a refusal as one more sending."""
    event = json_parse(body)
    event_check(event)
    namespace = (event.get("job") or event["dataset"])["namespace"]
    if isinstance(producer, ApiKey) and not apikey_allows(producer, namespace):
        path = "$.job.namespace" if event.get("job") else "$.dataset.namespace"
        raise Fault(path, f"the key {producer.name!r} may not speak for the namespace {namespace!r}", status=403)
    return Parsed(body, event)


def _failure(fault: Fault) -> Failure:
    return Failure(0, fault.path, fault.reason, fault.status)
