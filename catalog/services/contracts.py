"""Contract versions: import, edit, synchronise with a folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from django.db import connection, transaction
from django.utils import timezone

from catalog import registry, selectors
from catalog.domain import odcs
from catalog.domain.contract import Contract
from catalog.domain.edit import Edit, edited
from catalog.domain.links import check_links
from catalog.domain.naming import NAMESPACE, event_name
from catalog.domain.versions import Change, bumped, compare, enough, needed_part, numbers, text_diff
from catalog.errors import CatalogError, ContractInvalid, EditRefused, StaleBase, VersionRefused
from catalog.models import ContractVersion, DataProduct, Dataset, Field
from catalog.services.products import may_edit, people_link, product_ensure
from controlplane.accounts.principals import ApiKey, User
from controlplane.audit import services as audit

Actor = User | ApiKey | str | None
Outcome = Literal["imported", "unchanged", "behind", "refused"]


@dataclass(frozen=True, slots=True)
class Imported:
    """``created`` is False when the text was the current version already. In a dry run ``version`` is the base, if any."""

    contract: Contract
    version: ContractVersion | None
    created: bool
    changes: tuple[Change, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.contract.dataset} {self.contract.version}"


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What became of one file. ``messages`` are lines for a person: faults with places, or the reason and the diff."""

    filename: str
    outcome: Outcome
    dataset: str = ""
    version: str = ""
    messages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SyncReport:
    results: tuple[SyncResult, ...] = field(default_factory=tuple)

    @property
    def refused(self) -> tuple[SyncResult, ...]:
        return tuple(one for one in self.results if one.outcome == "refused")

    def count(self, outcome: Outcome) -> int:
        return sum(one.outcome == outcome for one in self.results)


def contract_import(
    *, text: str | bytes, actor: Actor, base_version: str | None = None, filename: str = "contract", origin: str = "file"
) -> ContractVersion:
    """Make this text the dataset's current contract; the same text again changes nothing. Raises as ``contract_offer``."""
    done = contract_offer(text=text, actor=actor, base_version=base_version, filename=filename, origin=origin)
    assert done.version is not None
    return done.version


@transaction.atomic
def contract_offer(
    *,
    text: str | bytes,
    actor: Actor,
    base_version: str | None = None,
    filename: str = "contract",
    origin: str = "file",
    known: Mapping[str, Contract] | None = None,
    dry_run: bool = False,
) -> Imported:
    """Like ``contract_import``, and says whether a version was created and what changed.

    Without ``base_version`` the base of a file is the last version that a file brought; an API or page has to name it.
    ``known`` are further contracts that references and inputs may lead to (those of the same folder). A dry run checks all
    and writes nothing.

    Raises
    ------
    ContractInvalid
        Faults, each with line and column; references and inputs that lead nowhere are among them.
    StaleBase
        Another version has become current since; carries the diff.
    VersionRefused
        The version number exists with another text, does not grow, or grows too little for what changed.
    EditRefused
        The person neither owns nor stewards the product, or would take over somebody else's.
    """
    contract = odcs.parse(text, filename)
    _lock(contract.dataset)
    dataset = Dataset.objects.select_related("current_version", "product").filter(contract_name=contract.dataset).first()
    current = dataset.current_version if dataset else None
    _check_permission(contract, dataset, actor)
    if current is not None and current.sha256 == contract.sha256:
        return Imported(contract, current, created=False)
    faults = check_links(contract, {**selectors.contracts_current(), **(known or {})})
    if faults:
        raise ContractInvalid(faults, filename=filename)
    changes = _check_version(contract, dataset, current, base_version, origin) if dataset and current else []
    if dry_run:
        return Imported(contract, current, created=True, changes=tuple(changes))
    version = _store(contract, dataset, current, changes, actor=actor, origin=origin)
    audit.record(
        action="catalog.contract_import",
        actor=actor,
        target=version.dataset.audit_target,
        payload={
            "version": version.version,
            "base": current.version if current else None,
            "sha256": version.sha256,
            "origin": origin,
            "breaking": version.breaking,
            "changes": [str(change) for change in changes],
        },
    )
    registry.contract_changed(version, changes)
    return Imported(contract, version, created=True, changes=tuple(changes))


