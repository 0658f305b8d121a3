"""What the explorer shows, as its address says it: every state of the page is a link that can be sent to somebody."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, cast
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from controlplane.ui import registry
from controlplane.ui.registry import Overlay
from lineage.selectors import Direction

DEPTHS = (1, 2, 3, 5, 10)
DIRECTIONS = (("both", "Both ways"), ("upstream", "Upstream"), ("downstream", "Downstream"))
# Nodes that one address may open, expand or fold; a longer list would not fit into an address.
MARKED_MAX = 40
LISTS = ("up", "down", "fold_up", "fold_down", "open", "all")
FILTERS = ("namespace", "layer", "owner", "tag")

Side = Literal["up", "down"]


@dataclass(frozen=True)
class State:
    """``up``/``down``: nodes whose neighbours of that side were asked for; ``fold_up``/``fold_down``: sides folded away;
    ``open``: datasets with their columns; ``all``: those with every column. All are node ids."""

    node: str = ""
    depth: int = 2
    direction: Direction = "both"
    overlay: str = ""
    at: str = ""
    up: tuple[str, ...] = ()
    down: tuple[str, ...] = ()
    fold_up: tuple[str, ...] = ()
    fold_down: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    all: tuple[str, ...] = ()
    namespace: str = ""
    layer: str = ""
    owner: str = ""
    tag: str = ""

    @classmethod
    def read(cls, request: HttpRequest) -> State:
        """From the address, with what is not understood replaced by the default."""
        asked = request.GET
        depth, direction, at = asked.get("depth", ""), asked.get("direction", ""), asked.get("at", "")
        plain = cls(
            node=asked.get("node", ""),
            depth=int(depth) if depth.isdigit() and int(depth) in DEPTHS else 2,
            direction=cast("Direction", direction) if direction in dict(DIRECTIONS) else "both",
            overlay=asked.get("overlay", "") if asked.get("overlay", "") in {item.key for item in registry.overlays()} else "",
            at=at if moment(at) else "",
        )
        lists = {name: tuple(dict.fromkeys(asked.getlist(name)))[:MARKED_MAX] for name in LISTS}
        changes: dict[str, Any] = {**lists, **{name: asked.get(name, "").strip()[:500] for name in FILTERS}}
        return replace(plain, **changes)

    @property
    def as_of(self) -> datetime | None:
        return moment(self.at)

    @property
    def local(self) -> str:
        """``at`` for ``<input type="datetime-local">``, in the business time zone."""
        found = self.as_of
        return found.astimezone(zone()).strftime("%Y-%m-%dT%H:%M:%S") if found else ""

    @property
    def layer_shown(self) -> Overlay | None:
        return next((item for item in registry.overlays() if item.key == self.overlay), None)

    @property
    def only(self) -> dict[str, str]:
        """The filters that are set."""
        return {name: value for name in FILTERS if (value := cast("str", getattr(self, name)))}

    def pairs(self) -> list[tuple[str, str]]:
        """What differs from the default, in a fixed order."""
        found = [("node", self.node)] if self.node else []
        found += [("depth", str(self.depth))] if self.depth != 2 else []
        found += [("direction", self.direction)] if self.direction != "both" else []
        found += [(name, value) for name in ("overlay", "at", *FILTERS) if (value := cast("str", getattr(self, name)))]
        return found + [(name, item) for name in LISTS for item in cast("tuple[str, ...]", getattr(self, name))]

    def url(self, **changes: Any) -> str:
        pairs = (replace(self, **changes) if changes else self).pairs()
        return f"{reverse('lineage')}?{urlencode(pairs)}" if pairs else reverse("lineage")

    def around(self, node_id: str) -> str:
        """The same look at another node: what was expanded around the old one is left behind."""
        return self.url(node=node_id, up=(), down=(), fold_up=(), fold_down=())

    def hidden(self, *but: str) -> list[tuple[str, str]]:
        """What a form that sends ``but`` must carry along."""
        return [(name, value) for name, value in self.pairs() if name not in but]

    def toggled(self, name: str, node_id: str, **also: Any) -> str:
        return self.url(**{name: _toggle(getattr(self, name), node_id)}, **also)

    def expanded(self, node_id: str, side: Side) -> str:
        """One more step to that side of a node; a side that was folded is opened again first."""
        fold = f"fold_{side}"
        if node_id in getattr(self, fold):
            return self.url(**{fold: _toggle(getattr(self, fold), node_id)})
        return self.url(**{side: (*getattr(self, side), node_id)})

    def folded(self, node_id: str, side: Side) -> str:
        """Without what is on that side of a node: what was expanded there is taken back, else it is folded away."""
        if node_id in getattr(self, side):
            return self.url(**{side: _toggle(getattr(self, side), node_id)})
        fold = f"fold_{side}"
        return self.url(**{fold: (*getattr(self, fold), node_id)})


def moment(text: str) -> datetime | None:
    """An ISO 8601 time; one without zone, as ``datetime-local`` sends it, is of the business time zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=zone())


def zone() -> ZoneInfo:
    return ZoneInfo(settings.BUSINESS_TIME_ZONE)


def node_url(node_id: str) -> str:
    """The explorer around a node, as it looks at first."""
    return State(node=node_id).url()


def _toggle(items: Iterable[str], one: str) -> tuple[str, ...]:
    held = tuple(items)
    return tuple(item for item in held if item != one) if one in held else (*held, one)
