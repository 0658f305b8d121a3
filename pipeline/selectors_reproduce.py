"""What a published figure was computed from, exactly: steps, code, contracts and raw files as they stood when it was made.

Runs follow each other and a run's steps are numbered upstream first, so what a step read is what the steps with lower numbers
had left. A dataset that was held back stays where its own last good step left it, whatever had moved on above it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.db import connection

from catalog.domain.contract import Contract
from catalog.selectors import contract_of, contract_version, contracts_current
from pipeline.domain import scope
from pipeline.errors import NotReproducible
from pipeline.models import BronzeFile, KpiValue, PartitionSource, SqlText, Step, StepRows, StepState

NodeKey = tuple[str, int]  # dataset, number of the step that had left the table as it was read

# The step that had last replaced each partition, up to a step.
_WRITERS_SQL = """
SELECT DISTINCT ON (p.value) p.value, s.id
FROM pipeline_step s CROSS JOIN jsonb_array_elements_text(s.partitions) AS p(value)
WHERE s.dataset = %s AND s.state = 'succeeded' AND s.id <= %s AND p.value = ANY(%s)
ORDER BY p.value, s.id DESC
"""
_TAKEN_SQL = """
SELECT s.id, s.contract_version, s.sql_sha256, t.bronzefile_id
FROM pipeline_step s JOIN pipeline_step_bronze_files t ON t.step_id = s.id
WHERE s.dataset = %s AND s.state = 'succeeded' AND s.id <= %s
ORDER BY s.id, t.bronzefile_id
"""


@dataclass(frozen=True)
class Part:
    """Partitions of a Gold table (None: all of it) that one step left, with the code and contract that it ran under."""

    step: Step
    contract: Contract
    partitions: tuple[str, ...] | None


@dataclass(frozen=True)
class Epoch:
    """Raw files that a Silver dataset judged under one contract version and one SQL text. ``rows``: file → ordinals, where only
    some of its records were judged."""

    contract: Contract
    sql_sha256: str
    files: frozenset[int]
    rows: Mapping[int, frozenset[int]]


@dataclass
class Node:
    """A table as the figure's computation read it. ``partitions`` None: all of it. ``reads``: dataset → its node, None: no
    table yet."""

    step: Step
    contract: Contract
    partitions: set[str] | None
    depth: int
    reads: dict[str, NodeKey | None] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    searched: frozenset[int] = frozenset()  # files that may hold other versions of the same keys (rows may move)
    table_version: int | None = None

    @property
    def key(self) -> NodeKey:
        return (self.contract.dataset, self.step.pk)

    @property
    def layer(self) -> str:
        return self.contract.layer

    @property
    def files(self) -> frozenset[int]:
        return frozenset().union(*(epoch.files for epoch in self.epochs))


@dataclass(frozen=True)
class Plan:
    """Everything that makes the figure again: ``nodes`` upstream first, the KPI's own last. ``files``: by number."""

    value: KpiValue
    contract: Contract
    nodes: Sequence[Node]
    files: Mapping[int, BronzeFile]

    def files_of(self, node: Node) -> list[BronzeFile]:
        return [self.files[pk] for pk in sorted(node.files)]


def figure(*, key: str, day: date, at: datetime | None = None) -> KpiValue | None:
    """The figure of a day as it is known now, or was at a moment."""
    values = KpiValue.objects.filter(kpi=key, business_date=day).select_related("step__run").order_by("-id")
    return (values.filter(computed_at__lte=at) if at else values).first()


def figure_by_id(value_id: int) -> KpiValue | None:
    return KpiValue.objects.filter(pk=value_id).select_related("step__run").first()


def sql_text(sha256: str) -> str | None:
    """The SQL that a step ran, by its hash; None when it was not kept."""
    return SqlText.objects.filter(sha256=sha256).values_list("text", flat=True).first()


def contract_at(dataset: str, version: str) -> Contract:
    """The contract that a step ran under. Raises NotReproducible when that version is not known any more."""
    row = contract_version(dataset, version)
    if row is None:
        raise NotReproducible(f"version {version or '(unknown)'} of the contract of {dataset} is not kept any more")
    return contract_of(row)


