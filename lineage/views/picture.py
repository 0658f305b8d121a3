"""From a walk to a picture and the table that says the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from controlplane.ui import components
from controlplane.ui.icons import PATHS
from controlplane.ui.registry import Mark
from controlplane.ui.states import look
from lineage import selectors, selectors_pages
from lineage.domain.boxes import Box, ColumnLine, ColumnRow, Control
from lineage.domain.drawing import draw
from lineage.errors import NodeIdInvalid, NodeUnknown
from lineage.models import Dataset, Job, Run
from lineage.selectors import Key, Resolved, Subgraph
from lineage.selectors.filters import Filter
from lineage.views.columns import Columns, columns_of
from lineage.views.state import Side, State

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
    gone: bool = False
    hidden_up: int = 0
    hidden_down: int = 0
    controls: tuple[Control, ...] = ()

    @property
    def more(self) -> bool:
        return bool(self.hidden_up or self.hidden_down)

    @cached_property
    def cell(self) -> SafeString:
        """The node in the table: a link, and links to what is out of sight. Made once, a node stands in many rows."""
        more = format_html_join(
            "",
            ' <a class="lin-more-link" href="{}" data-redraw title="{}" aria-label="{}">{} {}</a>',
            (
                (item.href, item.say, item.say, item.sign, "upstream" if item.place == "left" else "downstream")
                for item in self.controls
                if item.place in ("left", "right") and item.sign != "−"
            ),
        )
        return format_html(
            '<span class="lin-cell">{} <a class="ts-link" href="{}">{}</a> <span class="ts-subtle">{}</span>{}</span>',
            components.icon("flow" if self.kind == "job" else "table"),
            self.href,
            self.label,
            f"{self.kind}, deleted" if self.gone else self.kind,
            more,
        )


@dataclass
class Picture:
    """What a page needs: the drawing, the same as rows, what was left out, and the legend of what is marked."""

    svg: SafeString
    nodes: list[Node]
    rows: list[tuple[Node, Node]]
    cut: bool
    full: bool
    columns: Columns
    legend: list[tuple[str, str, int]] = field(default_factory=list)

    @property
    def more(self) -> list[Node]:
        return sorted((node for node in self.nodes if node.more), key=lambda node: node.label)


@dataclass
class View:
    """The part of the graph that a state shows."""

    graph: Subgraph
    start: Key
    keys: dict[str, Key] = field(default_factory=dict)
    full: bool = False


def picture(found: Resolved, state: State, *, limit: int = UI_NODES, name: str = "lineage", controls: bool = True) -> Picture:
    """Draw what a state shows around a node. ``controls``: with the buttons that expand, fold and open."""
    view = graph_of(found, state, limit=limit)
    nodes = _nodes(view.graph, state)
    opened = [key for node_id in state.open if (key := view.keys.get(node_id)) in nodes] if state.open else []
    columns = columns_of(opened, nodes, state)
    if controls:
        _beyond(view, nodes, state)
    marks = _marks(nodes, columns, state)
    edges = [(nodes[a], nodes[b]) for a, b in sorted(view.graph.edges) if a in nodes and b in nodes]
    if controls:
        _controls(nodes, edges, columns, state)
    svg = draw(
        [_box(node, columns, marks, focus=node.key == view.start) for node in nodes.values()],
        [(a.node_id, b.node_id) for a, b in edges],
        title=f"Lineage of {found.name.name}",
        description=_description(nodes, view),
        name=name,
        columns=[ColumnLine(line.origin, line.target, line.indirect, line.masked, line.say) for line in columns.lines],
    )
    rows = sorted(edges, key=lambda pair: (pair[0].label, pair[1].label))
    # The drawing escapes every text itself.
    drawn = mark_safe(svg)  # noqa: S308
    return Picture(drawn, list(nodes.values()), rows, view.graph.cut, view.full, columns, _legend(nodes))


def graph_of(found: Resolved, state: State, *, limit: int = UI_NODES) -> View:
    """The walk of a state, what was expanded added to it and what was folded taken away. At most ``limit`` nodes."""
    start: Key = ("job" if found.name.kind == "job" else "dataset", found.key)
    graph = selectors.walk([start], depth=state.depth, direction=state.direction, as_of=state.as_of, limit=limit)
    view = View(graph, start)
    wanted = {*state.up, *state.down, *state.fold_up, *state.fold_down, *state.open}
    view.keys = {node_id: key for node_id in sorted(wanted) if (key := _resolved(node_id))}
    for node_id, direction in [*((one, "upstream") for one in state.up), *((one, "downstream") for one in state.down)]:
        key = view.keys.get(node_id)
        if key is None or key not in graph.nodes:
            continue
        step = selectors.walk([key], depth=1, direction=direction, as_of=state.as_of, limit=limit)  # type: ignore[arg-type]
        fresh = [item for item in step.nodes if item not in graph.nodes]
        if len(graph.nodes) + len(fresh) > limit:
            view.full = True
            fresh = fresh[: limit - len(graph.nodes)]
        graph.nodes.update(dict.fromkeys(fresh, graph.nodes[key] + (1 if direction == "downstream" else -1)))
        graph.edges |= {edge for edge in step.edges if edge[0] in graph.nodes and edge[1] in graph.nodes}
    view.full = view.full or len(graph.nodes) >= limit
    _fold(view, state)
    if state.only:
        _filter(view, Filter(**state.only))
    return view


def _filter(view: View, only: Filter) -> None:
    """Datasets and jobs that match, jobs beside a dataset that matches, and the node in the middle."""
    graph = view.graph
    sets = selectors.datasets().filter(id__in=[key for kind, key in graph.nodes if kind == "dataset"])
    jobs = selectors.jobs().filter(id__in=[key for kind, key in graph.nodes if kind == "job"])
    kept: set[Key] = {view.start}
    kept |= {("dataset", key) for key in only.datasets(sets).values_list("id", flat=True)}
    beside = {end for edge in graph.edges if edge[0] in kept or edge[1] in kept for end in edge if end[0] == "job"}
    kept |= {("job", key) for key in only.jobs(jobs).values_list("id", flat=True)} | beside
    graph.nodes = {key: level for key, level in graph.nodes.items() if key in kept}
    graph.edges = {edge for edge in graph.edges if edge[0] in kept and edge[1] in kept}


def _fold(view: View, state: State) -> None:
    """Without the edges on the folded sides, and without what only they connected with the node in the middle."""
    up = {view.keys.get(node_id) for node_id in state.fold_up}
    down = {view.keys.get(node_id) for node_id in state.fold_down}
    if not up and not down:
        return
    kept = {(a, b) for a, b in view.graph.edges if b not in up and a not in down}
    near: dict[Key, list[Key]] = {}
    for a, b in kept:
        near.setdefault(a, []).append(b)
        near.setdefault(b, []).append(a)
    reached, queue = {view.start}, [view.start]
    while queue:
        for key in near.get(queue.pop(), ()):
            if key not in reached:
                reached.add(key)
                queue.append(key)
    view.graph.nodes = {key: level for key, level in view.graph.nodes.items() if key in reached}
    view.graph.edges = {edge for edge in kept if edge[0] in reached and edge[1] in reached}


def _resolved(node_id: str) -> Key | None:
    try:
        found = selectors.node_resolve(node_id)
    except (NodeUnknown, NodeIdInvalid):
        return None
    return ("job" if found.name.kind == "job" else "dataset", found.key)


def run_state(run: Run | None) -> str:
    """The kit's word for the state of a run."""
    return RUN_LOOKS.get(run.state, "unknown") if run else "not_run"


