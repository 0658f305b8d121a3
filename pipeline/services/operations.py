"""What people ask the pipeline to do: replay, backfill, reprocess, purge, stop. Each is queued as work, and audited."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from catalog.domain.odcs import parse
from controlplane.audit import services as audit
from controlplane.lake import services as lake
from controlplane.outbox import services as outbox
from pipeline.errors import PipelineError
from pipeline.models import (
    BronzeFile,
    DatasetState,
    Drop,
    DropState,
    HeldState,
    KeyPlace,
    QuarantinedRow,
    Reason,
    SilverReject,
    StopSwitch,
    Work,
    WorkKind,
)
from pipeline.selectors import EVERYTHING, contract_of
from pipeline.services import silver

if TYPE_CHECKING:
    from catalog.domain.versions import Change
    from catalog.models import ContractVersion

Actor = Any


def _wake() -> None:
    outbox.send_task(task="pipeline.tasks.plan", kwargs={}, queue="pipeline")


@transaction.atomic
def bronze_replay(*, files: Iterable[BronzeFile], actor: Actor, reason: str = "") -> int:
    """Have Bronze files judged and merged again; the tables end as they were when nothing else changed. Returns how many."""
    made = 0
    for file in files:
        _, new = Work.objects.get_or_create(
            dataset=file.dataset,
            kind=WorkKind.FILE,
            bronze_file=file,
            run=None,
            defaults={"reason": Reason.REPLAY, "correlation_id": file.correlation_id},
        )
        made += new
        audit.record(action="pipeline.replay", actor=actor, target=f"bronze:{file.logical_id}", reason=reason)
    _wake()
    return made


@transaction.atomic
def dataset_backfill(*, dataset: str, values: list[str] | None, actor: Actor, reason: str = "") -> None:
    """Compute Gold partitions anew (None: every one that its inputs could fill)."""
    contract = contract_of(dataset)
    if contract.layer != "gold":
        raise PipelineError(f"{dataset} is Silver: replay its Bronze files instead")
    payload = {"all": True} if values is None else {"values": sorted(values)}
    Work.objects.create(dataset=dataset, kind=WorkKind.PARTITIONS, reason=Reason.BACKFILL, payload=payload)
    audit.record(action="pipeline.backfill", actor=actor, target=f"dataset:{dataset}", payload=payload, reason=reason)
    _wake()


@transaction.atomic
def rows_reprocess(*, rows: QuerySet[SilverReject] | QuerySet[QuarantinedRow], actor: Actor, reason: str = "") -> int:
    """Judge held rows again, from their Bronze bytes under the current contract. Returns how many were queued."""
    by_file: dict[tuple[str, int], set[int]] = defaultdict(set)
    chosen = list(
        rows.exclude(state=HeldState.RESOLVED).select_for_update().values_list("pk", "dataset", "bronze_file_id", "row")
    )
    for _, dataset, file_pk, row in chosen:
        by_file[(dataset, file_pk)].add(row)
    Work.objects.bulk_create(
        Work(
            dataset=dataset,
            kind=WorkKind.ROWS,
            reason=Reason.REPROCESS,
            bronze_file_id=file_pk,
            payload={"rows": sorted(ordinals)},
        )
        for (dataset, file_pk), ordinals in by_file.items()
    )
    rows.model.objects.filter(pk__in=[pk for pk, *_ in chosen]).update(state=HeldState.QUEUED)
    if chosen:
        datasets = sorted({dataset for dataset, _ in by_file})
        audit.record(
            action="pipeline.reprocess",
            actor=actor,
            target=f"{rows.model._meta.db_table}",
            payload={"rows": len(chosen), "datasets": datasets},
            reason=reason,
        )
        _wake()
    return len(chosen)


@transaction.atomic
def columns_admitted(*, dataset: str, columns: Iterable[str], actor: Actor) -> int:
    """A contract version now knows these columns: their quarantined values are reprocessed into place."""
    rows = QuarantinedRow.objects.filter(dataset=dataset, column__in=list(columns), state=HeldState.OPEN)
    return rows_reprocess(rows=rows, actor=actor, reason="the contract admits the column")


def contract_changed(version: ContractVersion, changes: list[Change]) -> None:
    """Called when a contract version is imported: quarantined values of the columns that it admits go into place."""
    added = {change.where for change in changes if change.what == "field added"}
    if not added:
        return
    contract = parse(version.text)
    columns = [one.source_name for one in contract.drop_fields if one.name in added]
    if columns:
        columns_admitted(dataset=contract.dataset, columns=columns, actor="system:catalog")


@transaction.atomic
def drop_purge(*, drop: Drop, actor: Actor, reason: str) -> None:
    """Forget a landing that failed, so that it can land again. Never an accepted one: Bronze is write-once."""
    drop = Drop.objects.select_for_update().get(pk=drop.pk)
    if drop.state not in (DropState.REFUSED, DropState.LANDED):
        raise PipelineError(f"this drop is {drop.state}; only a refused or unfinished landing can be purged")
    audit.record(
        action="pipeline.purge", actor=actor, target=f"drop:{drop.uuid}", payload={"dataset": drop.dataset}, reason=reason
    )
    kept_uri, spool = drop.kept_uri, drop.spool_path
    drop.delete()
    transaction.on_commit(lambda: _forget_bytes(kept_uri, spool))


def _forget_bytes(kept_uri: str, spool: str) -> None:
    from pathlib import Path

    from pipeline.services.landing import store_key

    if kept_uri:
        lake.store().delete(store_key(kept_uri))
    Path(spool).unlink(missing_ok=True)


def partition_purge(*, dataset: str, values: list[str] | None, actor: Actor, reason: str) -> int:
    """Remove partitions (None: every row) of a Silver table, when what they hold cannot be trusted. Returns how many.

    A replay of the Bronze files that filled them (``files_behind``) brings them back, and Gold follows. Raises ``LeaseHeld``
    while a refresh has the table. Which files filled a partition stays known; in which partition a key lies is forgotten
    last, for a key that is believed to lie elsewhere would be stored twice.
    """
    contract = contract_of(dataset)
    if contract.layer != "silver":
        raise PipelineError(f"{dataset} is Gold: compute it anew with `manage.py pipeline backfill {dataset}`")
    if values is not None and contract.partition is None:
        raise PipelineError(f"{dataset} has no partitions; purge all of it")
    table = f"silver/{dataset}"
    if not lake.table_exists(table):
        return 0
    chosen = sorted(set(values) & set(lake.table_partitions(table))) if values is not None else None
    if chosen is not None and not chosen:
        return 0
    with transaction.atomic():
        payload = {"partitions": chosen}
        audit.record(action="pipeline.purge", actor=actor, target=f"dataset:{dataset}", payload=payload, reason=reason)
    silver.partitions_remove(contract, chosen, holder=f"purge/{uuid.uuid4()}")
    places = KeyPlace.objects.filter(dataset=dataset)
    (places if chosen is None else places.filter(partition__in=chosen)).delete()
    return 1 if chosen is None else len(chosen)


def files_behind(*, dataset: str, values: list[str] | None) -> QuerySet[BronzeFile]:
    """The Bronze files that filled these partitions (None: any)."""
    files = BronzeFile.objects.filter(partitions__dataset=dataset)
    return (files if values is None else files.filter(partitions__partition__in=values)).distinct().order_by("received_at")


@transaction.atomic
def stop(*, scope: str, reason: str, actor: Actor) -> StopSwitch:
    """Stop a dataset, or (``*``) the whole pipeline. Running steps end; drops are still taken in."""
    if scope != EVERYTHING:
        contract_of(scope)
    if not reason.strip():
        raise PipelineError("say why: the reason is shown to everyone who wonders")
    switch, _ = StopSwitch.objects.update_or_create(
        scope=scope, defaults={"reason": reason, "stopped_by": str(actor), "stopped_at": timezone.now()}
    )
    audit.record(action="pipeline.stop", actor=actor, target=f"dataset:{scope}", reason=reason)
    return switch


@transaction.atomic
def resume(*, scope: str, actor: Actor, reason: str = "") -> bool:
    """Take a stop switch away. False when there was none."""
    deleted, _ = StopSwitch.objects.filter(scope=scope).delete()
    if deleted:
        audit.record(action="pipeline.resume", actor=actor, target=f"dataset:{scope}", reason=reason)
        _wake()
    return bool(deleted)


@transaction.atomic
def retry(*, dataset: str | None, actor: Actor) -> int:
    """Let failed datasets try again at once. Returns how many were held back."""
    held = DatasetState.objects.filter(hold_until__isnull=False)
    if dataset:
        held = held.filter(dataset=dataset)
    names = list(held.values_list("dataset", flat=True))
    held.update(hold_until=None)
    audit.record(action="pipeline.retry", actor=actor, target=f"dataset:{dataset or EVERYTHING}", payload={"datasets": names})
    _wake()
    return len(names)