def plan(value: KpiValue) -> Plan:
    """Steps, contracts and files behind a figure. Raises NotReproducible when a contract version is not known any more.

    Reads the database only. For datasets whose rows may move between partitions, ``searched`` names files that hold other
    versions of the same keys perhaps; which of them do is found in the files themselves.
    """
    return _Planner(value).made()


def replaced_since(*, step: str, dataset: str, partitions: Iterable[str] | None) -> bool:
    """Whether a later step (after the one with this uuid) has replaced any of these partitions (None: the table)."""
    mark = Step.objects.filter(uuid=step).values_list("pk", flat=True).first()
    later = Step.objects.filter(dataset=dataset, state=StepState.SUCCEEDED, pk__gt=mark or 0, table_version__isnull=False)
    if partitions is None:
        return later.exists()
    wanted = set(partitions)
    return any(wanted & set(values) for values in later.values_list("partitions", flat=True).iterator())


def files_known(logical_ids: Iterable[str]) -> dict[str, BronzeFile]:
    """Manifests of raw files by logical id."""
    return {file.logical_id: file for file in BronzeFile.objects.filter(logical_id__in=list(logical_ids))}


class _Planner:
    def __init__(self, value: KpiValue) -> None:
        self.value = value
        self.nodes: dict[NodeKey, Node] = {}
        self.queue: list[NodeKey] = []
        self.current = contracts_current()
        self.contracts: dict[tuple[str, str], Contract] = {}
        self.timed: dict[str, bool] = {}  # SQL by hash: whether it asks for the moment of the run

    def made(self) -> Plan:
        step = self.value.step
        key = self._node(step, {self.value.business_date.isoformat()}, depth=0)
        while self.queue:
            node = self.nodes[self.queue.pop(0)]
            self._gold(node) if node.layer == "gold" else self._silver(node)
        ordered = sorted(self.nodes.values(), key=lambda one: (one.step.pk, one.contract.dataset))
        wanted = frozenset().union(*(node.files | node.searched for node in ordered))
        files = BronzeFile.objects.in_bulk(sorted(wanted))
        return Plan(value=self.value, contract=self.nodes[key].contract, nodes=ordered, files=files)

    def _visit(self, dataset: str, *, before: int, partitions: set[str] | None, depth: int) -> NodeKey | None:
        """The node of a dataset as a step numbered ``before`` read it; None when there was no table."""
        done = Step.objects.filter(dataset=dataset, state=StepState.SUCCEEDED, pk__lt=before, sql_sha256__gt="")
        step = done.select_related("run").order_by("-pk").first()
        return self._node(step, partitions, depth=depth) if step else None

    def _node(self, step: Step, partitions: set[str] | None, *, depth: int) -> NodeKey:
        key = (step.dataset, step.pk)
        known = self.nodes.get(key)
        if known is None:
            contract = self._contract(step.dataset, step.contract_version)
            self.nodes[key] = Node(step, contract, None if contract.partition is None else partitions, depth)
            self.nodes[key].table_version = self._table_version(step)
        else:
            known.depth = max(known.depth, depth)
            if known.partitions is None or (partitions is not None and partitions <= known.partitions):
                return key
            known.partitions = None if partitions is None else known.partitions | partitions
        self.queue.append(key)
        return key

    def _contract(self, dataset: str, version: str) -> Contract:
        if (dataset, version) not in self.contracts:
            self.contracts[dataset, version] = contract_at(dataset, version)
        return self.contracts[dataset, version]

    def _table_version(self, step: Step) -> int | None:
        if step.table_version is not None:
            return step.table_version
        wrote = Step.objects.filter(
            dataset=step.dataset, state=StepState.SUCCEEDED, pk__lt=step.pk, table_version__isnull=False
        )
        return wrote.order_by("-pk").values_list("table_version", flat=True).first()

    def _gold(self, node: Node) -> None:
        node.parts = self._parts(node)
        for part in node.parts:
            for one in part.contract.inputs:
                upstream = self.current.get(one.dataset)
                values = None if part.partitions is None else scope.read_values(one, part.partitions)
                if upstream is not None and upstream.partition is None:
                    values = None
                wanted = None if values is None else set(values)
                node.reads[one.dataset] = self._visit(one.dataset, before=node.step.pk, partitions=wanted, depth=node.depth + 1)

    def _parts(self, node: Node) -> list[Part]:
        """The table's partitions by what made them: code and contract may have changed between two refreshes."""
        if node.partitions is None and node.contract.partition is None:
            return [Part(node.step, node.contract, None)]
        with connection.cursor() as cursor:
            wanted = sorted(self._all_partitions(node) if node.partitions is None else node.partitions)
            cursor.execute(_WRITERS_SQL, [node.contract.dataset, node.step.pk, wanted])
            writers: dict[str, int] = dict(cursor.fetchall())
        steps = Step.objects.select_related("run").in_bulk(sorted(set(writers.values())))
        grouped: dict[tuple[Any, ...], list[str]] = {}
        newest: dict[tuple[Any, ...], Step] = {}
        for partition, pk in sorted(writers.items()):
            step = steps[pk]
            same = (step.contract_version, step.sql_sha256, step.run.as_of if self._follows_time(step) else None)
            grouped.setdefault(same, []).append(partition)
            newest[same] = max(newest.get(same, step), step, key=lambda one: one.pk)
        return [
            Part(newest[same], self._contract(node.contract.dataset, str(same[0])), tuple(partitions))
            for same, partitions in grouped.items()
        ]

    def _all_partitions(self, node: Node) -> set[str]:
        rows = Step.objects.filter(dataset=node.contract.dataset, state=StepState.SUCCEEDED, pk__lte=node.step.pk)
        return {value for values in rows.values_list("partitions", flat=True) for value in values}

    def _follows_time(self, step: Step) -> bool:
        if step.sql_sha256 not in self.timed:
            text = sql_text(step.sql_sha256)
            self.timed[step.sql_sha256] = text is None or "$as_of" in text
        return self.timed[step.sql_sha256]

    def _silver(self, node: Node) -> None:
        taken = _taken(node)
        present = {pk for _, _, _, pk in taken}
        part = node.contract.partition
        chosen, node.searched = present, frozenset()
        if node.partitions is not None and part is not None:
            brought = PartitionSource.objects.filter(dataset=node.contract.dataset, partition__in=node.partitions)
            chosen = present & set(brought.values_list("bronze_file_id", flat=True))
            if not part.stable:
                node.searched = frozenset(present - chosen)
        node.epochs = self._epochs(node, taken, chosen)
        for epoch in node.epochs:
            for dataset, _ in epoch.contract.references.values():
                node.reads[dataset] = self._visit(dataset, before=node.step.pk, partitions=None, depth=node.depth + 1)

    def _epochs(self, node: Node, taken: Iterable[tuple[int, str, str, int]], chosen: set[int]) -> list[Epoch]:
        return epochs(node.contract.dataset, taken, chosen, self._contract)


