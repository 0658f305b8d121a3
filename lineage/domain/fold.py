"""From an event to what it says: every rule of meaning stands here, none in the database code."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lineage.domain import explicit, ids
from lineage.domain.delta import (
    COLUMN_LINEAGE,
    DATASET_LINEAGE,
    INPUT,
    JOB_LINEAGE,
    OUTPUT,
    Claim,
    DatasetDelta,
    Delta,
    EdgeSet,
    FacetDelta,
    FieldEdge,
    IoSetDelta,
    JobDelta,
    Life,
    Rank,
    RunDelta,
    RunRank,
    StatementDelta,
    SymlinkDelta,
    VersionDelta,
    later,
)
from lineage.domain.spec import Fault, Kind, event_kind, parse_time, run_uuid, storable

Json = Mapping[str, Any]
TERMINAL = {"COMPLETE": 1, "FAIL": 1, "ABORT": 1}
# A start may still fail, so it neither brings a deleted dataset back nor deletes one.
NOT_YET = frozenset({"START", "FAIL", "ABORT"})


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as the store holds it."""

    event: dict[str, Any]
    identity: uuid.UUID
    recorded_at: datetime


def fold(delta: Delta, item: Recorded) -> None:
    """Add one event to the delta. Raises on an event that cannot be understood; the delta is then spoilt."""
    _Fold(delta, item).run()


