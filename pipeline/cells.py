"""Cells of the pipeline's lists: one place decides how a run, a drop or a count looks in a table."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.ui import components, formats


def link(url: str, text: str) -> SafeString:
    return format_html('<a class="ts-nowrap" href="{}">{}</a>', url, text)


def count(value: int) -> SafeString:
    return format_html('<span class="{}">{}</span>', "" if value else "ts-zero", formats.number(value))


def run_link(run: Any) -> SafeString:
    return link(reverse("run", args=[run.uuid]), run.trigger or str(run))


def drop_link(drop: Any) -> SafeString:
    return format_html(
        '<a href="{}" title="{}">{}</a>', reverse("drop", args=[drop.uuid]), drop.filename, formats.middle(drop.filename, 44)
    )


def state(row: Any) -> SafeString:
    return components.state(row.state)


def faults(drop: Any) -> str:
    if not drop.faults:
        return ""
    first = drop.faults[0]
    more = f" (and {len(drop.faults) - 1} more)" if len(drop.faults) > 1 else ""
    return f"{first.get('place', '')}: {first.get('reason', '')}{more}"


def rules(row: Any) -> SafeString:
    return format_html("<code>{}</code>", ", ".join(row.rules))


def origin(row: Any) -> SafeString:
    """The file and the record's number in it, counted from 1 as people and editors do."""
    return format_html(
        '{} <span class="ts-subtle">record {}</span>', formats.middle(row.bronze_file.filename, 36), formats.number(row.row + 1)
    )