def epochs_with(node: Node, more: Iterable[int]) -> list[Epoch]:
    """The epochs of a Silver node over its files and ``more``."""
    return epochs(node.contract.dataset, _taken(node), set(node.files) | set(more), contract_at)


def epochs(dataset: str, taken: Iterable[tuple[int, str, str, int]], chosen: set[int], contract: Any) -> list[Epoch]:
    """Judgements of the ``chosen`` files in the order in which they took place, one epoch per contract version and SQL."""
    mine = [one for one in taken if one[3] in chosen]
    partial: dict[tuple[int, int], list[int]] = {
        (step, file): rows
        for step, file, rows in StepRows.objects.filter(step__in={one[0] for one in mine}).values_list(
            "step_id", "bronze_file_id", "rows"
        )
    }
    made: list[Epoch] = []
    current: tuple[str, str] | None = None
    whole: set[int] = set()
    some: dict[int, set[int]] = {}

    def close() -> None:
        if current is not None:
            rows = {pk: frozenset(ordinals) for pk, ordinals in some.items() if pk not in whole}
            made.append(Epoch(contract(dataset, current[0]), current[1], frozenset(whole | set(some)), rows))

    for step, version, sha256, file in mine:
        if (version, sha256) != current:
            close()
            current, whole, some = (version, sha256), set(), {}
        if (step, file) in partial:
            some.setdefault(file, set()).update(partial[step, file])
        else:
            whole.add(file)
    close()
    return made


def _taken(node: Node) -> list[tuple[int, str, str, int]]:
    with connection.cursor() as cursor:
        cursor.execute(_TAKEN_SQL, [node.contract.dataset, node.step.pk])
        return list(cursor.fetchall())
