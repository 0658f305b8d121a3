"""A bundle held against the installation that made it: raw files, tables, served rows, figures, audit entries, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from controlplane.audit import selectors as audit_log
from controlplane.audit.domain.chain import SealedLink
from controlplane.evidence.domain import bundle
from controlplane.evidence.domain.bundle import Contents
from controlplane.evidence.domain.outcomes import FigureRow, figure_text
from controlplane.evidence.domain.verify import Report, checkpoint_of, links_of
from controlplane.subjects.removals import removals_of
from pipeline import selectors_reproduce
from pipeline.services.raw_files import fault_of, fault_text, sha256_stored
from pipeline.services.recompute import table_content
from pipeline.services.served import figure_served, served_content

_FIGURE = ("value", "numerator", "denominator")


def compare(contents: Contents, report: Report, *, progress: Callable[[str], None] = lambda _: None) -> None:
    """Add to the report what in this installation is no longer as the (verified) bundle says."""
    recipe = contents.json(bundle.RECIPE)["tables"]
    progress("raw files")
    report.add(*_raw_files(contents.json(bundle.FILES)))
    progress("tables")
    _tables(recipe, report)
    progress("figures")
    report.add(*_figure(report.figure))
    progress("audit log")
    report.add(*_audit(contents))


def _raw_files(listed: Sequence[dict[str, Any]]) -> tuple[list[str], str]:
    known = selectors_reproduce.files_known(one["logical_id"] for one in listed)
    removals = removals_of([one["logical_id"] for one in listed])
    faults = []
    for one in listed:
        file, title = known.get(one["logical_id"]), f"raw file {one['filename']} ({one['logical_id']})"
        if file is None:
            faults.append(f"the manifest of {title} is gone from the database")
            continue
        faults += [
            f"the manifest of {title} was changed: its {name} is not {one[name]} any more"
            for name in ("sha256", "size_bytes", "rows")
            if getattr(file, name) != one[name]
        ]
        file.sha256 = one["sha256"]  # the bundle's word counts, not the database's
        fault = fault_of(file, sha256_stored(file), removals.get(file.logical_id, []))
        if fault is not None:
            faults.append(fault_text(fault))
    return faults, f"{len(listed)} raw files as they lie in Bronze"


def _tables(recipe: Sequence[dict[str, Any]], report: Report) -> None:
    """Every table of the trail, and what is served of it: as of the version that was read, or now where nothing replaced it."""
    checked, passed_over = 0, []
    for table in recipe:
        name = f"{table['layer']}.{table['dataset']}"
        if table["content_hash"] is None:
            passed_over.append(f"{name} (its content was not known any more when the bundle was made)")
            continue
        found = list(_contents_of(table))
        if not found:
            passed_over.append(f"{name} (replaced since, and the version is not kept any more)")
        for where, rows, digest in found:
            checked += 1
            # An empty table has a hash of its own; no table at all has none.
            if digest != table["content_hash"] and (rows or table["rows"]):
                rows_then = f"{table['rows']} rows" if rows != table["rows"] else "other content"
                report.faults.append(f"rows of {where} were changed: {rows} rows there, {rows_then} when the figure was made")
    if passed_over:
        report.notes.append(f"Not compared: {'; '.join(passed_over)}.")
    if checked and not any(fault.startswith("rows of ") for fault in report.faults):
        report.held.append(f"{checked} tables and served tables, row by row")


def _contents_of(table: dict[str, Any]) -> Iterator[tuple[str, int, str]]:
    """(place in words, rows, content hash) of each place where the table's rows can still be found."""
    dataset, version = table["dataset"], table["contract_version"]
    name = f"{table['layer']}.{dataset}"
    partitions = table["partitions"]
    kept = None
    if table["table_version"] is not None:
        kept = table_content(dataset, partitions, version, table_version=table["table_version"])
        if kept is not None:
            yield f"{name}, version {table['table_version']} in the lake", *kept
    if selectors_reproduce.replaced_since(step=table["step"], dataset=dataset, partitions=partitions):
        return
    if kept is None:
        now = table_content(dataset, partitions, version, table_version=None)
        if now is not None:
            yield f"{name} in the lake", *now
    if table["serve"]:
        yield f"gold.{dataset} in PostgreSQL", *served_content(dataset, partitions, version)


def _figure(figure: dict[str, Any]) -> tuple[list[str], str]:
    key, day = figure["kpi"], figure["business_date"]
    name = f"{key} of {day}"
    wanted = _row(figure)
    value = selectors_reproduce.figure_by_id(figure["id"])
    if value is None:
        return [f"the published figure {name} (row {figure['id']}) is gone from the database"], ""
    faults = []
    found = (value.value, value.numerator, value.denominator)
    if found != wanted or value.kpi != key or value.business_date.isoformat() != day:
        faults.append(
            f"the published figure {name} (row {figure['id']} of pipeline_kpivalue) was changed: it says {figure_text(found)},"
            f" the bundle {figure_text(wanted)}"
        )
    newest = selectors_reproduce.figure(key=key, day=value.business_date)
    if newest is not None and newest.pk == value.pk:
        served = figure_served(figure["dataset"], day)
        if served != wanted:
            faults.append(
                f"the served row of {name} (table gold.{figure['dataset']}) was changed: it says {figure_text(served)},"
                f" the bundle {figure_text(wanted)}"
            )
    return faults, f"the published figure {name}"


def _row(figure: dict[str, Any]) -> FigureRow:
    value, numerator, denominator = (None if figure[name] is None else Decimal(figure[name]) for name in _FIGURE)
    return value, numerator, denominator


def _entry(one: SealedLink) -> str:
    return f"{one.seq} (id {one.link.entry_id}, {one.link.action} {one.link.target})"


def _audit(contents: Contents) -> tuple[list[str], str]:
    checkpoint = checkpoint_of(contents)
    known = [audit_log.Checkpoint(**checkpoint)] if checkpoint else []
    found = audit_log.verify(checkpoints=known)
    faults = [f"audit log: {fault}" for fault in found.faults]
    listed = links_of(contents)
    if listed:
        now = {one["seq"]: one["hash"] for one in audit_log.links(first=listed[0].seq, last=listed[-1].seq)}
        others = [one for one in listed if now.get(one.seq) != one.hash]
        faults += [f"audit log: entry {_entry(one)} is not the one in the bundle" for one in others]
    return faults, f"{found.chain.checked} entries of the audit log, and the bundle's checkpoint in it"