@transaction.atomic
def contract_edit(*, dataset: str, base_version: str, edit: Edit, actor: User) -> Imported:
    """An owner's edit from a page: the author's text edited, the version number chosen by what changed, then the same import.

    Raises StaleBase when ``base_version`` is not current any more, else as ``contract_offer``; Dataset.DoesNotExist.
    """
    _lock(dataset)
    current = selectors.contract_version_current(dataset)
    old = selectors.contract_of(current)
    _check_permission(old, current.dataset, actor)
    # Measured before the version is chosen, so that a wording change costs a patch and a new promise a minor.
    draft = edited(current.text, edit, version=current.version)
    new = odcs.parse(draft, f"{dataset}.odcs.yaml")
    if current.version != base_version:
        raise StaleBase(dataset=dataset, base=base_version, current=current.version, diff=_diff(current, draft))
    changes = compare(old, new)
    if not changes and _unmodelled(old) == _unmodelled(new):
        return Imported(old, current, created=False)
    text = edited(current.text, edit, version=bumped(current.version, needed_part(changes)))
    return contract_offer(text=text, actor=actor, base_version=base_version, filename=f"{dataset}.odcs.yaml", origin="ui")


def _unmodelled(contract: Contract) -> object:
    """Parts of the document that no ``Contract`` field holds but a page edits."""
    description = contract.document.get("description") or {}
    return contract.document.get("authoritativeDefinitions"), description.get("usage")


def contracts_sync(*, folder: Path | str, actor: Actor) -> SyncReport:
    """Import every ``*.odcs.yaml`` of a folder (not of folders below). Idempotent; each file is a transaction of its own.

    A file that an edit in the UI has overtaken is left alone and reported as ``behind`` while it is a text that the database
    knows; a file with a new text and a stale base is ``refused`` with the diff. Raises CatalogError without such a folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CatalogError(f"{folder} is not a folder")
    texts = {path: path.read_bytes() for path in sorted(folder.glob("*.odcs.yaml"))}
    batch: dict[str, Contract] = {}
    results: dict[Path, SyncResult] = {}
    for path, text in texts.items():
        try:
            contract = odcs.parse(text, path.name)
        except ContractInvalid as error:
            results[path] = SyncResult(path.name, "refused", messages=tuple(error.lines()))
            continue
        if contract.dataset in batch:
            results[path] = SyncResult(
                path.name, "refused", contract.dataset, messages=("another file describes this dataset",)
            )
            continue
        batch[contract.dataset] = contract
        results[path] = SyncResult(path.name, "refused", contract.dataset, contract.version)
    for path in [path for path, result in results.items() if not result.messages]:
        results[path] = _sync_file(path.name, batch[results[path].dataset], batch, actor)
    people_link()
    return SyncReport(tuple(results[path] for path in texts))


def _sync_file(name: str, contract: Contract, batch: Mapping[str, Contract], actor: Actor) -> SyncResult:
    past = ContractVersion.objects.filter(sha256=contract.sha256).select_related("dataset").first()
    if past is not None:
        outcome: Outcome = "unchanged" if past.dataset.current_version_id == past.pk else "behind"
        return SyncResult(name, outcome, contract.dataset, contract.version)
    try:
        done = contract_offer(text=contract.text, actor=actor, filename=name, known=batch)
    except ContractInvalid as error:
        messages: tuple[str, ...] = tuple(error.lines())
    except StaleBase as error:
        messages = (str(error), error.diff)
    except VersionRefused as error:
        messages = (str(error), *error.changes)
    except EditRefused as error:
        messages = (str(error),)
    else:
        told = tuple(str(change) for change in done.changes)
        return SyncResult(name, "imported" if done.created else "unchanged", contract.dataset, contract.version, told)
    return SyncResult(name, "refused", contract.dataset, contract.version, messages)


def _lock(dataset: str) -> None:
    """One import of a dataset at a time, also of one that has no row yet; released with the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"catalog.contract:{dataset}"])


