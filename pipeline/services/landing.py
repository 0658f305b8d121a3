"""Taking drops in: checked at the edge, kept verbatim, never half applied."""

from __future__ import annotations

import hashlib
import io
import os
import re
import uuid
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq
import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from catalog.domain.contract import Contract
from controlplane.keys import services as keys
from controlplane.lake import services as lake
from controlplane.outbox import services as outbox
from controlplane.telemetry import context
from controlplane.telemetry.failpoints import failpoint
from pipeline.domain.decode import Decoded, decode
from pipeline.errors import DropRefused, Fault, UnknownDataset
from pipeline.models import BronzeFile, Drop, DropState, Reason, Work, WorkKind
from pipeline.selectors import contract_of
from pipeline.services import events, watermarks

log = structlog.get_logger(__name__)

SUFFIX = {"csv": "csv", "json": "json", "parquet": "parquet"}
SUBJECT = "customer"  # one kind of token for identifiers of customers, whatever the dataset
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


def drop_check(*, drop_id: int) -> Drop:
    """Check a landed drop against its contract and take it into Bronze, or refuse it with every fault.

    Safe to repeat at any point: each stage either left its whole effect or none.
    """
    drop = Drop.objects.get(pk=drop_id)
    if drop.state != DropState.LANDED:
        _forget_spool(drop)
        return drop
    with context.bind(correlation_id=drop.correlation_id):
        spool = Path(drop.spool_path)
        if not spool.exists():
            return drop  # taken a moment ago, the rename comes with the commit; the sweep looks again
        content = spool.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        try:
            contract = contract_of(drop.dataset)
        except UnknownDataset as error:
            fault = Fault("folder", str(error), "Import its contract, then send the file again.")
            return _refuse(drop, content=content, sha256=sha256, refusal=DropRefused([fault]))
        known = BronzeFile.objects.filter(dataset=drop.dataset, sha256=sha256).first()
        if known is not None:
            return _finish(drop, state=DropState.DUPLICATE, sha256=sha256, bronze_file=known)
        logical_id = f"{drop.dataset}-{sha256[:32]}"
        try:
            decoded = decode(spool, contract, logical_id=logical_id, tokens=subject_tokens)
        except DropRefused as refusal:
            return _refuse(drop, content=content, sha256=sha256, refusal=refusal)
        return _accept(drop, contract=contract, content=content, sha256=sha256, logical_id=logical_id, decoded=decoded)


def _accept(drop: Drop, *, contract: Contract, content: bytes, sha256: str, logical_id: str, decoded: Decoded) -> Drop:
    store = lake.store()
    key = bronze_key(contract, logical_id=logical_id, received_at=drop.received_at)
    failpoint("landing.before_bronze", drop.dataset)
    store.put_once(key, content)  # False: an earlier attempt was killed after this point
    failpoint("landing.after_bronze", drop.dataset)
    decoded_key = _decoded_key(contract, logical_id)
    store.put_once(decoded_key, parquet_bytes(decoded))
    failpoint("landing.after_decoded", drop.dataset)
    with transaction.atomic():
        if (done := _done_by_another(drop)) is not None:
            return done
        file, made = BronzeFile.objects.get_or_create(
            dataset=drop.dataset,
            sha256=sha256,
            defaults={
                "logical_id": logical_id,
                "uri": store.uri(key),
                "decoded_uri": store.uri(decoded_key),
                "size_bytes": len(content),
                "rows": decoded.rows,
                "columns": decoded.columns,
                "unknown_columns": decoded.unknown_columns,
                "schema_hash": hashlib.sha256("\n".join(decoded.columns).encode()).hexdigest(),
                "contract_version": contract.version,
                "source": drop.source,
                "filename": drop.filename,
                "received_at": drop.received_at,
                "correlation_id": drop.correlation_id,
            },
        )
        if made:
            Work.objects.create(
                dataset=drop.dataset,
                kind=WorkKind.FILE,
                reason=Reason.DROP,
                bronze_file=file,
                correlation_id=drop.correlation_id,
            )
            events.emit_landing(drop, contract, file)
            outbox.send_task(task="pipeline.tasks.plan", kwargs={}, queue="pipeline")
        failpoint("landing.inside_accept", drop.dataset)
        return _finish(drop, state=DropState.ACCEPTED if made else DropState.DUPLICATE, sha256=sha256, bronze_file=file)


