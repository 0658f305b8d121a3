"""Names that symlinks join are one node of the graph: the smallest identifier among the joined datasets."""

from __future__ import annotations

from collections.abc import Iterable

from lineage.services.upsert import Cursor

_VISIBLE = (
    "SELECT s.dataset_id, s.alias_id FROM lineage_symlink s JOIN lineage_dataset d ON d.id = s.dataset_id"
    " WHERE (d.symlinks_removed_at IS NULL OR s.last_time > d.symlinks_removed_at)"
    " AND (s.dataset_id = ANY(%b::bigint[]) OR s.alias_id = ANY(%b::bigint[]))"
)


def nodes_merge(cursor: Cursor, *, fresh: set[int], linked: set[int]) -> None:
    """Recompute the nodes around new datasets (somebody's alias?) and around datasets whose symlinks changed."""
    touched = set(linked)
    if fresh:
        cursor.execute("SELECT DISTINCT alias_id FROM lineage_symlink WHERE alias_id = ANY(%b::bigint[])", [list(fresh)])
        touched |= {row[0] for row in cursor.fetchall()}
    if not touched:
        return
    # Links that were removed may have held others together: start from everything the present nodes hold.
    cursor.execute(
        "SELECT id FROM lineage_dataset WHERE node_id IN (SELECT node_id FROM lineage_dataset WHERE id = ANY(%b::bigint[]))",
        [list(touched)],
    )
    touched |= {row[0] for row in cursor.fetchall()}
    links = _links(cursor, touched)
    members = touched | {end for link in links for end in link}
    cursor.execute("SELECT id FROM lineage_dataset WHERE id = ANY(%b::bigint[])", [list(members)])
    present = {row[0] for row in cursor.fetchall()}
    nodes = {member: min(group & present) for group in _groups(members, links) if group & present for member in group & present}
    _store(cursor, nodes)


def _links(cursor: Cursor, start: set[int]) -> set[tuple[int, int]]:
    """Every link reachable from the start, in as many queries as the longest chain has links."""
    links: set[tuple[int, int]] = set()
    reached, frontier = set(start), set(start)
    while frontier:
        cursor.execute(_VISIBLE, [list(frontier), list(frontier)])
        found = {(row[0], row[1]) for row in cursor.fetchall()}
        links |= found
        ends = {end for link in found for end in link}
        frontier = ends - reached
        reached |= ends
    return links


def _groups(members: Iterable[int], links: set[tuple[int, int]]) -> list[set[int]]:
    parent = {member: member for member in members}

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for left, right in links:
        parent[root(left)] = root(right)
    groups: dict[int, set[int]] = {}
    for member in parent:
        groups.setdefault(root(member), set()).add(member)
    return list(groups.values())


def _store(cursor: Cursor, nodes: dict[int, int]) -> None:
    pairs = sorted(nodes.items())
    arrays = [[key for key, _ in pairs], [node for _, node in pairs]]
    cursor.execute(
        "UPDATE lineage_dataset d SET node_id = n.node_id FROM unnest(%b::bigint[], %b::bigint[]) AS n(id, node_id)"
        " WHERE d.id = n.id AND d.node_id <> n.node_id RETURNING d.id, d.node_id",
        arrays,
    )
    moved = cursor.fetchall()
    if moved:
        cursor.execute(
            "UPDATE lineage_edge e SET node_id = n.node_id FROM unnest(%b::bigint[], %b::bigint[]) AS n(id, node_id)"
            " WHERE e.dataset_id = n.id",
            [[row[0] for row in moved], [row[1] for row in moved]],
        )
