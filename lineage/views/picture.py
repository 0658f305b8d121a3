"""From a walk to a picture and the table that says the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from controlplane.ui import registry
from controlplane.ui.states import look
from lineage import selectors
from lineage.domain.drawing import Box, draw
from lineage.models import Dataset, Job, Run
from lineage.selectors import Direction, Resolved, Subgraph
from lineage.selectors.graph import Key

UI_NODES = 300
RUN_LOOKS = {"START": "running", "RUNNING": "running", "COMPLETE": "succeeded", "FAIL": "failed", "ABORT": "stopped"}


@dataclass
class Node:
    """A node as the page shows it; ``state`` is of the last run (jobs) or of the chosen overlay."""

    key: Key
    node_id: str
    kind: str
    label: str
    namespace: str
    href: str
    state: str = ""
    word: str = ""
    more: bool = False
    gone: bool = False


@dataclass
class Picture:
    """What a page needs: the drawing, the same as rows, and whether something was left out."""

    svg: SafeString
    nodes: list[Node]
    rows: list[tuple[Node, Node]]
    cut: bool
    more: list[Node] = field(default_factory=list)


def picture(
    found: Resolved,
    *,
    depth: int,
    direction: Direction = "both",
    as_of: datetime | None = None,
    overlay: str = "",
    limit: int = UI_NODES,
    params: Mapping[str, str] | None = None,
) -> Picture:
    """Draw what is around a node. ``params`` are kept in the links of the nodes."""
    start: Key = ("job" if found.name.kind == "job" else "dataset", found.key)
    graph = selectors.walk([start], depth=depth, direction=direction, as_of=as_of, limit=limit)
    nodes = _nodes(graph, params or {})
    _overlay(nodes, overlay)
    edges = [(nodes[a], nodes[b]) for a, b in sorted(graph.edges) if a in nodes and b in nodes]
    title = f"Lineage of {found.name.name}"
    svg = draw(
        [_box(node, focus=node.key == start) for node in nodes.values()],
        [(a.node_id, b.node_id) for a, b in edges],
        title=title,
        description=_description(nodes, graph),
    )
    more = sorted((nodes[key] for key in graph.more if key in nodes), key=lambda node: node.label)
    rows = sorted(edges, key=lambda pair: (pair[0].label, pair[1].label))
    # The drawing escapes every text itself.
    return Picture(mark_safe(svg), list(nodes.values()), rows, graph.cut, more)  # noqa: S308


def node_url(node_id: str, params: Mapping[str, str] | None = None) -> str:
    return f"{reverse('lineage')}?{urlencode({**(params or {}), 'node': node_id})}"


def run_state(run: Run | None) -> str:
    """The kit's word for the state of a run."""
    return RUN_LOOKS.get(run.state, "unknown") if run else "not_run"


def _nodes(graph: Subgraph, params: Mapping[str, str]) -> dict[Key, Node]:
    sets = selectors.datasets_by_id(key for kind, key in graph.nodes if kind == "dataset")
    jobs = selectors.jobs_by_id(key for kind, key in graph.nodes if kind == "job")
    latest = [job.latest_run_id for job in jobs.values() if job.latest_run_id]
    runs = {run.id: run for run in selectors.runs().filter(id__in=latest)}
    made: dict[Key, Node] = {}
    for key in sorted(graph.nodes, key=lambda key: (graph.nodes[key], key)):
        row: Dataset | Job | None = sets.get(key[1]) if key[0] == "dataset" else jobs.get(key[1])
        if row is None:
            continue
        node_id = f"{key[0]}:{row.namespace}:{row.name}"
        node = Node(key, node_id, key[0], row.name, row.namespace, node_url(node_id, params), more=key in graph.more)
        if isinstance(row, Job):
            node.state = run_state(runs.get(row.latest_run_id) if row.latest_run_id else None)
        else:
            node.gone = not row.alive
        made[key] = node
    return made


def _overlay(nodes: Mapping[Key, Node], chosen: str) -> None:
    """Marks of the overlay that the reader chose, in place of nothing (datasets) or of the last run (jobs)."""
    layer = next((item for item in registry.overlays() if item.key == chosen), None)
    if layer is None:
        return
    marks = layer.function([node.node_id for node in nodes.values()])
    for node in nodes.values():
        mark = marks.get(node.node_id)
        node.state, node.word = (mark.state, mark.label) if mark else ("", "")


def _box(node: Node, *, focus: bool) -> Box:
    shown = look(node.state) if node.state else None
    words = [node.word or (shown.word if shown else "")]
    if node.gone:
        words.append("Deleted")
    note = " · ".join(part for part in [node.kind.capitalize(), *words] if part)
    tone = shown.tone if shown and shown.tone != "idle" else ""
    return Box(node.node_id, node.kind, node.label, node.label, node.href, note, tone, focus, node.more, node.gone)


def _description(nodes: Mapping[Key, Any], graph: Subgraph) -> str:
    sets = sum(1 for kind, _ in nodes if kind == "dataset")
    text = f"{sets} datasets and {len(nodes) - sets} jobs, data flows from left to right."
    return f"{text} More exists than is shown." if graph.cut else f"{text} The table below says the same."
