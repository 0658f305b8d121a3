"""The pieces pages are made of, as HTML: used by templates (``{% load touchstone %}``) and by admin columns alike."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from controlplane.ui import formats
from controlplane.ui.icons import icon_svg
from controlplane.ui.states import look

MASK = "••••"


def icon(name: str, css_class: str = "") -> SafeString:
    return mark_safe(icon_svg(name, css_class))  # noqa: S308  (drawn from our own table)


def state(value: str | None, word: str = "", title: str = "") -> SafeString:
    """Icon + word + colour. ``word`` replaces the vocabulary's word, e.g. "Late by 4 min"."""
    shown = look(value or "unknown")
    return format_html(
        '<span class="ts-state ts-{}"{}>{}<span>{}</span></span>',
        shown.tone,
        format_html(' title="{}"', title) if title else "",
        icon(shown.icon),
        word or shown.word,
    )


def time(moment: datetime | None, *, clock: bool = False, empty: str = "–") -> SafeString:
    """Relative time on screen; exact UTC and local time on hover and in the HTML. ``clock`` shows the local time first."""
    if moment is None:
        return format_html('<span class="ts-subtle">{}</span>', empty)
    zone = settings.BUSINESS_TIME_ZONE
    before = f"{formats.local_clock(moment, zone, timezone.now())} (" if clock else ""
    return format_html(
        '<time datetime="{}" title="{}">{}<span data-ago>{}</span>{}</time>',
        formats.iso(moment),
        formats.exact(moment, zone),
        before,
        formats.age(moment, timezone.now()),
        ")" if clock else "",
    )


def copyable(text: str, shown: str = "", *, keep: int = 0) -> SafeString:
    """A path or an id with a copy button. Ids that look like UUIDs or digests are shortened unless ``keep`` says otherwise."""
    if not text:
        return format_html('<span class="ts-subtle">{}</span>', "–")
    if not shown:
        is_path = "/" in text or " " in text
        shown = formats.middle(text, keep or 56) if is_path else formats.shorten(text, keep or (8 if len(text) > 24 else 24))
    return format_html(
        '<span class="ts-copyable"><code title="{}">{}</code>'
        '<button type="button" class="ts-copy" data-copy="{}" aria-label="Copy {}">{}</button></span>',
        text,
        shown,
        text,
        shown,
        icon("copy"),
    )


def progress(done: int | float, total: int | float, label: str) -> SafeString:
    """A bar with its words: what is done and what is left."""
    share = 0 if not total else max(0, min(100, round(100 * done / total)))
    return format_html(
        '<div class="ts-progress"><div class="ts-progress-track" role="progressbar" aria-valuemin="0" aria-valuemax="100" '
        'aria-valuenow="{}" aria-label="{}"><i style="width:{}%"></i></div><span>{}</span></div>',
        share,
        label,
        share,
        label,
    )
