"""Reads of the pipeline."""

from __future__ import annotations

from django.db.models import QuerySet

from catalog.domain.contract import Contract
from catalog.selectors import contract_or_none, contracts_current
from pipeline.domain.dag import Dag
from pipeline.errors import UnknownDataset
from pipeline.models import DatasetState, Run, StopSwitch, Work

EVERYTHING = "*"


def contract_of(dataset: str) -> Contract:
    """The current contract. Raises ``UnknownDataset``."""
    contract = contract_or_none(dataset)
    if contract is None:
        raise UnknownDataset(f"no contract names a dataset {dataset!r}; see `manage.py contract import`")
    return contract


def table_names() -> list[str]:
    """The lake tables that contracts define, made or not: a step holds the lease of its table while it writes."""
    return [f"{one.layer}/{one.dataset}" for one in contracts_current().values()]


def dag() -> Dag:
    return Dag(contracts_current())


def run_active() -> Run | None:
    return Run.objects.filter(state="running").first()


def work_waiting() -> QuerySet[Work]:
    return Work.objects.filter(run__isnull=True)


def stopped_scopes() -> set[str]:
    """Datasets that a person stopped; ``*`` stands for the whole pipeline."""
    return set(StopSwitch.objects.values_list("scope", flat=True))


def dataset_states() -> dict[str, DatasetState]:
    return {state.dataset: state for state in DatasetState.objects.all()}


def dataset_names(layer: str | None = None) -> list[str]:
    """Datasets that a contract describes, for the choices of filters."""
    return [name for name, contract in contracts_current().items() if layer in (None, contract.layer)]
