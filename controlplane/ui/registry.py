"""Where higher apps put things onto pages of lower ones: panels on object pages, overlays on the graph.

>>> @panel("dataset", title="Runs", order=40)
... def runs_panel(request, dataset): return "pipeline/panels/runs.html", {"runs": ...}

Registered in ``AppConfig.ready()``. A panel that returns None has nothing to say about the object and is not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest

PanelFunction = Callable[[HttpRequest, Any], "tuple[str, Mapping[str, Any]] | None"]
OverlayFunction = Callable[[Iterable[str]], Mapping[str, "Mark"]]


@dataclass(frozen=True)
class Panel:
    """A part of an object page. ``tab`` names the address it stands on, ``side`` puts it into the right-hand column."""

    kind: str
    key: str
    title: str
    function: PanelFunction
    order: int = 50
    tab: str = "overview"
    side: bool = False
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mark:
    """What an overlay says about one node of the graph."""

    state: str
    label: str
    url: str = ""


@dataclass(frozen=True)
class Overlay:
    """A layer over the lineage graph: a legend, and marks by node id."""

    key: str
    title: str
    legend: str
    function: OverlayFunction
    order: int = 50


@dataclass
class _Registry:
    panels: dict[tuple[str, str], Panel] = field(default_factory=dict)
    overlays: dict[str, Overlay] = field(default_factory=dict)


_registry = _Registry()


def panel(
    kind: str,
    *,
    title: str,
    key: str = "",
    order: int = 50,
    tab: str = "overview",
    side: bool = False,
    roles: Iterable[str] = (),
) -> Callable[[PanelFunction], PanelFunction]:
    """Register ``function(request, object) -> (template, context) | None`` as a panel of objects of a kind."""

    def register(function: PanelFunction) -> PanelFunction:
        name = key or f"{function.__module__}.{getattr(function, '__qualname__', title)}"
        _registry.panels[kind, name] = Panel(kind, name, title, function, order, tab, side, tuple(roles))
        return function

    return register


def overlay(key: str, *, title: str, legend: str, order: int = 50) -> Callable[[OverlayFunction], OverlayFunction]:
    """Register ``function(node_ids) -> {node_id: Mark}`` as a layer over the graph."""

    def register(function: OverlayFunction) -> OverlayFunction:
        _registry.overlays[key] = Overlay(key, title, legend, function, order)
        return function

    return register


def panels(kind: str, tab: str | None = None) -> list[Panel]:
    found = [item for item in _registry.panels.values() if item.kind == kind and tab in (None, item.tab)]
    return sorted(found, key=lambda item: (item.order, item.title))


def tabs(kind: str) -> set[str]:
    """Tabs that have at least one panel."""
    return {item.tab for item in panels(kind)}


def overlays() -> list[Overlay]:
    return sorted(_registry.overlays.values(), key=lambda item: (item.order, item.title))


# --- navigation and search ---------------------------------------------------------------------------------------------

GROUPS = ("", "Data plane", "Catalog", "Governance", "Evidence", "Administration")


@dataclass(frozen=True)
class NavItem:
    """An entry of the sidebar. ``url_name`` is resolved when the sidebar is drawn."""

    group: str
    title: str
    url_name: str
    icon: str
    roles: tuple[str, ...]
    order: int = 50


@dataclass(frozen=True)
class Hit:
    """One result of the search (Ctrl K)."""

    title: str
    url: str
    kind: str
    icon: str = "arrow-right"


SearchFunction = Callable[[HttpRequest, str, int], Iterable[Hit]]
_nav: dict[str, NavItem] = {}
_search: dict[str, tuple[int, SearchFunction]] = {}


def nav(group: str, title: str, url_name: str, icon: str, *, roles: Iterable[str], order: int = 50) -> None:
    """Put a page into the sidebar. ``group`` is one of GROUPS, ``roles`` those the page is open to."""
    if group not in GROUPS:
        raise ValueError(f"unknown group {group!r}; one of {GROUPS}")
    _nav[url_name] = NavItem(group, title, url_name, icon, tuple(roles), order)


def nav_items() -> list[NavItem]:
    return sorted(_nav.values(), key=lambda item: (GROUPS.index(item.group), item.order, item.title))


def search_provider(key: str, *, order: int = 50) -> Callable[[SearchFunction], SearchFunction]:
    """Register ``function(request, term, limit) -> hits`` for Ctrl K. It must leave out what the reader may not see."""

    def register(function: SearchFunction) -> SearchFunction:
        _search[key] = (order, function)
        return function

    return register


def search(request: HttpRequest, term: str, limit: int = 6) -> list[Hit]:
    """Hits of every provider, each with at most ``limit``."""
    found: list[Hit] = []
    for _, function in sorted(_search.values(), key=lambda item: item[0]):
        found.extend(list(function(request, term, limit))[:limit])
    return found
