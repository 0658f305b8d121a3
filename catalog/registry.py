"""Where higher apps learn of the catalog's changes and tell it what it cannot know.

``on_contract_change``: called in the transaction that imports a version (so: outbox, no network).
``promise_state``: the present state of a product's promise; the first registered source that knows the product answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from catalog.domain.versions import Change
    from catalog.models import ContractVersion, DataProduct

ContractListener = Callable[["ContractVersion", "list[Change]"], None]
StateSource = Callable[["Iterable[DataProduct]"], "Mapping[int, PromiseState]"]


@dataclass(frozen=True, slots=True)
class PromiseState:
    """``state`` is one of on_time, late, unknown; ``text`` says by how much; ``as_of`` when that was measured."""

    state: str
    text: str = ""
    as_of: datetime | None = None


UNKNOWN = PromiseState("unknown", "nothing has measured it yet")
_listeners: list[ContractListener] = []
_sources: list[StateSource] = []


def on_contract_change(function: ContractListener) -> ContractListener:
    """Decorator. ``function(version, changes)`` runs for every imported version; what it raises undoes the import."""
    if function not in _listeners:
        _listeners.append(function)
    return function


def contract_changed(version: ContractVersion, changes: list[Change]) -> None:
    for function in _listeners:
        function(version, changes)


def promise_state(function: StateSource) -> StateSource:
    """Decorator. ``function(products) -> {product id: PromiseState}``, in a fixed number of queries."""
    if function not in _sources:
        _sources.append(function)
    return function


def promise_states(products: Iterable[DataProduct]) -> dict[int, PromiseState]:
    """State of each product's promise by id; UNKNOWN where no source answers."""
    wanted = list(products)
    found = {product.pk: UNKNOWN for product in wanted}
    for function in reversed(_sources):
        found.update(function(wanted))
    return found
