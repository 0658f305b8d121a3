"""A graph as SVG. Graphviz decides where things stand; every line of the SVG is ours, so colours come from the page's classes.

Nodes are links, in reading order from left to right, so that the keyboard walks the graph as the eye does; the drawing has a
title and a description, and states are words beside colours.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import pygraphviz

# Graphviz keeps state in globals: one layout at a time per process.
_layout = threading.Lock()

WIDTH, HEIGHT = 208, 46
JOB_WIDTH, JOB_HEIGHT = 176, 38
MARGIN = 12
# The picture shrinks to the width of the page, but not below this, where its letters would be too small: then it scrolls.
LEAST_SCALE = 0.72
LABEL_CHARS, JOB_CHARS = 27, 21


@dataclass(frozen=True)
class Box:
    """A node. ``kind`` dataset or job; ``tone`` colours a mark whose words stand in ``note``; ``more``: neighbours left out."""

    key: str
    kind: str
    label: str
    full: str
    href: str
    note: str = ""
    tone: str = ""
    focus: bool = False
    more: bool = False
    gone: bool = False


@dataclass(frozen=True)
class Placed:
    box: Box
    x: float
    y: float


def draw(boxes: Sequence[Box], lines: Sequence[tuple[str, str]], *, title: str, description: str, name: str = "lineage") -> str:
    """SVG text of the graph, left to right. ``lines`` name the keys of boxes. Takes about 0.1 s for 300 boxes."""
    placed, paths, width, height = _place(boxes, lines)
    arrows = "".join(f'<path class="lin-edge" d="{path}" marker-end="url(#{name}-arrow)"/>' for path in paths)
    nodes = "".join(_node(item) for item in sorted(placed, key=lambda item: (item.x, item.y)))
    return (
        f'<svg class="lin-svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" role="group"'
        f' style="min-width:{width * LEAST_SCALE:.0f}px"'
        f' aria-labelledby="{name}-title {name}-desc" xmlns="http://www.w3.org/2000/svg">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
        f'<defs><marker id="{name}-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path class="lin-arrow" d="M0 0L8 4L0 8z"/></marker></defs>'
        f'<g aria-hidden="true">{arrows}</g>{nodes}</svg>'
    )


def shortened(text: str, chars: int) -> str:
    """The middle goes: names of tables differ at both ends."""
    if len(text) <= chars:
        return text
    head = (chars - 1) // 3
    return f"{text[:head]}…{text[-(chars - 1 - head) :]}"


def _place(boxes: Sequence[Box], lines: Sequence[tuple[str, str]]) -> tuple[list[Placed], list[str], float, float]:
    if not boxes:
        return [], [], 2 * MARGIN, 2 * MARGIN
    # Names are numbers here: Graphviz would read ports out of colons in them.
    number = {box.key: str(index) for index, box in enumerate(boxes)}
    graph = pygraphviz.AGraph(directed=True, strict=True, rankdir="LR", nodesep="0.22", ranksep="0.55")
    for box in boxes:
        wide, high = _size(box)
        graph.add_node(number[box.key], shape="box", fixedsize="true", width=wide / 72, height=high / 72, label="")
    for origin, target in lines:
        if origin in number and target in number:
            graph.add_edge(number[origin], number[target])
    with _layout:
        graph.layout(prog="dot")
    _, _, width, height = (float(part) for part in graph.graph_attr["bb"].split(","))
    placed = []
    for box in boxes:
        x, y = (float(part) for part in graph.get_node(number[box.key]).attr["pos"].split(","))
        placed.append(Placed(box, x + MARGIN, height - y + MARGIN))
    paths = [_path(edge.attr["pos"], height) for edge in graph.edges()]
    return placed, [path for path in paths if path], width + 2 * MARGIN, height + 2 * MARGIN


def _size(box: Box) -> tuple[int, int]:
    return (JOB_WIDTH, JOB_HEIGHT) if box.kind == "job" else (WIDTH, HEIGHT)


def _path(spline: str, height: float) -> str:
    """Graphviz' "e,x,y x,y …" (end first, then the points of a B-spline) as an SVG path."""
    points = []
    end = ""
    for part in spline.replace("\\\n", "").split():
        pieces = part.split(",")
        if pieces[0] == "s":
            continue
        x, y = float(pieces[-2]) + MARGIN, height - float(pieces[-1]) + MARGIN
        if pieces[0] == "e":
            end = f" L{x:.1f} {y:.1f}"
        else:
            points.append(f"{x:.1f} {y:.1f}")
    return f"M{points[0]} C{' '.join(points[1:])}{end}" if points else ""


def _node(item: Placed) -> str:
    box = item.box
    width, height = _size(box)
    left, top = item.x - width / 2, item.y - height / 2
    radius = height // 2 if box.kind == "job" else 7
    classes = ["lin-node", f"lin-{box.kind}"]
    classes += [name for name, on in (("lin-focus", box.focus), ("lin-more", box.more), ("lin-gone", box.gone)) if on]
    if box.tone:
        classes.append(f"lin-{box.tone}")
    spoken = ", ".join(
        part for part in (f"{box.kind.capitalize()} {box.full}", box.note, "has more" if box.more else "") if part
    )
    label = escape(shortened(box.label, JOB_CHARS if box.kind == "job" else LABEL_CHARS))
    note = escape(shortened(box.note or box.kind.capitalize(), 34))
    current = ' aria-current="true"' if box.focus else ""
    return (
        f'<a class="{" ".join(classes)}" href="{escape(box.href)}" aria-label="{escape(spoken)}"{current}>'
        f"<title>{escape(spoken)}</title>"
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width}" height="{height}" rx="{radius}"/>'
        f'<text class="lin-label" x="{left + 14:.1f}" y="{item.y - 3:.1f}">{label}</text>'
        f'<text class="lin-note" x="{left + 14:.1f}" y="{item.y + 13:.1f}">{note}</text></a>'
    )
