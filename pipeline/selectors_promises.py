"""Whether data products keep their freshness promise, from the last good refresh of their datasets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

from django.utils import timezone

from catalog.domain.contract import Contract
from catalog.registry import PromiseState
from catalog.selectors import contracts_current
from pipeline.models import DatasetState
from pipeline.selectors import dataset_states


class Product(Protocol):
    """What is asked of a data product here."""

    pk: int
    key: str


def max_age_s(contract: Contract) -> int | None:
    """The age up to which a dataset is on time; None when its contract promises nothing."""
    return contract.kpi.cadence_s if contract.kpi else contract.sla.freshness_s


def promise_states(products: Iterable[Product]) -> Mapping[int, PromiseState]:
    """The state of each product that has datasets with a promise: late when one of them is. Two queries."""
    now = timezone.now()
    states = dataset_states()
    by_product: dict[str, list[Contract]] = {}
    for contract in contracts_current().values():
        if max_age_s(contract) is not None:
            by_product.setdefault(contract.product, []).append(contract)
    found = {}
    for product in products:
        promised = by_product.get(product.key, [])
        # What a product publishes is its promise; where it publishes nothing, its Silver is.
        shown = [contract for contract in promised if contract.layer == "gold"] or promised
        if shown:
            found[product.pk] = _state(shown, states, now)
    return found


def _state(contracts: list[Contract], states: Mapping[str, DatasetState], now: datetime) -> PromiseState:
    late: list[tuple[float, str]] = []
    measured: list[datetime] = []
    for contract in contracts:
        state = states.get(contract.dataset)
        if state is None or state.refreshed_at is None:
            return PromiseState("unknown", f"{contract.title} has not been refreshed yet", None)
        measured.append(state.refreshed_at)
        over_s = (now - state.refreshed_at).total_seconds() - (max_age_s(contract) or 0)
        if over_s > 0:
            late.append((over_s, contract.title))
    if late:
        over_s, title = max(late)
        return PromiseState("late", f"{title} is {_span(over_s)} past its promise", min(measured))
    return PromiseState("on_time", f"oldest refresh {_span((now - min(measured)).total_seconds())} ago", min(measured))


def _span(seconds: float) -> str:
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
