"""Taking drops in: checked at the edge, kept verbatim, never half applied."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from catalog.domain.contract import Contract
from catalog.selectors import contract_or_none
from controlplane.lake import services as lake
from controlplane.outbox import services as outbox
from controlplane.telemetry import context
from controlplane.telemetry.failpoints import failpoint
from pipeline.domain.decode import Decoded, decode
from pipeline.errors import DropRefused, Fault
from pipeline.models import BronzeFile, Drop, DropState, Reason, Work, WorkKind
from pipeline.selectors import contract_of
from pipeline.services import events, watermarks
from pipeline.services.bronze import SUBJECT, bronze_key, decoded_key, decoded_uri, parquet_bytes, store_key, subject_tokens

__all__ = [
    "SUBJECT",
    "bronze_key",
    "decoded_uri",
    "drop_check",
    "drop_receive",
    "drop_refuse",
    "drop_register",
    "drops_check",
    "parquet_bytes",
    "safe_filename",
    "spool_path",
    "store_key",
    "subject_tokens",
]

log = structlog.get_logger(__name__)

GROUP_BYTES = 8_000_000  # raw bytes checked together: bounds what a group holds in memory, and how long its first drop waits
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def safe_filename(name: str) -> str:
    """A file name that cannot leave its folder."""
    return _UNSAFE.sub("_", name.replace("\\", "/").rsplit("/", 1)[-1]).lstrip(".")[:200] or "drop"


def drop_receive(*, dataset: str, filename: str, content: bytes, source: str, received_by: str = "") -> Drop:
    """Take in a drop sent as bytes and check it at once.

    Returns the drop, accepted, refused (``faults``) or duplicate. Raises ``UnknownDataset``, and ``Overloaded`` when a
    watermark is passed (then nothing is kept: the sender still has it).
    """
    contract_of(dataset)
    watermarks.admit(size_bytes=len(content))
    identity = uuid.uuid4().hex
    spool = spool_path(dataset, identity=identity, filename=filename)
    spool.parent.mkdir(parents=True, exist_ok=True)
    with spool.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    drop = drop_register(
        dataset=dataset,
        filename=filename,
        spool=spool,
        size_bytes=len(content),
        source=source,
        received_by=received_by,
        identity=identity,
    )
    return drop_check(drop_id=drop.pk)


def spool_path(dataset: str, *, identity: str, filename: str) -> Path:
    """Where the bytes of a drop wait for their check: out of the sender's reach, and telling whose they are."""
    return Path(settings.LANDING_DIR) / ".spool" / dataset / f"{identity}_{safe_filename(filename)}"


def drop_register(
    *, dataset: str, filename: str, spool: Path, size_bytes: int, source: str, received_by: str, identity: str
) -> Drop:
    """Record that bytes have arrived, to be found at ``spool``; the same ``identity`` twice is one drop."""
    drop, _ = Drop.objects.get_or_create(
        identity=identity,
        defaults={
            "dataset": dataset,
            "filename": filename[:500],
            "source": source,
            "received_by": received_by,
            "spool_path": str(spool),
            "size_bytes": size_bytes,
            "correlation_id": context.correlation_id() or uuid.uuid4().hex,
        },
    )
    return drop


def drops_check(*, drop_ids: Sequence[int]) -> None:
    """Check landed drops in groups that share queries, folder syncs and a transaction.

    Where a group fails, its drops are checked one by one, so that one that cannot be read does not stop the others; it stays
    landed, and the sweep has it checked again.
    """
    found = Drop.objects.in_bulk(drop_ids)
    for group in _groups([found[one] for one in drop_ids if one in found]):
        try:
            _check(group)
        except Exception as error:
            log.warning("drops are checked one by one", drops=len(group), error=type(error).__name__)
            for drop in group:
                try:
                    drop_check(drop_id=drop.pk)
                except Exception as fault:
                    log.error("drop check failed", drop_id=drop.pk, error=type(fault).__name__)


def drop_check(*, drop_id: int) -> Drop:
    """Check a landed drop against its contract and take it into Bronze, or refuse it with every fault.

    Safe to repeat at any point: each stage either left its whole effect or none.
    """
    try:
        _check([Drop.objects.get(pk=drop_id)])
    except IntegrityError:  # the same content, taken in by another check at the same moment
        _check([Drop.objects.get(pk=drop_id)])
    return Drop.objects.select_related("bronze_file").get(pk=drop_id)


@dataclass
class _Check:
    """A drop on its way through the check: what it holds, and what is to become of it."""

    drop: Drop
    content: bytes
    sha256: str
    contract: Contract | None
    decoded: Decoded | None = None
    faults: list[Fault] = field(default_factory=list)
    kept_uri: str = ""

    @property
    def identity(self) -> tuple[str, str]:
        return self.drop.dataset, self.sha256

    @property
    def logical_id(self) -> str:
        return f"{self.drop.dataset}-{self.sha256[:32]}"