def _nodes(graph: Subgraph, state: State) -> dict[Key, Node]:
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
        node = Node(key, node_id, key[0], row.name, row.namespace, state.around(node_id))
        if isinstance(row, Job):
            node.state = run_state(runs.get(row.latest_run_id) if row.latest_run_id else None)
        else:
            node.gone = not row.alive
        made[key] = node
    return made


def _beyond(view: View, nodes: Mapping[Key, Node], state: State) -> None:
    out_of_sight = selectors_pages.beyond(nodes.keys(), as_of=state.as_of)
    for key, node in nodes.items():
        node.hidden_up = out_of_sight.up.get(key, 0)
        node.hidden_down = out_of_sight.down.get(key, 0)
    view.graph.cut = view.graph.cut or any(node.more for node in nodes.values())


def _controls(nodes: Mapping[Key, Node], edges: list[tuple[Node, Node]], columns: Columns, state: State) -> None:
    has_up, has_down = {b.node_id for _, b in edges}, {a.node_id for a, _ in edges}
    for node in nodes.values():
        found = [
            *_side(node, "up", shown=node.node_id in has_up, state=state),
            *_side(node, "down", shown=node.node_id in has_down, state=state),
        ]
        if node.kind == "dataset":
            opened = node.node_id in state.open
            words = f"{'Close' if opened else 'Open'} the columns of {node.label}"
            found.append(Control("columns", "▴" if opened else "▾", state.toggled("open", node.node_id), words))
            if left_out := columns.left_out.get(node.node_id):
                found.append(
                    Control(
                        "rest",
                        f"and {left_out} more columns",
                        state.toggled("all", node.node_id),
                        f"Show all columns of {node.label}",
                    )
                )
        node.controls = tuple(found)


