"""``{% load touchstone %}``: the components of the pages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django import template
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from pygments import highlight  # type: ignore[import-untyped]
from pygments.formatters.html import HtmlFormatter  # type: ignore[import-untyped]
from pygments.lexers.data import JsonLexer, YamlLexer  # type: ignore[import-untyped]
from pygments.lexers.python import PythonTracebackLexer  # type: ignore[import-untyped]
from pygments.lexers.sql import SqlLexer  # type: ignore[import-untyped]

from controlplane.accounts.permissions import may
from controlplane.ui import components, formats
from controlplane.ui import registry as ui_registry
from controlplane.ui.states import look

register = template.Library()

register.simple_tag(components.icon, name="icon")
register.simple_tag(components.state, name="state")
register.simple_tag(components.copyable, name="copyable")
register.simple_tag(components.progress, name="progress")


@register.simple_tag
def ago(moment: datetime | None, clock: bool = False, empty: str = "–") -> SafeString:
    """Relative time with the exact one behind it. Not named ``time`` so that templates read as sentences."""
    return components.time(moment, clock=clock, empty=empty)


@register.filter
def tone(state: str) -> str:
    return look(state).tone


@register.filter
def num(value: Any, decimals: int = 0) -> str:
    return formats.number(value, decimals)


@register.filter
def unit(value: Any, name: str) -> str:
    return formats.with_unit(value, name)


@register.filter
def duration(seconds: Any) -> str:
    return formats.duration(seconds)


@register.filter
def filesize(size: Any) -> str:
    return formats.bytes_size(size)


@register.filter
def short(text: Any, keep: int = 8) -> str:
    return formats.shorten(str(text), keep)


@register.filter
def middle(text: Any, keep: int = 48) -> str:
    return formats.middle(str(text), keep)


@register.filter
def get(mapping: Mapping[Any, Any] | Any, key: Any) -> Any:
    return mapping.get(key) if isinstance(mapping, Mapping) else getattr(mapping, str(key), None)


@register.simple_tag(takes_context=True)
def if_role(context: template.Context, *roles: str) -> bool:
    """Whether the reader could POST what these roles may (``{% if_role "steward" as can %}``). The views check again."""
    request: HttpRequest = context["request"]
    return _may_post(request, roles)


def _may_post(request: HttpRequest, roles: Sequence[str]) -> bool:
    from controlplane.accounts.domain.access import passes
    from controlplane.accounts.selectors import roles_of

    return passes(roles_of(request.user), roles, method="POST")


_LEXERS = {"sql": SqlLexer, "json": JsonLexer, "yaml": YamlLexer, "traceback": PythonTracebackLexer}


@register.filter
def code(text: Any, language: str) -> SafeString:
    """Highlighted source in a scrollable block that the keyboard reaches. Colours come from ui.css, for light and dark."""
    source = text if isinstance(text, str) else json.dumps(text, indent=2, ensure_ascii=False, default=str)
    html = highlight(source, _LEXERS[language](), HtmlFormatter(nowrap=True))
    return format_html(
        '<pre class="ts-code" tabindex="0" role="region" aria-label="{}">{}</pre>',
        f"{language.upper()} source",
        mark_safe(html),  # noqa: S308  (Pygments escapes what it is given)
    )


@register.simple_tag(takes_context=True)
def query(context: template.Context, **changes: Any) -> str:
    """The page's own address with some parameters changed; None removes one. Paging starts over unless it is what changes."""
    params = context["request"].GET.copy()
    if "page" not in changes:
        params.pop("page", None)
    for name, value in changes.items():
        if value in (None, ""):
            params.pop(name, None)
        else:
            params[name] = str(value)
    return f"?{params.urlencode()}" if params else "?"


@register.inclusion_tag("ui/empty.html")
def empty(  # noqa: PLR0917  (templates give the first three by place)
    title: str, text: str = "", command: str = "", href: str = "", action: str = "", icon_name: str = "inbox"
) -> dict[str, Any]:
    """An empty place that says what will appear here and how to make it appear."""
    return {"title": title, "text": text, "command": command, "href": href, "action": action, "icon_name": icon_name}


@register.inclusion_tag("ui/error_panel.html")
def error_panel(what: str, kept: str = "", todo: str = "", detail: str = "") -> dict[str, Any]:
    """What happened, what was kept, what to do next."""
    return {"what": what, "kept": kept, "todo": todo, "detail": detail}


@register.inclusion_tag("ui/spark.html")
def sparkline(spark: Any, title: str, unit: str, key: str) -> dict[str, Any]:
    return {"spark": spark, "title": title, "unit": unit, "key": key}


@register.inclusion_tag("ui/kpi_tile.html", takes_context=True)
def kpi_tile(context: template.Context, tile: Any) -> dict[str, Any]:
    return {"tile": tile, "request": context.get("request")}


@register.inclusion_tag("ui/tabs.html", takes_context=True)
def tabs(context: template.Context, items: Sequence[Any]) -> dict[str, Any]:
    """Tabs as separate addresses: items are (title, url, count or None); the one of this address is current."""
    return {"items": items, "path": context["request"].path}


@register.inclusion_tag("ui/timeline.html")
def timeline(entries: Sequence[Any]) -> dict[str, Any]:
    """Entries have ``at``, ``title``, ``state``, ``text``, ``url`` (all but ``at`` and ``title`` may be empty)."""
    return {"entries": entries}


@register.simple_tag(takes_context=True)
def panels(context: template.Context, kind: str, subject: Any, tab: str = "overview", side: bool = False) -> SafeString:
    """Everything that apps registered for this kind of object and tab, and that the reader may see."""
    request: HttpRequest = context["request"]
    parts: list[str] = []
    for item in ui_registry.panels(kind, tab):
        if item.side != side or (item.roles and not may(request, *item.roles)):
            continue
        answer = item.function(request, subject)
        if answer is None:
            continue
        path, values = answer
        parts.append(render_to_string("ui/panel.html", {"panel": item, "body": path, **values}, request=request))
    return mark_safe("".join(parts))  # noqa: S308  (rendered templates)
