"""Evidence bundles: everything about one figure in one signed file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.db import transaction

from controlplane.audit import selectors as audit_log
from controlplane.audit import services as audit
from controlplane.evidence.domain import bundle
from controlplane.evidence.domain.spelling import moment_text
from controlplane.evidence.models import Reproduction
from controlplane.evidence.selectors import figure_json, provenance
from controlplane.evidence.selectors_reproductions import reproductions_of_value
from controlplane.keys import services as keys
from pipeline import selectors_reproduce
from pipeline.errors import NotReproducible
from pipeline.services.recompute import partitions_made, tables_kept
from quality import selectors as quality

LINKS_AT_MOST = 20_000  # entries of the chain in one bundle: about 8 MB before packing


def figure_target(kpi: str, day: str) -> str:
    """What the audit log calls a figure."""
    return f"kpi:{kpi}/{day}"


def bundle_build(*, value_id: int) -> bytes:
    """The bundle of a published figure as bytes; the same state of the installation gives the same bytes.

    Raises NotReproducible when a contract version of its trail is not known any more.
    """
    value = selectors_reproduce.figure_by_id(value_id)
    if value is None:
        raise NotReproducible("this figure was never published")
    plan = selectors_reproduce.plan(value)
    done = reproductions_of_value(value.pk).filter(state=Reproduction.State.DONE).first()
    tables = _tables(plan, done)
    known = selectors_reproduce.files_known({one for table in tables for one in table["files"]})
    files = [known[one] for one in sorted(known)]
    entries: dict[str, bytes] = {
        bundle.README: bundle.README_TEXT.encode(),
        bundle.KEYS: keys.canonical_json(keys.trust_anchor()),
        bundle.RECIPE: keys.canonical_json({"tables": tables}),
        bundle.FILES: keys.canonical_json([_file(one) for one in files]),
        bundle.QUALITY: keys.canonical_json(_verdicts(tables)),
        bundle.TRAIL: keys.canonical_json(_trail(value)),
    }
    for node in plan.nodes:
        for contract in _contracts(node):
            entries[f"{bundle.CONTRACT_FOLDER}/{contract.dataset}-{contract.version}.odcs.yaml"] = contract.text.encode()
    for sha256 in sorted({one for table in tables for one in table["sql_sha256"]}):
        text = selectors_reproduce.sql_text(sha256)
        if text is not None:
            entries[f"{bundle.SQL_FOLDER}/{sha256}.sql"] = text.encode()
    if done is not None:
        entries[bundle.REPRODUCTION] = keys.canonical_json(reproduction_json(done))
    entries |= _audit(value, files, tables, done)
    manifest = bundle.manifest_of(entries, figure_json(plan.contract, plan.value))
    signature = keys.canonical_json(keys.sign(manifest).as_dict())
    return bundle.pack(entries | {bundle.MANIFEST: manifest, bundle.SIGNATURE: signature})


@transaction.atomic
def bundle_handed_out(*, value_id: int, data: bytes, actor: Any) -> None:
    """Note in the audit log who got which bundle."""
    value = selectors_reproduce.figure_by_id(value_id)
    assert value is not None
    day = value.business_date.isoformat()
    audit.record(
        action="evidence.bundle",
        actor=actor,
        target=figure_target(value.kpi, day),
        payload={"value": value.pk, "sha256": bundle.sha256_of(data), "size_bytes": len(data)},
    )


def bundle_filename(value_id: int) -> str:
    value = selectors_reproduce.figure_by_id(value_id)
    assert value is not None
    return f"evidence-{value.kpi}-{value.business_date}-{value.pk}.zip"


def reproduction_json(one: Reproduction) -> dict[str, Any]:
    """A reproduction as bundle and API show it."""
    return {
        "reproduction": str(one.uuid),
        "kpi": one.kpi,
        "business_date": one.business_date.isoformat(),
        "value_id": one.value_id,
        "source": str(one.source),
        "state": str(one.state),
        "outcome": str(one.outcome) or None,
        "progress": one.progress,
        "result": one.result,
        "error": one.error,
        "requested_at": moment_text(one.requested_at),
        "started_at": moment_text(one.started_at),
        "finished_at": moment_text(one.finished_at),
    }


def _tables(plan: selectors_reproduce.Plan, done: Reproduction | None) -> list[dict[str, Any]]:
    """The plan, table by table, upstream first, with content hashes: those computed again, else those that the lake keeps."""
    again = {(one["dataset"], one["step"]): one for one in (done.result.get("datasets", []) if done else [])}
    found = []
    for node, rows, digest in tables_kept(plan):
        step, contract = node.step, node.contract
        computed = again.get((contract.dataset, str(step.uuid)))
        made = partitions_made(node)
        found.append(
            {
                "dataset": contract.dataset,
                "layer": contract.layer,
                "step": str(step.uuid),
                "run": str(step.run.uuid),
                "environment": step.run.environment,
                "as_of": moment_text(step.run.as_of),
                "finished_at": moment_text(step.finished_at),
                "code_version": step.run.code_version,
                "build": step.build,
                "contract_version": contract.version,
                "contracts": [{"version": one.version, "sha256": one.sha256} for one in _contracts(node)],
                "sql_sha256": sorted(_sqls(node)),
                "reads": sorted(dataset for dataset, key in node.reads.items() if key is not None),
                "partitions": None if made is None else list(made),
                "table_version": node.table_version,
                "serve": contract.serve,
                # Files that only a reproduction finds hold other versions of keys that have moved between partitions.
                "files": sorted(
                    {file.logical_id for file in plan.files_of(node)} | set(computed.get("moved_files", ()) if computed else ())
                ),
                "rows": computed["rows"] if computed else rows,
                "content_hash": computed["content_hash"] if computed else digest,
                "content_hash_of": "reproduction" if computed else "lake" if digest is not None else None,
            }
        )
    return found


def _contracts(node: selectors_reproduce.Node) -> list[Any]:
    used = {one.sha256: one for one in (node.contract, *(p.contract for p in node.parts), *(e.contract for e in node.epochs))}
    return sorted(used.values(), key=lambda one: one.version)


def _sqls(node: selectors_reproduce.Node) -> set[str]:
    return {part.step.sql_sha256 for part in node.parts} | {epoch.sql_sha256 for epoch in node.epochs}


def _file(file: Any) -> dict[str, Any]:
    return {
        "logical_id": file.logical_id,
        "dataset": file.dataset,
        "filename": file.filename,
        "uri": file.uri,
        "sha256": file.sha256,
        "size_bytes": file.size_bytes,
        "rows": file.rows,
        "columns": file.columns,
        "schema_hash": file.schema_hash,
        "contract_version": file.contract_version,
        "source": file.source,
        "received_at": moment_text(file.received_at),
    }


def _verdicts(tables: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "dataset": one.dataset,
            "rule": one.rule,
            "column": one.column,
            "status": str(one.status),
            "observed": one.observed,
            "limit": one.limit,
            "unit": one.unit,
            "critical": one.critical,
            "step": one.run_key,
            "evaluated_at": moment_text(one.evaluated_at),
        }
        for table in tables
        for one in quality.results_of_run(table["step"]).order_by("dataset", "rule")
    ]


def _trail(value: Any) -> dict[str, Any] | None:
    """What the provenance page shows, without what changes while nothing about the figure does."""
    found = provenance(value.kpi, value.business_date, value_pk=value.pk, files_limit=None)
    if found is not None:
        found["figure"].pop("confirmed", None)
        found.pop("sql", None)  # the texts stand in sql/
    return found


def _audit(value: Any, files: Iterable[Any], tables: Iterable[dict[str, Any]], done: Reproduction | None) -> dict[str, bytes]:
    """The newest checkpoint, and the chain from the first entry that concerns the figure up to it."""
    audit.checkpoint_write()
    found = audit_log.checkpoint_newest()
    if found is None:
        return {}
    targets = {figure_target(value.kpi, value.business_date.isoformat())}
    targets |= {f"bronze:{file.logical_id}" for file in files} | {f"dataset:{table['dataset']}" for table in tables}
    if done is not None:
        targets.add(done.audit_target)
    head = int(json.loads(found)["checkpoint"]["seq"])
    first = audit_log.first_seq(targets=targets, until=head) or head
    lines = audit_log.links(first=max(first, head - LINKS_AT_MOST + 1), last=head)
    return {bundle.CHECKPOINT: found, bundle.LINKS: b"".join(keys.canonical_json(one) + b"\n" for one in lines)}