def _done_by_another(drop: Drop) -> Drop | None:
    """The drop as another check of the same drop has finished it meanwhile, else None. Holds the drop's row till the commit."""
    now = Drop.objects.select_for_update().get(pk=drop.pk)
    return None if now.state == DropState.LANDED else now


def _refuse(drop: Drop, *, content: bytes, sha256: str, refusal: DropRefused) -> Drop:
    store = lake.store()
    key = f"refused/{drop.dataset}/{drop.uuid}/{safe_filename(drop.filename)}"
    store.put_once(key, content)
    faults = [fault.as_dict() for fault in refusal.faults]
    return _finish(drop, state=DropState.REFUSED, sha256=sha256, faults=faults, kept_uri=store.uri(key))


@transaction.atomic
def _finish(
    drop: Drop,
    *,
    state: DropState,
    sha256: str,
    bronze_file: BronzeFile | None = None,
    faults: list[dict[str, str]] | None = None,
    kept_uri: str = "",
) -> Drop:
    if (done := _done_by_another(drop)) is not None:
        return done
    drop.state = state
    drop.sha256 = sha256
    drop.bronze_file = bronze_file
    drop.rows = bronze_file.rows if bronze_file else None
    drop.faults = faults or []
    drop.kept_uri = kept_uri
    drop.checked_at = timezone.now()
    drop.save(update_fields=["state", "sha256", "bronze_file", "rows", "faults", "kept_uri", "checked_at"])
    transaction.on_commit(lambda: _forget_spool(drop))
    watermarks.DROPS.inc(dataset=drop.dataset, state=state)
    log.info(
        "drop checked",
        drop=str(drop.uuid),
        dataset=drop.dataset,
        state=str(state),
        rows=drop.rows,
        size_bytes=drop.size_bytes,
        faults=[fault["place"] for fault in drop.faults],
    )
    return drop


def drop_refuse(*, drop: Drop, faults: list[Fault]) -> Drop:
    """Refuse a drop of which no bytes are left to keep."""
    return _finish(drop, state=DropState.REFUSED, sha256="", faults=[fault.as_dict() for fault in faults])


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


def bronze_key(contract: Contract, *, logical_id: str, received_at: datetime) -> str:
    suffix = SUFFIX[contract.source.format] if contract.source else "bin"
    return f"bronze/{contract.domain}/{received_at:%Y/%m}/{logical_id}.{suffix}"


def _decoded_key(contract: Contract, logical_id: str) -> str:
    return f"bronze_decoded/{contract.dataset}/{contract.version}/{logical_id}.parquet"


def subject_tokens(values: Iterable[str]) -> list[str]:
    return [token for token in keys.tokens(values, kind=SUBJECT) if token is not None]


def parquet_bytes(decoded: Decoded) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(decoded.table, buffer, compression="zstd", write_statistics=False)  # statistics would repeat personal values
    return buffer.getvalue()


def store_key(uri: str) -> str:
    """The object store's key of an address that it gave."""
    return uri.removeprefix(lake.config().root).lstrip("/")


def decoded_uri(file: BronzeFile, contract: Contract) -> str:
    """The file's records as text under the current contract; decoded anew from the raw bytes when the contract moved on."""
    if file.contract_version == contract.version:
        return file.decoded_uri
    store = lake.store()
    key = _decoded_key(contract, file.logical_id)
    if not store.exists(key):
        spool = Path(settings.HOME) / "tmp" / f"{file.logical_id}.{uuid.uuid4().hex}"
        spool.parent.mkdir(parents=True, exist_ok=True)
        spool.write_bytes(store.get(store_key(file.uri)))
        try:
            decoded = decode(spool, contract, logical_id=file.logical_id, tokens=subject_tokens, at_edge=False)
        finally:
            spool.unlink()
        store.put_once(key, parquet_bytes(decoded))
    return store.uri(key)
