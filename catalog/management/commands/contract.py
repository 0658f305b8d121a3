"""``manage.py contract check|import|sync|export|diff``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from catalog import selectors, services
from catalog.domain import odcs
from catalog.domain.contract import Contract
from catalog.domain.links import check_links
from catalog.errors import CatalogError, ContractInvalid, StaleBase, VersionRefused
from catalog.models import ContractVersion, Dataset

ACTOR = "system:cli"
EPILOG = "Exit codes: 0 all is well, 1 refused (faults, stale base, version number), 2 wrong use."


class Command(BaseCommand):
    help = f"Check, import, synchronise, export and compare data contracts (format: docs/contracts.md). {EPILOG}"

    def add_arguments(self, parser: CommandParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        check = sub.add_parser("check", help="name every fault of files or folders, with line and column; imports nothing")
        check.add_argument("paths", nargs="+", type=Path, metavar="PATH")
        check.add_argument("--alone", action="store_true", help="do not ask the database about references and inputs")
        bring = sub.add_parser("import", help="import one file as the dataset's new current version")
        bring.add_argument("file", type=Path)
        bring.add_argument(
            "--base", metavar="VERSION", help="version the file was made from (default: the last one a file brought)"
        )
        bring.add_argument("--dry-run", action="store_true", help="say what would change, import nothing")
        sync = sub.add_parser("sync", help="import every *.odcs.yaml of a folder; files that have not changed are left alone")
        sync.add_argument("folder", type=Path)
        export = sub.add_parser("export", help="print a contract as its author wrote it")
        export.add_argument("dataset", nargs="?")
        export.add_argument("--at", metavar="VERSION", help="default: the current version")
        export.add_argument("--all", type=Path, metavar="FOLDER", help="write every current contract into a folder")
        diff = sub.add_parser("diff", help="what changed between two versions, in words and in lines")
        diff.add_argument("dataset")
        diff.add_argument("old", metavar="OLD", help="a version, or a file")
        diff.add_argument("new", metavar="NEW", nargs="?", help="a version or a file (default: the current version)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action']}")(**options)
        except ContractInvalid as error:
            raise CommandError("\n".join(error.lines()), returncode=1) from None
        except StaleBase as error:
            raise CommandError(f"{error}\n{error.diff}", returncode=1) from None
        except VersionRefused as error:
            raise CommandError("\n".join([str(error), *error.changes]), returncode=1) from None
        except CatalogError as error:
            raise CommandError(str(error), returncode=1) from None
        except (OSError, Dataset.DoesNotExist) as error:
            raise CommandError(str(error), returncode=2) from None

    def _check(self, *, paths: list[Path], alone: bool, **_: Any) -> None:
        faults = 0
        read: dict[Path, Contract] = {}
        for path in _files(paths):
            try:
                read[path] = odcs.parse(path.read_bytes(), str(path))
            except ContractInvalid as error:
                faults += len(error.faults)
                self.stderr.write("\n".join(error.lines()))
        known = {} if alone else selectors.contracts_current()
        known |= {contract.dataset: contract for contract in read.values()}
        for path, contract in read.items():
            if alone and len(read) == 1:
                break  # nothing to compare with
            if found := check_links(contract, known):
                faults += len(found)
                self.stderr.write("\n".join(ContractInvalid(found, filename=str(path)).lines()))
        if faults:
            raise CommandError(f"{faults} fault{'s' if faults > 1 else ''} found.", returncode=1)
        self.stdout.write(f"{len(read)} contract{'s' if len(read) != 1 else ''} checked, no faults.")

    def _import(self, *, file: Path, base: str | None, dry_run: bool, **_: Any) -> None:
        done = services.contract_offer(
            text=file.read_bytes(), actor=ACTOR, base_version=base, filename=str(file), origin="file", dry_run=dry_run
        )
        verb = "would be imported" if dry_run else "imported"
        self.stdout.write(f"{done.name}: {verb if done.created else 'unchanged'}")
        for change in done.changes:
            self.stdout.write(f"  {change}")

    def _sync(self, *, folder: Path, **_: Any) -> None:
        report = services.contracts_sync(folder=folder, actor=ACTOR)
        for one in report.results:
            if one.outcome != "unchanged":
                self.stdout.write(f"{one.outcome:10} {one.filename} {one.version}")
                for message in one.messages:
                    self.stdout.write("  " + message.replace("\n", "\n  "))
        counts = [f"{report.count(outcome)} {outcome}" for outcome in ("imported", "unchanged", "behind", "refused")]
        self.stdout.write(f"{len(report.results)} files: {', '.join(counts)}.")
        if report.refused:
            raise CommandError("Files were refused; the others are imported.", returncode=1)

    def _export(self, *, dataset: str | None, at: str | None, all: Path | None, **_: Any) -> None:
        if (dataset is None) == (all is None):
            raise CommandError("Name one dataset, or --all FOLDER.", returncode=2)
        if all is not None:
            all.mkdir(parents=True, exist_ok=True)
            contracts = selectors.contracts_current()
            for name, contract in contracts.items():
                (all / f"{name}.odcs.yaml").write_text(odcs.to_yaml(contract), encoding="utf-8")
            self.stdout.write(f"{len(contracts)} contracts written to {all}.")
        elif dataset is not None:
            self.stdout.write(_version(dataset, at).text, ending="")

    def _diff(self, *, dataset: str, old: str, new: str | None, **_: Any) -> None:
        before, after = _contract(dataset, old), _contract(dataset, new)
        changes, diff = selectors.difference(before, after)
        for change in changes:
            self.stdout.write(str(change))
        self.stdout.write(diff or "No difference.")


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(path.glob("*.odcs.yaml"))
        elif path.exists():
            yield path
        else:
            raise CommandError(f"{path} does not exist.", returncode=2)


def _version(dataset: str, version: str | None) -> ContractVersion:
    if version is None:
        return selectors.contract_version_current(dataset)
    found = selectors.contract_version(dataset, version)
    if found is None:
        raise CommandError(f"'{dataset}' has no contract version {version}.", returncode=2)
    return found


def _contract(dataset: str, what: str | None) -> Contract:
    if what and Path(what).is_file():
        return odcs.parse(Path(what).read_bytes(), what)
    return selectors.contract_of(_version(dataset, what))
