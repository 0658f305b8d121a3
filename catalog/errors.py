"""What can go wrong in the catalog."""

from __future__ import annotations

from catalog.domain.faults import ContractInvalid, Fault

__all__ = ["CatalogError", "ContractInvalid", "EditRefused", "Fault", "StaleBase", "VersionRefused"]


class CatalogError(Exception):
    """Base of the catalog's refusals (``ContractInvalid`` is a ValueError of the domain and stands beside it)."""


class StaleBase(CatalogError):
    """The text was made from another version than the current one. ``diff`` leads from the current text to the offered one."""

    def __init__(self, *, dataset: str, base: str | None, current: str, diff: str) -> None:
        self.dataset, self.base, self.current, self.diff = dataset, base, current, diff
        made_from = f"made from version {base}" if base else "made without naming a base version"
        super().__init__(f"{dataset}: this text was {made_from}, but {current} is current. Nothing was imported.")


class VersionRefused(CatalogError):
    """The version number does not fit what changed. ``changes`` lists the changes in words."""

    def __init__(self, message: str, *, changes: list[str], diff: str = "") -> None:
        self.changes, self.diff = changes, diff
        super().__init__(message)


class EditRefused(CatalogError):
    """This person may not edit that product."""
