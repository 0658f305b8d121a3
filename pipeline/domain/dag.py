"""Which dataset waits for which: the graph that the contracts span."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import networkx as nx

from catalog.domain.contract import Contract


class Dag:
    """The contracts as a graph; an edge leads from a dataset to those that read or reference it."""

    def __init__(self, contracts: Mapping[str, Contract]) -> None:
        self.graph: nx.DiGraph[str] = nx.DiGraph()
        self.graph.add_nodes_from(contracts)
        for contract in contracts.values():
            self.graph.add_edges_from((upstream, contract.dataset) for upstream in contract.upstreams if upstream in contracts)
        if not nx.is_directed_acyclic_graph(self.graph):
            cycle = " → ".join(source for source, _ in nx.find_cycle(self.graph))
            raise ValueError(f"the contracts depend on each other in a circle: {cycle}")

    def order(self) -> list[str]:
        """Every dataset, upstream first; the same order every time."""
        return list(nx.lexicographical_topological_sort(self.graph))

    def upstreams(self, dataset: str) -> set[str]:
        return set(self.graph.predecessors(dataset))

    def consumers(self, dataset: str) -> set[str]:
        return set(self.graph.successors(dataset))

    def closure(self, datasets: Iterable[str]) -> list[str]:
        """The datasets and everything downstream of them, upstream first."""
        wanted: set[str] = set()
        for dataset in datasets:
            wanted |= {dataset} | nx.descendants(self.graph, dataset)
        return [dataset for dataset in self.order() if dataset in wanted]

    def ancestors(self, dataset: str) -> list[str]:
        """Everything upstream of a dataset, upstream first."""
        above = nx.ancestors(self.graph, dataset)
        return [one for one in self.order() if one in above]
