"""The columns of opened datasets and the lines between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lineage import selectors
from lineage.domain.reading import schema_types
from lineage.selectors import ColumnEdge, Key
from lineage.views.state import State

if TYPE_CHECKING:
    from lineage.views.picture import Node

ROWS_MAX = 14


@dataclass(frozen=True)
class Column:
    key: str
    name: str
    type: str
    href: str


@dataclass(frozen=True)
class Line:
    """One column into another, with what happens on the way. An empty ``origin_column`` is the dataset as a whole."""

    origin: str
    target: str
    indirect: bool
    masked: bool
    say: str
    origin_dataset: str = ""
    origin_href: str = ""
    origin_column: str = ""
    target_dataset: str = ""
    target_column: str = ""
    how: str = ""


@dataclass
class Columns:
    """Rows to draw by node id, how many were left out, and lines between what is drawn."""

    rows: dict[str, list[Column]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)


def columns_of(opened: Iterable[Key], nodes: Mapping[Key, Node], state: State) -> Columns:
    """Columns of the opened datasets; those that lines touch are kept first where not all are shown. Six queries at most."""
    keys = [key for key in opened if key[0] == "dataset" and key in nodes]
    found = Columns()
    if not keys:
        return found
    names = selectors.fields_of((key for _, key in keys), as_of=state.as_of)
    facets = selectors.facets("dataset", [key for _, key in keys], names=["schema"])
    start = {(key, name) for _, key in keys for name in names.get(key, ())}
    walked = selectors.column_walk(start, depth=1, upstream=True, as_of=state.as_of)
    edges = [edge for edge in walked.edges.values() if ("dataset", edge.source[0]) in nodes]
    touched = {edge.source for edge in edges} | {edge.target for edge in edges}
    drawn: set[tuple[int, str]] = set()
    for kind, key in keys:
        node = nodes[kind, key]
        types = schema_types(facets.get(key, {}).get("schema"))
        # The order of the schema, then columns that only lineage names.
        known = names.get(key, [])
        listed = [name for name in types if name in known] + [name for name in known if name not in types]
        kept = listed if node.node_id in state.all else _kept(listed, {name for id_, name in touched if id_ == key})
        found.left_out[node.node_id] = len(listed) - len(kept)
        found.rows[node.node_id] = [
            Column(_column_id(node, name), name, types.get(name, ""), state.around(node.node_id)) for name in kept
        ]
        drawn |= {(key, name) for name in kept}
    found.lines = _lines(edges, drawn, nodes)
    return found


def _kept(listed: list[str], touched: set[str]) -> list[str]:
    if len(listed) <= ROWS_MAX + 1:  # one left out would take as much room as its "1 more"
        return listed
    by_need = [name for name in listed if name in touched] + [name for name in listed if name not in touched]
    first = set(by_need[:ROWS_MAX])
    return [name for name in listed if name in first]


def _lines(edges: Iterable[ColumnEdge], drawn: set[tuple[int, str]], nodes: Mapping[Key, Node]) -> list[Line]:
    made: dict[tuple[str, str, bool], Line] = {}
    for edge in edges:
        source, target = nodes["dataset", edge.source[0]], nodes.get(("dataset", edge.target[0]))
        if target is None:
            continue
        origin = _column_id(source, edge.source[1]) if edge.source in drawn else source.node_id
        # The columns of a whole dataset (filters, joins) lead to its head.
        end = _column_id(target, edge.target[1]) if edge.target in drawn else target.node_id
        if origin == end:
            continue
        how = ", ".join(sorted({(sub or kind).replace("_", " ").lower() for kind, sub, _, _ in edge.transformations}))
        said = [f"{source.label} {edge.source[1]} → {target.label} {edge.target[1]}".rstrip(), how]
        line = Line(
            origin=origin,
            target=end,
            indirect=not edge.direct,
            masked=edge.masking,
            say=", ".join([part for part in said if part] + (["masked"] if edge.masking else [])),
            origin_dataset=source.label,
            origin_href=source.href,
            origin_column=edge.source[1],
            target_dataset=target.label,
            target_column=edge.target[1],
            how=how,
        )
        made.setdefault((origin, end, line.indirect), line)
    return sorted(made.values(), key=lambda line: (line.target, line.origin))


def _column_id(node: Node, name: str) -> str:
    return f"datasetField:{node.node_id.removeprefix('dataset:')}:{name}"
