"""The holdings of all apps, and the apps that hold none, with the reason."""

from __future__ import annotations

from controlplane.subjects.protocol import SubjectHolding

__all__ = ["exempt", "exemptions", "holdings", "holdings_of", "register"]

_holdings: dict[str, SubjectHolding] = {}
_exempt: dict[str, str] = {}


def register(holding: SubjectHolding) -> None:
    """Add a holding. Its name starts with the label of its app; raises ValueError when it is taken by another."""
    present = _holdings.setdefault(holding.name, holding)
    if type(present) is not type(holding):
        raise ValueError(f"holding {holding.name!r} is registered twice")


def exempt(app_label: str, *, reason: str) -> None:
    """State that an app with models holds no data of persons, and why."""
    if len(reason.split()) < 3:
        raise ValueError(f"{app_label}: give a reason that an auditor can judge")
    _exempt[app_label] = reason


def holdings() -> list[SubjectHolding]:
    return [_holdings[name] for name in sorted(_holdings)]


def holdings_of(app_label: str) -> list[SubjectHolding]:
    return [holding for holding in holdings() if holding.name.split(".", 1)[0] == app_label]


def exemptions() -> dict[str, str]:
    return dict(_exempt)