class _Fold:
    """The fold of one event: what every rule needs to know about it, and the delta that it adds to."""

    def __init__(self, delta: Delta, item: Recorded) -> None:
        self.delta = delta
        self.event = item.event
        self.recorded_at = item.recorded_at
        self.kind: Kind = event_kind(item.event)
        self.time = parse_time(item.event.get("eventTime"))
        self.rank: Rank = (self.time, item.identity)
        self.type = str(item.event.get("eventType") or "").upper()
        self.takes_effect = self.kind != "run" or self.type not in NOT_YET
        self.job_id = 0
        self.run_id: uuid.UUID | None = None

    def run(self) -> None:
        self.delta.events += 1
        if self.kind == "dataset":
            self._dataset(self.event["dataset"], side=None)
            return
        job = self.event["job"]
        self.job_id = ids.job_id(job["namespace"], job["name"])
        self._job(job)
        if self.kind == "run":
            self._run(self.event["run"])
        # Some producers state the same of the run; the run's own words go before those of its job.
        stated = _facet(self.event["run"], "lineage") if self.kind == "run" else None
        declared = explicit.entries(stated or _facet(job, "lineage"), job)
        inputs = [self._dataset(item, side=INPUT) for item in self.event.get("inputs") or ()]
        outputs = [self._dataset(item, side=OUTPUT) for item in self.event.get("outputs") or ()]
        if declared is None:
            items = zip(outputs, self.event.get("outputs") or (), strict=True)
            self._said(self.job_id, inputs, outputs, {key for key, item in items if _facet(item, "lineage")})
        else:
            self._declared(declared, inputs, outputs)

    # --- jobs and runs

    def _job(self, job: Json) -> None:
        delta = self._job_named(job["namespace"], job["name"])
        facets = job.get("facets") or {}
        for name, facet in facets.items():
            self._facet("job", self.job_id, name, facet)
        if self.kind != "run":
            return
        parent = _facet(self.event["run"], "parent")
        named = _names((parent or {}).get("job"))
        if named and (delta.parent is None or self.rank > delta.parent[0]):
            delta.parent = (self.rank, *named)

    def _job_named(self, namespace: str, name: str) -> JobDelta:
        self._namespace(namespace)
        key = ids.job_id(namespace, name)
        found = self.delta.jobs.get(key)
        if found is None:
            found = self.delta.jobs[key] = JobDelta(namespace, name, self.recorded_at, self.time)
        else:
            found.known_from = min(found.known_from, self.recorded_at)
            found.last_event_time = max(found.last_event_time, self.time)
        return found

    def _run(self, run: Json) -> None:
        key = run_uuid(run["runId"])
        if key is None:
            raise Fault("$.run.runId", "is missing")
        self.run_id = key
        # A final state beats every other whenever it comes; among equals the last one counts.
        rank: RunRank = (TERMINAL.get(self.type, 0 if self.type in {"START", "RUNNING"} else -1), *self.rank)
        state = self.type or "OTHER"
        found = self.delta.runs.get(key)
        if found is None:
            found = RunDelta(run["runId"], (self.rank, self.job_id), self.recorded_at, self.time, self.time, (rank, state))
            self.delta.runs[key] = found
        else:
            found.known_from = min(found.known_from, self.recorded_at)
            found.first_time = min(found.first_time, self.time)
            found.last_time = max(found.last_time, self.time)
            found.job = max(found.job, (self.rank, self.job_id))
            found.state = max(found.state, (rank, state))
        if self.type == "START":
            found.started_at = self.time if found.started_at is None else min(found.started_at, self.time)
        self._run_facets(found, run.get("facets") or {})
        job = self.delta.jobs[self.job_id]
        if job.latest is None or (self.rank, key) > job.latest:
            job.latest = (self.rank, key)

    def _run_facets(self, run: RunDelta, facets: Json) -> None:
        parent = facets.get("parent")
        if parent:
            parent_id = run_uuid(_object(parent.get("run")).get("runId"))
            if parent_id is not None and (run.parent is None or self.rank > run.parent[0]):
                run.parent = (self.rank, parent_id, *(_names(parent.get("job")) or ("", "")))
            root_id = run_uuid(_object(_object(parent.get("root")).get("run")).get("runId"))
            if root_id is not None and (run.root is None or self.rank > run.root[0]):
                run.root = (self.rank, root_id)
        nominal = facets.get("nominalTime")
        if nominal and (run.nominal is None or self.rank > run.nominal[0]):
            run.nominal = (self.rank, _time(nominal.get("nominalStartTime")), _time(nominal.get("nominalEndTime")))

    def _said(self, job_id: int, inputs: list[int], outputs: list[int], explicit: Iterable[int]) -> None:
        """The statement of this event about a job, its own or one that a ``lineage`` facet names."""
        own = job_id == self.job_id
        io_set = self._io_set(job_id, tuple(sorted(set(inputs))), tuple(sorted(set(outputs))), tuple(sorted(set(explicit))))
        done = own and (self.kind == "job" or self.type == "COMPLETE" or self._streaming())
        if not io_set and not (done and self.kind == "run"):
            return
        run_id = self.run_id if own and self.run_id is not None else self.rank[1]
        said = StatementDelta(self.recorded_at, self.rank, run_id, io_set, done, self.takes_effect)
        self.delta.statements.setdefault(job_id, []).append(said)
        if own and io_set and self.run_id is not None:
            self.delta.runs[self.run_id].io_sets.add(io_set)

    def _io_set(self, job_id: int, inputs: tuple[int, ...], outputs: tuple[int, ...], explicit: tuple[int, ...]) -> int:
        if not inputs and not outputs:
            return 0
        key = ids.content_id("io", [job_id, inputs, outputs, explicit] if explicit else [job_id, inputs, outputs])
        found = self.delta.io_sets.get(key)
        if found is None:
            self.delta.io_sets[key] = IoSetDelta(job_id, inputs, outputs, explicit, self.recorded_at)
        else:
            found.known_from = min(found.known_from, self.recorded_at)
        return key

    def _streaming(self) -> bool:
        """A streaming run never ends: what it names holds as soon as it names it."""
        if self.kind != "run" or self.type in {"FAIL", "ABORT"}:
            return False
        kind = (_facet(self.event["job"], "jobType") or {}).get("processingType")
        return isinstance(kind, str) and kind.upper() == "STREAMING"

    # --- datasets

    def _dataset(self, item: Json, *, side: int | None) -> int:
        namespace, name = item["namespace"], item["name"]
        key = ids.dataset_id(namespace, name)
        found = self._dataset_named(key, namespace, name)
        found.seen = True
        facets = item.get("facets") or {}
        for facet_name, facet in facets.items():
            self._facet("dataset", key, facet_name, facet)
        self._life(key, found, facets.get("lifecycleStateChange"), side=side)
        self._schema(key, namespace, name, facets.get("schema"))
        self._version(key, facets, writes=side == OUTPUT)
        self._symlinks(key, found, facets.get("symlinks"))
        if (columns := facets.get("columnLineage")) is not None:
            self._claim(key, COLUMN_LINEAGE, explicit.column_lineage(columns), (namespace, name))
        if (lineage := facets.get("lineage")) is not None:
            self._claim(key, DATASET_LINEAGE, explicit.dataset_lineage(lineage), (namespace, name))
        if side is not None and self.run_id is not None:
            for facet_name, facet in (item.get("inputFacets" if side == INPUT else "outputFacets") or {}).items():
                self._run_facet(key, side, facet_name, facet)
        return key

    def _dataset_named(self, key: int, namespace: str, name: str) -> DatasetDelta:
        self._namespace(namespace)
        found = self.delta.datasets.get(key)
        if found is None:
            found = self.delta.datasets[key] = DatasetDelta(namespace, name, self.recorded_at, self.time)
        else:
            found.known_from = min(found.known_from, self.recorded_at)
            found.last_event_time = max(found.last_event_time, self.time)
        return found

    def _namespace(self, namespace: str) -> None:
        known = self.delta.namespaces.get(namespace)
        self.delta.namespaces[namespace] = self.recorded_at if known is None else min(known, self.recorded_at)

    def _life(self, key: int, dataset: DatasetDelta, facet: Json | None, *, side: int | None) -> None:
        if not self.takes_effect:
            return
        change = str((facet or {}).get("lifecycleStateChange") or "").upper()
        if change == "DROP":
            self._dropped(key, dataset, None)
            return
        previous = _names((facet or {}).get("previousIdentifier")) if change == "RENAME" else None
        # A table that is "renamed" to its own name has not ended.
        if previous and (old := ids.dataset_id(*previous)) != key:
            self._dropped(old, self._dataset_named(old, *previous), key)
        if side == INPUT and not change:
            return
        if later(dataset.write, self.rank):
            dataset.write = self.rank
        known = self.delta.writes if side == OUTPUT else self.delta.touches
        known.setdefault(key, []).append(Life(self.recorded_at, self.rank, alive=True))

    def _dropped(self, key: int, dataset: DatasetDelta, renamed_to: int | None) -> None:
        if later(dataset.drop, self.rank):
            dataset.drop, dataset.renamed_to = self.rank, renamed_to
        self.delta.drops.setdefault(key, []).append(Life(self.recorded_at, self.rank, alive=False, renamed_to=renamed_to))

    def _schema(self, key: int, namespace: str, name: str, facet: Json | None) -> None:
        for path in schema_paths((facet or {}).get("fields")):
            self._field(key, namespace, name, path)

    def _field(self, dataset_id: int, namespace: str, name: str, field: str) -> int:
        key = ids.field_id(namespace, name, field)
        found = self.delta.fields.get(key)
        if found is None or self.recorded_at < found[2]:
            self.delta.fields[key] = (dataset_id, field, self.recorded_at)
        return key

    def _version(self, key: int, facets: Json, *, writes: bool) -> None:
        declared = (facets.get("version") or {}).get("datasetVersion")
        if isinstance(declared, str | int) and storable(str(declared)):
            self._version_seen(key, "declared", str(declared), writes=writes)
        fields = (facets.get("schema") or {}).get("fields")
        if fields and isinstance(fields, list):
            self._version_seen(key, "schema", ids.facet_digest(json.dumps(fields, sort_keys=True)), writes=writes)

    def _version_seen(self, key: int, kind: str, version: str, *, writes: bool) -> None:
        version_id = ids.content_id("version", [key, kind, version])
        run_id = self.run_id if writes else None
        found = self.delta.versions.get(version_id)
        if found is None:
            self.delta.versions[version_id] = VersionDelta(key, kind, version, self.rank, run_id, self.recorded_at)
            return
        found.known_from = min(found.known_from, self.recorded_at)
        # A writer explains a version better than a reader; among equals the earliest event made it.
        if (run_id is None, self.rank) < (found.run_id is None, found.first):
            found.first, found.run_id = self.rank, run_id

    def _symlinks(self, key: int, dataset: DatasetDelta, facet: Json | None) -> None:
        if facet is None:
            return
        if facet.get("_deleted"):
            dataset.symlinks_removed = max(dataset.symlinks_removed or self.time, self.time)
            dataset.removals.append((self.recorded_at, self.time))
            return
        identifiers = facet.get("identifiers")
        for item in identifiers if isinstance(identifiers, list) else ():
            named = _names(item)
            if named is None:
                continue
            kind = str(item.get("type") or "")[:64]
            link = ids.content_id("symlink", [key, *named, kind])
            found = self.delta.symlinks.get(link)
            if found is None:
                words = [(self.recorded_at, self.time)]
                self.delta.symlinks[link] = SymlinkDelta(key, *named, kind, self.recorded_at, self.time, words)
            else:
                found.words.append((self.recorded_at, self.time))
                found.known_from = min(found.known_from, self.recorded_at)
                found.last_time = max(found.last_time, self.time)

    # --- explicit edges

    def _claim(self, target: int, source: int, edges: list[explicit.Edge], named: tuple[str, str]) -> None:
        made: dict[tuple[int, int, int], FieldEdge] = {}
        for edge in edges:
            origin = ids.dataset_id(edge.namespace, edge.name)
            self._dataset_named(origin, edge.namespace, edge.name)
            origin_field = self._field(origin, edge.namespace, edge.name, edge.field) if edge.field else 0
            target_field = self._field(target, *named, edge.target) if edge.target else 0
            key = (origin, origin_field, target_field)
            known = made.get(key)
            made[key] = explicit.joined(known, edge, key) if known else explicit.field_edge(edge, key)
        ordered = tuple(made[key] for key in sorted(made))
        content = [self.job_id, target, source, [[*key, made[key].transformations] for key in sorted(made)]]
        edge_set = ids.content_id("edges", content) if ordered else 0
        if ordered:
            self.delta.edge_sets[edge_set] = EdgeSet(self.job_id, target, source, ordered)
        claims = self.delta.claims.setdefault((self.job_id, target, source), [])
        claims.append(Claim(self.recorded_at, self.rank, edge_set))

    def _declared(self, declared: explicit.Declared, inputs: list[int], outputs: list[int]) -> None:
        """The ``lineage`` facet of a job: its entries are the edges, nothing is multiplied out of inputs and outputs."""
        inputs, outputs = list(inputs), list(outputs)
        for (namespace, name), edges in declared.datasets.items():
            target = ids.dataset_id(namespace, name)
            self._dataset_named(target, namespace, name).seen = True
            outputs.append(target)
            self._claim(target, JOB_LINEAGE, edges, (namespace, name))
        others: dict[int, tuple[list[int], list[int]]] = {self.job_id: (inputs, outputs)}
        for job, dataset, direction in declared.job_edges:
            key = ids.dataset_id(*dataset)
            self._dataset_named(key, *dataset).seen = True
            self._job_named(*job)
            sides = others.setdefault(ids.job_id(*job), ([], []))
            sides[0 if direction == INPUT else 1].append(key)
        for job_id, (reads, writes) in others.items():
            self._said(job_id, reads, writes, writes)

    # --- facets

    def _facet(self, kind: str, subject: int, name: str, facet: Json | None) -> None:
        if facet is None:
            return
        key = (kind, subject, name)
        found = self.delta.facets.get(key)
        if found is None or self.rank > found.rank:
            self.delta.facets[key] = self._facet_delta(facet)

    def _run_facet(self, dataset: int, side: int, name: str, facet: Json | None) -> None:
        if facet is None or self.run_id is None:
            return
        key = (self.run_id, dataset, side, name)
        found = self.delta.run_facets.get(key)
        if found is None or self.rank > found.rank:
            self.delta.run_facets[key] = self._facet_delta(facet)

    def _facet_delta(self, facet: Json) -> FacetDelta:
        return FacetDelta(self.rank, self.recorded_at, facet)


def schema_paths(fields: Any, prefix: str = "") -> Iterator[str]:
    """Names of the fields, nested ones as ``parent.child``."""
    if not isinstance(fields, list):
        return
    for item in fields:
        name = item.get("name") if isinstance(item, dict) else None
        if isinstance(name, str) and name and storable(name):
            yield prefix + name
            yield from schema_paths(item.get("fields"), f"{prefix}{name}.")


def _facet(item: Json, name: str) -> Json | None:
    facet = (item.get("facets") or {}).get(name)
    return facet if isinstance(facet, dict) and not facet.get("_deleted") else None


def _names(item: Any) -> tuple[str, str] | None:
    return explicit.names(item)


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _time(value: Any) -> datetime | None:
    with suppress(Fault):
        return parse_time(value)
    return None
