"""Does a contract fit with the others? References and inputs must lead somewhere, and inputs must not form a ring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .contract import Contract, Input
from .faults import Fault


def check_links(contract: Contract, known: Mapping[str, Contract]) -> list[Fault]:
    """Faults of ``contract`` against the other contracts (by dataset name); places are those of its own text."""
    others = {**known, contract.dataset: contract}
    return [*_references(contract, others), *_inputs(contract, others), *_ring(contract, others)]


def _fault(contract: Contract, mark: str, path: str, reason: str) -> Fault:
    line, column = contract.places.get(mark, (1, 1))
    return Fault(line, column, path, reason)


def _references(contract: Contract, others: Mapping[str, Contract]) -> Iterator[Fault]:
    for name, (dataset, field) in contract.references.items():
        target = others.get(dataset)
        if target is None:
            reason = f"'{name}' refers to {dataset}.{field}, but no contract describes '{dataset}'"
        elif target.layer != contract.layer:
            reason = f"'{name}' refers to '{dataset}', which is {target.layer}; references stay within a layer"
        elif field not in target.key:
            reason = f"'{name}' refers to {dataset}.{field}, which is not part of that dataset's key ({', '.join(target.key)})"
        else:
            continue
        yield _fault(contract, f"reference:{name}", f"relationships of {name}", reason)


def _inputs(contract: Contract, others: Mapping[str, Contract]) -> Iterator[Fault]:
    for one in contract.inputs:
        target = others.get(one.dataset)
        if target is None:
            yield _fault(contract, f"input:{one.dataset}", "inputs", f"no contract describes the input '{one.dataset}'")
            continue
        for reason in _misfits(one, target):
            yield _fault(contract, f"input:{one.dataset}", "inputs", reason)


def _misfits(one: Input, target: Contract) -> Iterator[str]:
    partition = target.partition.column if target.partition else None
    if one.trigger is not None and one.trigger not in target.touches:
        announced = ", ".join(target.touches) or "none"
        yield f"'{one.dataset}' does not announce touched values of '{one.trigger}'; its touches: {announced}"
    if one.read != "all" and one.read[0] != partition:
        yield f"'{one.dataset}' is partitioned by {partition or 'nothing'}, so it cannot be read by '{one.read[0]}'"


def _ring(contract: Contract, others: Mapping[str, Contract]) -> Iterator[Fault]:
    trail: list[str] = []
    done: set[str] = set()

    def walk(name: str) -> list[str] | None:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name in done or name not in others:
            return None
        trail.append(name)
        for one in others[name].inputs:
            if ring := walk(one.dataset):
                return ring
        trail.pop()
        done.add(name)
        return None

    if ring := walk(contract.dataset):
        yield _fault(contract, f"input:{ring[1]}", "inputs", f"the inputs form a ring: {' → '.join(ring)}")
