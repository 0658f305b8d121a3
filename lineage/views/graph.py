"""The lineage page: search a dataset or job, see what is around it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import NoReverseMatch, reverse

from catalog import selectors as catalog
from controlplane.ui import registry
from controlplane.ui.pages import STAFF_ROLES, page, render_page
from lineage import selectors
from lineage.errors import NodeIdInvalid, NodeUnknown
from lineage.selectors import Direction, Resolved
from lineage.views.picture import node_url, picture

DEPTHS = (1, 2, 3, 5, 10)
DIRECTIONS = (("both", "Both ways"), ("upstream", "Upstream"), ("downstream", "Downstream"))
HITS = 25


@page(*STAFF_ROLES)
def lineage(request: HttpRequest) -> HttpResponseBase:
    """``node`` chooses the node in the middle, ``q`` searches for one; ``depth``, ``direction``, ``overlay``, ``at`` (a local
    date and time of the business zone) shape the picture."""
    text = request.GET.get("q", "").strip()
    asked = request.GET.get("node", "")
    context: dict[str, Any] = {"form": _form(request), "q": text, "node": asked, "recent": []}
    title = "Lineage"
    if asked and not text:
        try:
            found = selectors.node_resolve(asked)
        except (NodeUnknown, NodeIdInvalid) as error:
            context["missing"] = str(error)
        else:
            title = f"Lineage of {found.name.name}"
            context |= _around(found, context["form"])
    elif text:
        context["hits"] = [(hit, node_url(hit.node_id)) for hit in selectors.search(text, limit=HITS)]
    if "picture" not in context and "hits" not in context:
        recent = selectors.datasets().order_by("-last_event_at")[:HITS]
        context["recent"] = [(row, node_url(f"dataset:{row.namespace}:{row.name}")) for row in recent]
    return render_page(
        request, "lineage/graph.html", context, title=title, crumbs=[("Lineage", reverse("lineage"))] if asked else []
    )


def _form(request: HttpRequest) -> dict[str, Any]:
    """The choices of the form, with what is not understood replaced by the default."""
    depth = request.GET.get("depth", "")
    direction = request.GET.get("direction", "")
    at = request.GET.get("at", "")
    overlays = registry.overlays()
    return {
        "depth": int(depth) if depth.isdigit() and int(depth) in DEPTHS else 2,
        "direction": direction if direction in dict(DIRECTIONS) else "both",
        "overlay": next((item for item in overlays if item.key == request.GET.get("overlay")), None),
        "at": at if _moment(at) else "",
        "depths": DEPTHS,
        "directions": DIRECTIONS,
        "overlays": overlays,
        "zone": settings.BUSINESS_TIME_ZONE,
    }


def _moment(text: str) -> datetime | None:
    """What ``<input type="datetime-local">`` sends, in the business time zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(settings.BUSINESS_TIME_ZONE))


def _around(found: Resolved, form: dict[str, Any]) -> dict[str, Any]:
    kept = {"depth": str(form["depth"]), "direction": form["direction"]}
    kept |= {"overlay": form["overlay"].key} if form["overlay"] else {}
    kept |= {"at": form["at"]} if form["at"] else {}
    as_of = _moment(form["at"])
    drawn = picture(
        found,
        depth=form["depth"],
        direction=cast("Direction", form["direction"]),
        as_of=as_of,
        overlay=form["overlay"].key if form["overlay"] else "",
        params=kept,
    )
    around: dict[str, Any] = {"found": found, "picture": drawn}
    if found.name.kind == "job":
        job = selectors.jobs_by_id([found.key])[found.key]
        around["job"] = job
        around["runs"] = list(selectors.runs(job_id=job.id)[:10])
    else:
        around |= _dataset(found, as_of)
    return around


def _dataset(found: Resolved, as_of: datetime | None) -> dict[str, Any]:
    row = selectors.datasets_by_id([found.key])[found.key]
    names = selectors.aliases([found.key]).get(found.key, [])
    columns = selectors.fields_of([found.key]).get(found.key, [])
    walked = selectors.column_walk({(found.key, name) for name in columns}, depth=1, as_of=as_of)
    sets = selectors.datasets_by_id(node for node, _ in walked.columns)
    made_of: dict[str, list[dict[str, Any]]] = {name: [] for name in columns}
    for edge in walked.edges.values():
        source = sets.get(edge.source[0])
        if edge.target[0] == found.key and source is not None:
            made_of.setdefault(edge.target[1], []).append(
                {
                    "dataset": source.name,
                    "column": edge.source[1],
                    "href": node_url(f"dataset:{source.namespace}:{source.name}"),
                    "how": ", ".join(
                        sorted({(subtype or kind).replace("_", " ").lower() for kind, subtype, _, _ in edge.transformations})
                    ),
                    "masked": edge.masking,
                    "direct": edge.direct,
                }
            )
    return {
        "dataset": row,
        "aliases": [item for item in names if item != (row.namespace, row.name)],
        "columns": sorted(made_of.items(), key=lambda item: (item[0] == "", item[0])),
        "catalog_url": _catalog_url(row.namespace, row.name),
    }


def _catalog_url(namespace: str, name: str) -> str:
    entry = catalog.dataset_by_event(namespace, name)
    try:
        return entry.get_absolute_url() if entry else ""
    except NoReverseMatch:
        return ""
