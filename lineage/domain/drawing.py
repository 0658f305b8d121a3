"""A graph as SVG. Graphviz decides where things stand; every line of the SVG is ours, so colours come from the page's classes.

Nodes are links, in reading order from left to right, so that the keyboard walks the graph as the eye does; the drawing has a
title and a description, and states are words and pictures beside colours. ``standalone`` gives it a style of its own, for a
file that no page surrounds.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from html import escape

import pygraphviz

from lineage.domain.boxes import SIDE, Box, ColumnLine, ColumnRow, Control, Placed, box_svg, shortened

__all__ = ["Box", "ColumnLine", "ColumnRow", "Control", "draw", "shortened"]

# Graphviz keeps state in globals: one layout at a time per process.
_layout = threading.Lock()

MARGIN = 30
# From here on the layout trades beauty for time.
MANY = 150
STYLE = (
    ".lin-svg{font-family:Inter,system-ui,sans-serif;background:#fff}.lin-edge,.lin-flow{fill:none;stroke:#9aa3b2;stroke-width:1.4}"
    ".lin-flow{stroke:#3b6fd4}.lin-indirect{stroke-dasharray:4 3}.lin-arrow{fill:#9aa3b2}.lin-box{fill:#fff;stroke:#9aa3b2}"
    ".lin-job .lin-box{fill:#f1f3f6}.lin-focus .lin-box{stroke:#1d4ed8;stroke-width:2.4}"
    ".lin-more .lin-box{stroke-dasharray:5 3}"
    ".lin-label{font-size:12.5px;font-weight:500;fill:#1f2633}.lin-note,.lin-ctype{font-size:11px;fill:#525c6e}"
    ".lin-cname{font-size:11.5px;fill:#1f2633}.lin-column rect{fill:none}.lin-rule{stroke:#d5dae2}.lin-button{display:none}"
    ".lin-icon{fill:none;stroke:#525c6e;stroke-width:2}.lin-good .lin-box{fill:#e7f6ec}.lin-warn .lin-box{fill:#fdf3d7}"
    ".lin-bad .lin-box{fill:#fde8e6}.lin-busy .lin-box{fill:#e8eefc}"
)


def draw(
    boxes: Sequence[Box],
    lines: Sequence[tuple[str, str]],
    *,
    title: str,
    description: str,
    name: str = "lineage",
    columns: Sequence[ColumnLine] = (),
    standalone: bool = False,
) -> str:
    """SVG text of the graph, left to right. ``lines`` name the keys of boxes. Takes about 0.15 s for 300 boxes."""
    placed, paths, width, height = _place(boxes, lines)
    arrows = "".join(
        f'<path class="lin-edge" data-f="{origin}" data-t="{target}" d="{path}" marker-end="url(#{name}-arrow)"/>'
        for origin, target, path in paths
    )
    by_key = {row.key: item for item in placed for row in item.box.columns} | {item.box.key: item for item in placed}
    flows = "".join(_flow(line, by_key.get(line.origin), by_key.get(line.target)) for line in columns)
    nodes = "".join(box_svg(item) for item in sorted(placed, key=lambda item: (round(item.x), item.y)))
    style = f"<style>{STYLE}</style>" if standalone else ""
    return (
        f'<svg class="lin-svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" role="group"'
        f' aria-labelledby="{name}-title {name}-desc" xmlns="http://www.w3.org/2000/svg">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>{style}'
        f'<defs><marker id="{name}-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path class="lin-arrow" d="M0 0L8 4L0 8z"/></marker></defs>'
        f'<g aria-hidden="true">{arrows}{flows}</g>{nodes}</svg>'
    )


def _place(
    boxes: Sequence[Box], lines: Sequence[tuple[str, str]]
) -> tuple[list[Placed], list[tuple[int, int, str]], float, float]:
    if not boxes:
        return [], [], 2 * MARGIN, 2 * MARGIN
    # Names are numbers here: Graphviz would read ports out of colons in them.
    number = {box.key: index for index, box in enumerate(boxes)}
    graph = pygraphviz.AGraph(directed=True, strict=True, rankdir="LR", nodesep="0.24", ranksep="0.62")
    if len(boxes) > MANY:
        graph.graph_attr.update(nslimit="2", nslimit1="2", mclimit="0.4", searchsize="12")
    for box in boxes:
        wide, high = box.size
        graph.add_node(number[box.key], shape="box", fixedsize="true", width=(wide + SIDE) / 72, height=high / 72, label="")
    for origin, target in lines:
        if origin in number and target in number:
            graph.add_edge(number[origin], number[target])
    with _layout:
        graph.layout(prog="dot")
    _, _, width, height = (float(part) for part in graph.graph_attr["bb"].split(","))
    placed = []
    for box in boxes:
        x, y = (float(part) for part in graph.get_node(number[box.key]).attr["pos"].split(","))
        placed.append(Placed(box, x + MARGIN, height - y + MARGIN, number[box.key]))
    found = []
    for edge in graph.edges():
        first, last = placed[int(edge[0])], placed[int(edge[1])]
        if path := _path(edge.attr["pos"], height, first, last):
            found.append((first.number, last.number, path))
    return placed, found, width + 2 * MARGIN, height + 2 * MARGIN


def _path(spline: str, height: float, origin: Placed, target: Placed) -> str:
    """Graphviz' "e,x,y x,y …" (end first, then the points of a B-spline) as an SVG path from box to box."""
    points: list[tuple[float, float]] = []
    end: tuple[float, float] | None = None
    for part in spline.replace("\\\n", "").split():
        pieces = part.split(",")
        if pieces[0] == "s":
            continue
        x, y = float(pieces[-2]) + MARGIN, height - float(pieces[-1]) + MARGIN
        if pieces[0] == "e":
            end = x, y
        else:
            points.append((x, y))
    if not points:
        return ""
    # Graphviz stops at the room that was reserved for buttons: the line goes on to the box itself.
    first, last = points[0], end or points[-1]
    start = f"M{origin.right:.1f} {first[1]:.1f}L" if first[0] > origin.right else "M"
    curve = " ".join(f"{x:.1f} {y:.1f}" for x, y in points[1:])
    stop = f"L{target.left:.1f} {last[1]:.1f}" if last[0] < target.left else f"L{last[0]:.1f} {last[1]:.1f}"
    return f"{start}{first[0]:.1f} {first[1]:.1f} C{curve} {stop}"


def _flow(line: ColumnLine, origin: Placed | None, target: Placed | None) -> str:
    """A column's line, from the right side of its origin to the left side of its target."""
    if origin is None or target is None:
        return ""
    x1, y1, x2, y2 = origin.right, origin.row_y(line.origin), target.left, target.row_y(line.target)
    bend = max(40.0, abs(x2 - x1) / 2)
    classes = "lin-flow" + (" lin-indirect" if line.indirect else "") + (" lin-masked" if line.masked else "")
    return (
        f'<path class="{classes}" data-cf="{escape(line.origin)}" data-ct="{escape(line.target)}"'
        f' d="M{x1:.1f} {y1:.1f} C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}">'
        f"<title>{escape(line.say)}</title></path>"
    )
