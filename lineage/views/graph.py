"""The lineage explorer: search a dataset or job, see what is around it, step by step and moment by moment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from catalog import selectors as catalog
from controlplane.ui import registry
from controlplane.ui.formats import iso
from controlplane.ui.pages import STAFF_ROLES, page, render_page
from lineage import selectors, selectors_pages
from lineage.errors import NodeIdInvalid, NodeUnknown
from lineage.selectors import Resolved
from lineage.views.addresses import object_url
from lineage.views.picture import Picture, graph_of, picture
from lineage.views.state import DEPTHS, DIRECTIONS, FILTERS, State, node_url, zone

HITS = 25
SUGGESTIONS = 8
CHOICES_MAX = 200
# Above this many connections the table starts folded: it would be longer than anybody reads.
ROWS_OPEN = 30


@page(*STAFF_ROLES)
def lineage(request: HttpRequest) -> HttpResponseBase:
    """``node`` is the node in the middle, ``q`` searches for one; ``views.state.State`` lists what else the address says."""
    text = request.GET.get("q", "").strip()
    state = State.read(request)
    context: dict[str, Any] = {"q": text, "node": state.node, "recent": []}
    title, found = "Lineage", None
    if state.node and not text:
        try:
            found = selectors.node_resolve(state.node, as_of=state.as_of)
        except (NodeUnknown, NodeIdInvalid) as error:
            context["missing"] = str(error)
        else:
            title = f"Lineage of {found.name.name}"
    if found is not None:
        explorer = _explorer(found, state)
        if request.headers.get("HX-Target") == "lin-explorer":
            part = render(request, "lineage/explorer.html", explorer)
            part.headers["HX-Push-Url"] = state.url()
            part.headers["Vary"] = "HX-Target"
            return part
        context |= explorer | _about(found)
    elif text:
        context["hits"] = [(hit, node_url(hit.node_id)) for hit in selectors.search(text, limit=HITS)]
    else:
        recent = selectors.datasets().order_by("-last_event_at")[:HITS]
        context["recent"] = [(row, node_url(f"dataset:{row.namespace}:{row.name}")) for row in recent]
    crumbs = [("Lineage", reverse("lineage"))] if found or text else []
    return render_page(request, "lineage/graph.html", context, title=title, crumbs=crumbs)


@page(*STAFF_ROLES)
def suggest(request: HttpRequest) -> HttpResponseBase:
    """Names for the search field while somebody types."""
    text = request.GET.get("q", "").strip()
    hits = selectors.search(text, limit=SUGGESTIONS) if len(text) > 1 else []
    return render(request, "lineage/suggest.html", {"hits": [(hit, node_url(hit.node_id)) for hit in hits], "q": text})


def _explorer(found: Resolved, state: State) -> dict[str, Any]:
    drawn = picture(found, state)
    return {
        "found": found,
        "state": state,
        "picture": drawn,
        "table_open": len(drawn.rows) <= ROWS_OPEN,
        "carried": state.hidden("direction", "depth", "overlay", *FILTERS),
        "carried_time": state.hidden("at"),
        "overlays": registry.overlays(),
        "filters": _filters(state),
        "depths": DEPTHS,
        "directions": DIRECTIONS,
        "zone": settings.BUSINESS_TIME_ZONE,
        "as_of": state.as_of,
        "now_url": state.url(at=""),
        "reset_url": State(node=state.node).url(),
        "changed": state != State(node=state.node),
        "slider": _slider(found, state, drawn),
        "exports": _exports(state),
    }


def _slider(found: Resolved, state: State, drawn: Picture) -> dict[str, Any]:
    """Moments of change as positions of a slider; the last position is now.

    Counted over the nodes of now as well as those of the moment shown, so that the positions stay while one slides.
    """
    keys = {node.key for node in drawn.nodes}
    if state.at:
        keys |= set(graph_of(found, replace(state, at="")).graph.nodes)
    ticks = selectors_pages.moments(keys)
    at = state.as_of
    position = len(ticks) if at is None else max(0, sum(1 for tick in ticks if tick <= at) - 1)
    return {
        "ticks": [{"at": iso(tick), "text": _clock(tick)} for tick in ticks],
        "last": len(ticks),
        "position": position,
        "text": _clock(at) if at else "now",
        "marks": range(len(ticks) + 1),
    }


def _clock(moment: datetime) -> str:
    local = moment.astimezone(zone())
    return f"{local.day} {local:%b %Y, %H:%M:%S}"


def _filters(state: State) -> list[dict[str, Any]]:
    """Fields of the filter menu with what can be chosen; tags are typed."""
    layers = catalog.datasets().exclude(layer="").order_by("layer").values_list("layer", flat=True).distinct()
    choices: dict[str, Iterable[str]] = {
        "namespace": selectors.namespaces().values_list("name", flat=True)[:CHOICES_MAX],
        "layer": layers,
        "owner": catalog.owners(),
    }
    return [
        {"name": name, "label": name.capitalize(), "value": getattr(state, name), "choices": list(choices.get(name, ()))}
        for name in FILTERS
    ]


def _exports(state: State) -> list[tuple[str, str]]:
    """(name, address) of the same part of the graph in other shapes: around the node, without what was expanded or folded."""
    asked = {"nodeId": state.node, "depth": str(state.depth), "direction": state.direction, **state.only}
    asked |= {"asOf": iso(state.as_of)} if state.as_of else {}
    shapes = (("SVG picture", "svg"), ("JSON (nodes and links)", "json"), ("GraphML", "graphml"))
    return [(name, f"{reverse('lineage_api')}?{urlencode({**asked, 'format': form})}") for name, form in shapes]


def _about(found: Resolved) -> dict[str, Any]:
    about: dict[str, Any] = {"object_url": object_url(found)}
    if found.name.kind == "dataset":
        about["dataset"] = selectors.datasets_by_id([found.key]).get(found.key)
    return about