def _check_permission(contract: Contract, dataset: Dataset | None, actor: Actor) -> None:
    if actor is None or isinstance(actor, str):
        return  # the command line and the system: whoever can run them can do anything
    product = DataProduct.objects.filter(key=contract.product).first()
    for held in {item.pk: item for item in (dataset.product if dataset else None, product) if item}.values():
        if not may_edit(held, actor):
            raise EditRefused(f"'{held.name}' belongs to {held.owner_text}; only its owner, its steward and admins edit it.")
    if dataset is None and product is None and not may_edit(None, actor, named={contract.owner, contract.steward}):
        raise EditRefused("A new dataset is imported by the owner or steward that its contract names, or by an admin.")


def _diff(current: ContractVersion, text: str) -> str:
    return text_diff(current.text, text, old_name=f"{current} (current)", new_name=f"{current.dataset} (offered)")


def _check_version(
    contract: Contract, dataset: Dataset, current: ContractVersion, base_version: str | None, origin: str
) -> list[Change]:
    diff = _diff(current, contract.text)
    base = base_version
    if base is None and origin == "file":
        last = dataset.contract_versions.filter(origin="file").order_by("-created_at", "-id").first()
        base = last.version if last else None
    old = selectors.contract_of(current)
    changes = compare(old, contract)
    words = [str(change) for change in changes]
    if past := dataset.contract_versions.filter(version=contract.version).first():
        if past.sha256 == contract.sha256:
            message = (
                f"{dataset} {past.version} is an earlier version than {current.version}; to return to it, give it a new number."
            )
        else:
            part = needed_part(changes)
            message = (
                f"{dataset} {past.version} exists already with another text, and a version never changes. "
                f"Set version: {bumped(current.version, part)}."
            )
        if base == current.version:
            raise VersionRefused(message, changes=words, diff=diff)
    if base != current.version:
        raise StaleBase(dataset=contract.dataset, base=base, current=current.version, diff=diff)
    if numbers(contract.version) <= numbers(current.version):
        raise VersionRefused(
            f"Version {contract.version} is not above the current {current.version}.", changes=words, diff=diff
        )
    part = needed_part(changes)
    if not enough(current.version, contract.version, part):
        reason = {"major": "Breaking changes need", "minor": "These changes need", "patch": "This needs"}[part]
        raise VersionRefused(
            f"{reason} a new {part} version: {bumped(current.version, part)} or above, not {contract.version}.",
            changes=words,
            diff=diff,
        )
    return changes


def _store(
    contract: Contract,
    dataset: Dataset | None,
    current: ContractVersion | None,
    changes: Iterable[Change],
    *,
    actor: Actor,
    origin: str,
) -> ContractVersion:
    changes = list(changes)
    product = product_ensure(contract=contract)
    name = event_name(contract.layer, contract.dataset)
    if dataset is None:
        # Events may have told of the table before its contract arrived.
        dataset, _ = Dataset.objects.get_or_create(namespace=NAMESPACE, name=name)
    dataset.namespace, dataset.name, dataset.contract_name = NAMESPACE, name, contract.dataset
    dataset.layer, dataset.product, dataset.description = contract.layer, product, contract.description
    dataset.source = Dataset.Source.CONTRACT
    dataset.save()
    version = ContractVersion.objects.create(
        dataset=dataset,
        version=contract.version,
        text=contract.text,
        document=contract.document,
        sha256=contract.sha256,
        base=current,
        origin=origin,
        breaking=any(change.weight == "breaking" for change in changes),
        changes=[{"where": one.where, "what": one.what, "weight": one.weight} for one in changes],
        imported_by=actor if isinstance(actor, User) else None,
        created_at=timezone.now(),
    )
    dataset.current_version = version
    dataset.save(update_fields=["current_version"])
    _store_fields(dataset, contract)
    return version


def _store_fields(dataset: Dataset, contract: Contract) -> None:
    """The contract's fields replace all of the contract; those only events know stay behind them."""
    rows = [
        Field(
            dataset=dataset,
            name=one.name,
            type=one.type_name,
            position=position,
            description=one.description,
            classification=one.classification,
            pii=one.pii or "",
            required=one.required,
            in_key=one.name in contract.key,
            source=Dataset.Source.CONTRACT,
        )
        for position, one in enumerate(contract.fields, start=1)
    ]
    Field.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["dataset", "name"],
        update_fields=["type", "position", "description", "classification", "pii", "required", "in_key", "source"],
    )
    dataset.fields.filter(source=Dataset.Source.CONTRACT).exclude(name__in=contract.field_names).delete()