def _groups(drops: Iterable[Drop]) -> Iterator[list[Drop]]:
    group: list[Drop] = []
    size_bytes = 0
    for drop in drops:
        if group and size_bytes + drop.size_bytes > GROUP_BYTES:
            yield group
            group, size_bytes = [], 0
        group.append(drop)
        size_bytes += drop.size_bytes
    if group:
        yield group


def _check(drops: list[Drop]) -> None:
    """Each stage for all of them: read, decode, store, and then record in one transaction."""
    contracts = {dataset: contract_or_none(dataset) for dataset in {drop.dataset for drop in drops}}
    checks = [check for drop in drops if (check := _read(drop, contracts[drop.dataset])) is not None]
    known = _known(checks)
    fresh: dict[tuple[str, str], _Check] = {}
    for check in checks:
        with context.bind(correlation_id=check.drop.correlation_id):
            if check.identity not in known and check.identity not in fresh and _decode(check):
                fresh[check.identity] = check
    _store(list(fresh.values()))
    if checks:
        _record(checks, fresh)


def _read(drop: Drop, contract: Contract | None) -> _Check | None:
    if drop.state != DropState.LANDED:
        _forget_spool(drop)
        return None
    spool = Path(drop.spool_path)
    if not spool.exists():
        return None  # taken a moment ago, the rename comes with the commit; the sweep looks again
    content = spool.read_bytes()
    return _Check(drop, content, hashlib.sha256(content).hexdigest(), contract)


def _known(checks: Iterable[_Check]) -> dict[tuple[str, str], BronzeFile]:
    """Bronze files of the same contents, by (dataset, SHA-256)."""
    wanted = {check.identity for check in checks}
    files = BronzeFile.objects.filter(dataset__in={one[0] for one in wanted}, sha256__in={one[1] for one in wanted})
    return {(file.dataset, file.sha256): file for file in files if (file.dataset, file.sha256) in wanted}


def _decode(check: _Check) -> bool:
    """Read the records, or note and keep what is wrong. Whether the drop can be accepted."""
    drop = check.drop
    try:
        if check.contract is None:
            reason = f"no contract names a dataset {drop.dataset!r}; see `manage.py contract import`"
            raise DropRefused([Fault("folder", reason, "Import its contract, then send the file again.")])
        check.decoded = decode(Path(drop.spool_path), check.contract, logical_id=check.logical_id, tokens=subject_tokens)
    except DropRefused as refusal:
        check.faults = refusal.faults
        store = lake.store()
        key = f"refused/{drop.dataset}/{drop.uuid}/{safe_filename(drop.filename)}"
        store.put_once(key, check.content)
        check.kept_uri = store.uri(key)
        return False
    return True


def _store(fresh: list[_Check]) -> None:
    """Durable copies, verbatim and decoded. One that is there already comes from an attempt that was killed after this."""
    store = lake.store()
    for check in fresh:
        failpoint("landing.before_bronze", check.drop.dataset)
    store.put_all({_bronze_key(check): check.content for check in fresh})
    for check in fresh:
        failpoint("landing.after_bronze", check.drop.dataset)
    store.put_all({_decoded_key_of(check): parquet_bytes(check.decoded) for check in fresh if check.decoded})
    for check in fresh:
        failpoint("landing.after_decoded", check.drop.dataset)


def _bronze_key(check: _Check) -> str:
    assert check.contract is not None
    return bronze_key(check.contract, logical_id=check.logical_id, received_at=check.drop.received_at)


def _decoded_key_of(check: _Check) -> str:
    assert check.contract is not None
    return decoded_key(check.contract, check.logical_id)


