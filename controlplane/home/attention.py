"""What needs attention, worst first; each with where to go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.urls import reverse

from controlplane.ui import formats
from pipeline.selectors_attention import Attention, Held
from pipeline.selectors_held import COUNT_LIMIT
from pipeline.selectors_kpi import KpiReading
from pipeline.services import watermarks


@dataclass(frozen=True)
class Item:
    """One matter. ``state`` is of the vocabulary in ``ui.states``; ``since`` is shown as relative time."""

    state: str
    title: str
    text: str
    url: str
    action: str
    since: datetime | None = None


def attention_items(kpis: Sequence[KpiReading], found: Attention) -> list[Item]:
    items = [*_over(), *_late(kpis), *_failing(found), *_switches(found), *_refused(found)]
    items += _held(found.rejects, "rejected rows wait", "rejects")
    items += _held(found.quarantine, "rows carry a column no contract knows", "quarantine")
    return items


def _over() -> list[Item]:
    return [
        Item(
            "over",
            f"{mark.title} passed its limit",
            f"Drops are refused with {mark.status}. {mark.mend}",
            reverse("limits"),
            "See the budget",
        )
        for mark in watermarks.readings()
        if mark.passed
    ]


def _late(kpis: Sequence[KpiReading]) -> list[Item]:
    late = [kpi for kpi in kpis if kpi.freshness.state == "late"]
    if not late:
        return []
    if len(late) == 1:
        return [late_item(late[0])]
    # One stall makes all of them late: one matter, not six.
    names = ", ".join(kpi.kpi.title for kpi in late)
    oldest = min(kpi.refreshed_at for kpi in late if kpi.refreshed_at)
    return [Item("late", f"{len(late)} figures are older than promised", f"{names}.", reverse("evidence"), "See them", oldest)]


def late_item(kpi: KpiReading) -> Item:
    return Item(
        "late",
        f"{kpi.kpi.title} is older than promised",
        f"Promised within {formats.duration(kpi.kpi.cadence_s)}; owner {kpi.contract.owner}.",
        reverse("evidence_kpi", args=[kpi.key]),
        "See where it comes from",
        kpi.refreshed_at,
    )


def _failing(found: Attention) -> list[Item]:
    items = []
    for state in found.failing:
        step = state.last_step
        times = "once" if state.failures == 1 else f"{state.failures} times in a row"
        items.append(
            Item(
                "failed",
                f"{state.dataset} failed {times}",
                "The last good version stays in place; the work is kept and tried again.",
                f"{reverse('runs')}?{urlencode({'dataset': state.dataset, 'state': 'failed'})}",
                "See its failed runs",
                state.refreshed_at if step else None,
            )
        )
    return items


def _switches(found: Attention) -> list[Item]:
    return [
        Item(
            "stopped",
            "The whole pipeline is stopped" if switch.scope == "*" else f"{switch.scope} is stopped",
            f"“{switch.reason}” Drops are still taken in; nothing is lost.",
            reverse("limits"),
            "Resume",
        )
        for switch in found.switches
    ]


def _refused(found: Attention) -> list[Item]:
    if not found.refused:
        return []
    newest = found.refused[0]
    amount = found.refused_count
    return [
        Item(
            "refused",
            f"{formats.number(amount)} drop{'s' if amount != 1 else ''} refused in the last 24 hours",
            f"Newest: {newest.filename} for {newest.dataset}. The bytes are kept.",
            reverse("drop", args=[newest.uuid]) if amount == 1 else f"{reverse('drops')}?state=refused",
            "See why",
            newest.received_at,
        )
    ]


def _held(rows: Sequence[Held], words: str, name: str) -> list[Item]:
    total = sum(one.count for one in rows)
    if not total:
        return []
    shown = f"{formats.number(COUNT_LIMIT)}+" if total >= COUNT_LIMIT else formats.number(total)
    parts = ", ".join(f"{one.dataset} {formats.number(one.count)}" for one in rows[:4])
    more = f" and {len(rows) - 4} more datasets" if len(rows) > 4 else ""
    return [Item("open", f"{shown} {words}", f"{parts}{more}.", reverse(name), "Triage")]