def _side(node: Node, side: Side, *, shown: bool, state: State) -> list[Control]:
    stream, place, hidden = ("upstream", "left", node.hidden_up) if side == "up" else ("downstream", "right", node.hidden_down)
    if hidden:
        words = f"Show {hidden} more {stream} of {node.label}"
        return [Control(place, f"+{hidden}", state.expanded(node.node_id, side), words)]
    if shown:
        return [Control(place, "−", state.folded(node.node_id, side), f"Fold away what is {stream} of {node.label}")]
    return []


def _marks(nodes: Mapping[Key, Node], columns: Columns, state: State) -> Mapping[str, Mark]:
    """Marks of the chosen overlay by node id, in place of nothing (datasets) or of the last run (jobs).

    An overlay is asked for every name of a dataset: the catalog may know it under another one than events use most.
    """
    layer = state.layer_shown
    if layer is None:
        return {}
    names = selectors.aliases(key for kind, key in nodes if kind == "dataset")
    asked = {node.node_id: [node.node_id] for node in nodes.values()}
    for (kind, key), node in nodes.items():
        if kind == "dataset":
            asked[node.node_id] += [f"dataset:{space}:{name}" for space, name in names.get(key, ())]
    wanted = [item for items in asked.values() for item in dict.fromkeys(items)]
    marks = dict(layer.function([*wanted, *(row.key for rows in columns.rows.values() for row in rows)]))
    for node in nodes.values():
        mark = next((marks[item] for item in asked[node.node_id] if item in marks), None)
        node.state, node.word = (mark.state, mark.label) if mark else ("", "")
    return marks


def _legend(nodes: Mapping[Key, Node]) -> list[tuple[str, str, int]]:
    """(state, word, how many) of what is marked, most first."""
    counts = Counter(node.state for node in nodes.values() if node.state)
    return [(state, look(state).word, count) for state, count in counts.most_common()]


def _box(node: Node, columns: Columns, marks: Mapping[str, Mark], *, focus: bool) -> Box:
    shown = look(node.state) if node.state else None
    words = [node.word or (shown.word if shown else "")]
    if node.gone:
        words.append("Deleted")
    # Shape and picture tell datasets from jobs; the line is for what is said of this one.
    note = " · ".join(part for part in words if part) or node.kind.capitalize()
    tone = shown.tone if shown and shown.tone != "idle" else ""
    return Box(
        node.node_id,
        node.kind,
        node.label,
        node.label,
        node.href,
        note,
        tone,
        focus,
        node.more,
        node.gone,
        icon=PATHS.get(shown.icon, "") if shown else PATHS["table" if node.kind == "dataset" else "flow"],
        say=_spoken(node, note),
        columns=tuple(_row(row, marks.get(row.key)) for row in columns.rows.get(node.node_id, ())),
        controls=node.controls,
    )


def _spoken(node: Node, note: str) -> str:
    more = [f"{count} more {word}" for count, word in ((node.hidden_up, "upstream"), (node.hidden_down, "downstream")) if count]
    said = [] if note == node.kind.capitalize() else [note]
    return ", ".join([f"{node.kind.capitalize()} {node.label}", *said, *more])


def _row(row: Any, mark: Mark | None) -> ColumnRow:
    if mark is None:
        return ColumnRow(row.key, row.name, row.type, row.href)
    shown = look(mark.state)
    tone = shown.tone if shown.tone != "idle" else ""
    return ColumnRow(row.key, row.name, row.type, row.href, mark.label, tone, PATHS.get(shown.icon, ""))


def _description(nodes: Mapping[Key, Any], view: View) -> str:
    sets = sum(1 for kind, _ in nodes if kind == "dataset")
    text = f"{sets} datasets and {len(nodes) - sets} jobs, data flows from left to right."
    return f"{text} More exists than is shown." if view.graph.cut else f"{text} The table below says the same."