@transaction.atomic
def _record(checks: list[_Check], fresh: dict[tuple[str, str], _Check]) -> None:
    """Files, work, events and the drops' states, together."""
    # In one order, so that two checks of the same drops wait for each other instead of both giving up.
    ours = {check.drop.pk for check in checks}
    locked = Drop.objects.select_for_update().filter(pk__in=ours).order_by("pk").in_bulk()
    open_checks = [check for check in checks if locked[check.drop.pk].state == DropState.LANDED]
    known = _known(open_checks)
    made = [check for check in open_checks if fresh.get(check.identity) is check and check.identity not in known]
    files = BronzeFile.objects.bulk_create(_bronze_file(check) for check in sorted(made, key=lambda one: one.identity))
    known |= {(file.dataset, file.sha256): file for file in files}
    Work.objects.bulk_create(
        Work(
            dataset=check.drop.dataset,
            kind=WorkKind.FILE,
            reason=Reason.DROP,
            bronze_file=known[check.identity],
            correlation_id=check.drop.correlation_id,
        )
        for check in made
    )
    for check in made:
        assert check.contract is not None
        with context.bind(correlation_id=check.drop.correlation_id):
            events.emit_landing(check.drop, check.contract, known[check.identity])
    if made:
        with context.bind(correlation_id=made[0].drop.correlation_id):
            outbox.send_task(task="pipeline.tasks.plan", kwargs={}, queue="pipeline")
    for check in made:
        failpoint("landing.inside_accept", check.drop.dataset)
    accepted = {check.drop.pk for check in made}
    for check in open_checks:
        if check.faults:
            faults = [fault.as_dict() for fault in check.faults]
            _settle(check.drop, state=DropState.REFUSED, sha256=check.sha256, faults=faults, kept_uri=check.kept_uri)
        elif check.identity in known:
            state = DropState.ACCEPTED if check.drop.pk in accepted else DropState.DUPLICATE
            _settle(check.drop, state=state, sha256=check.sha256, bronze_file=known[check.identity])
    _save([check.drop for check in open_checks if check.drop.state != DropState.LANDED])


def _bronze_file(check: _Check) -> BronzeFile:
    assert check.contract is not None
    assert check.decoded is not None
    store, drop, decoded = lake.store(), check.drop, check.decoded
    return BronzeFile(
        dataset=drop.dataset,
        sha256=check.sha256,
        logical_id=check.logical_id,
        uri=store.uri(_bronze_key(check)),
        decoded_uri=store.uri(_decoded_key_of(check)),
        size_bytes=len(check.content),
        rows=decoded.rows,
        columns=decoded.columns,
        unknown_columns=decoded.unknown_columns,
        schema_hash=hashlib.sha256("\n".join(decoded.columns).encode()).hexdigest(),
        contract_version=check.contract.version,
        source=drop.source,
        filename=drop.filename,
        received_at=drop.received_at,
        correlation_id=drop.correlation_id,
    )


def _settle(
    drop: Drop,
    *,
    state: DropState,
    sha256: str,
    bronze_file: BronzeFile | None = None,
    faults: list[dict[str, str]] | None = None,
    kept_uri: str = "",
) -> None:
    drop.state = state
    drop.sha256 = sha256
    drop.bronze_file = bronze_file
    drop.rows = bronze_file.rows if bronze_file else None
    drop.faults = faults or []
    drop.kept_uri = kept_uri
    drop.checked_at = timezone.now()


def _save(drops: list[Drop]) -> None:
    """Save settled drops, whose rows are locked, in one statement; their spooled bytes go with the commit."""
    Drop.objects.bulk_create(
        drops,
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["state", "sha256", "bronze_file", "rows", "faults", "kept_uri", "checked_at"],
    )
    for drop in drops:
        transaction.on_commit(partial(_forget_spool, drop))
        watermarks.DROPS.inc(dataset=drop.dataset, state=drop.state)
        log.info(
            "drop checked",
            correlation_id=drop.correlation_id,
            drop=str(drop.uuid),
            dataset=drop.dataset,
            state=str(drop.state),
            rows=drop.rows,
            size_bytes=drop.size_bytes,
            faults=[fault["place"] for fault in drop.faults],
        )


@transaction.atomic
def drop_refuse(*, drop: Drop, faults: list[Fault]) -> Drop:
    """Refuse a drop of which no bytes are left to keep."""
    now = Drop.objects.select_for_update().get(pk=drop.pk)
    if now.state != DropState.LANDED:
        return now  # another check of it was faster
    _settle(now, state=DropState.REFUSED, sha256="", faults=[fault.as_dict() for fault in faults])
    _save([now])
    return now


def _forget_spool(drop: Drop) -> None:
    failpoint("landing.after_accept", drop.dataset)
    spool = Path(drop.spool_path)
    if drop.state == DropState.REFUSED and drop.source == "folder":
        _hand_back(drop, spool)
    spool.unlink(missing_ok=True)


def _hand_back(drop: Drop, spool: Path) -> None:
    """Put a refused file where its sender looks for it, with the reasons beside it."""
    folder = Path(settings.LANDING_DIR) / drop.dataset / ".refused"
    folder.mkdir(parents=True, exist_ok=True)
    reasons = "".join(f"{fault['place']}: {fault['reason']} {fault['mend']}\n" for fault in drop.faults)
    (folder / f"{drop.filename}.faults.txt").write_text(
        f"drop {drop.uuid} refused {drop.checked_at:%Y-%m-%dT%H:%M:%SZ}\n{reasons}"
    )
    if spool.exists():
        spool.replace(folder / drop.filename)
