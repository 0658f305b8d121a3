"""The first block of the home page: the first question of a role, and its answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.urls import reverse

from controlplane.accounts.roles import Role
from controlplane.home import audit_state as audit
from controlplane.home.attention import Item, late_item
from controlplane.outbox import selectors as outbox
from controlplane.ui import formats
from pipeline.selectors_attention import Attention
from pipeline.selectors_kpi import KpiReading
from pipeline.selectors_runs import RunTotals


@dataclass(frozen=True)
class Row:
    """One line of an answer: a state (may be empty), a name with a link, facts, and a moment."""

    title: str
    url: str = ""
    state: str = ""
    word: str = ""
    text: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class Block:
    question: str
    answer: str
    rows: Sequence[Row]
    empty: str = ""


@dataclass(frozen=True)
class Facts:
    """What the blocks are made from."""

    username: str
    kpis: Sequence[KpiReading]
    waiting: Attention
    runs: Sequence[RunTotals]
    items: Sequence[Item]


def block_for(
    role: str,
    *,
    username: str,
    kpis: Sequence[KpiReading],
    waiting: Attention,
    runs: Sequence[RunTotals],
    items: Sequence[Item],
) -> Block:
    return _BLOCKS[role](Facts(username, kpis, waiting, runs, items))


def _owner(facts: Facts) -> Block:
    mine = [kpi for kpi in facts.kpis if kpi.contract.owner == facts.username]
    shown = mine or list(facts.kpis)
    late = sum(kpi.freshness.state == "late" for kpi in shown)
    unknown = sum(kpi.freshness.state == "unknown" for kpi in shown)
    whose = "your" if mine else "all"
    kept = len(shown) - late - unknown
    answer = f"{kept} of {whose} {len(shown)} figures are as fresh as promised" + (f", {late} late" if late else "")
    return Block(
        "Are my promises kept?",
        f"{answer}.",
        [
            Row(
                kpi.kpi.title,
                reverse("evidence_kpi", args=[kpi.key]),
                kpi.freshness.state,
                text=f"at most {formats.duration(kpi.kpi.cadence_s)} old · owner {kpi.contract.owner}",
                at=kpi.refreshed_at,
            )
            for kpi in shown
        ],
        empty="No figure is promised yet. Import contracts with a kpi section to see them here.",
    )


def _oncall(facts: Facts) -> Block:
    backlog = outbox.backlog()
    beat = outbox.relay_beat_age_s()
    running = next((run for run in facts.runs if run.run.state == "running"), None)
    late = [late_item(kpi) for kpi in facts.kpis if kpi.freshness.state == "late"]
    broken = late + [item for item in facts.items if item.state in ("failed", "over", "stopped")]
    rows = [Row(item.title, item.url, item.state, text=item.text, at=item.since) for item in broken[:6]]
    rows.append(_relay_row(beat))
    lag = "up to date" if backlog.oldest_s < 5 else f"the oldest waits {formats.age_words(backlog.oldest_s)}"
    rows.append(
        Row(
            "Message delivery",
            reverse("system"),
            "late" if backlog.oldest_s > 60 else "failed" if backlog.dead else "on_time",
            word="Behind" if backlog.oldest_s > 60 else "Dead letters" if backlog.dead else "Up to date",
            text=f"{lag}{f', {backlog.dead} given up' if backlog.dead else ''}",
        )
    )
    if running:
        text = f"{running.step_done} of {running.step_count} steps done · {running.run.trigger}"
        rows.append(
            Row("A run is under way", reverse("run", args=[running.run.uuid]), "running", text=text, at=running.run.started_at)
        )
    trouble = len(broken) + sum(row.state in ("down", "late", "failed") for row in rows[min(len(broken), 6) :])
    answer = f"{trouble} thing{'s' if trouble != 1 else ''} broken" if trouble else "Nothing is broken"
    return Block("What is broken, since when, and what do I press?", f"{answer}.", rows)


def _relay_row(beat: float | None) -> Row:
    if beat is None:
        return Row("Relay", reverse("system"), "down", text="no relay has reported; start it with manage.py relay")
    alive = beat < 30
    return Row(
        "Relay",
        reverse("system"),
        "up" if alive else "down",
        text=f"last heard {formats.age_words(beat)} ago" if not alive else "delivers messages and seals the audit log",
    )


def _dpo(facts: Facts) -> Block:
    reveals = audit.recent("ui.reveal", limit=5)
    rows = [
        Row(
            f"{one.dataset}: column to classify",
            f"{reverse('quarantine')}?{urlencode({'dataset': one.dataset})}",
            "open",
            text=f"{formats.number(one.count)} rows carry a column no contract knows; it may hold personal data",
        )
        for one in facts.waiting.quarantine
    ]
    rows += [
        Row(
            f"Personal values revealed: {entry.target}",
            "",
            "acknowledged",
            word="Revealed",
            text=entry.actor,
            at=entry.recorded_at,
        )
        for entry in reveals
    ]
    unknown = len(facts.waiting.quarantine)
    columns = f"{unknown} dataset{'s' if unknown != 1 else ''} with a column to classify"
    looks = f"{len(reveals)} recent reveal{'s' if len(reveals) != 1 else ''} of personal values"
    return Block(
        "What is due?",
        f"{columns}, {looks}.",
        rows,
        empty="Nothing is due: every column is known to a contract, and nobody has revealed personal values.",
    )


def _auditor(facts: Facts) -> Block:
    chain = audit.chain_state()
    rows = [
        Row(
            "Audit chain",
            reverse("system"),
            "intact" if chain.sealed else "unknown",
            word="Sealed" if chain.sealed else "Nothing sealed yet",
            text=f"{formats.number(chain.sealed)} entries sealed, {formats.number(chain.unsealed)} waiting for the sealer",
            at=chain.sealed_at,
        )
    ]
    rows += [
        Row(
            kpi.kpi.title,
            reverse("evidence_kpi", args=[kpi.key]),
            kpi.freshness.state,
            text="trace it to its raw files",
            at=kpi.refreshed_at,
        )
        for kpi in facts.kpis
    ]
    return Block("What can I verify?", "Every figure below leads to the raw files that made it.", rows)


def _steward(facts: Facts) -> Block:
    rows = [
        Row(
            f"{one.dataset}: rejected rows",
            f"{reverse('rejects')}?{urlencode({'dataset': one.dataset})}",
            "open",
            text=f"{formats.number(one.count)} wait for triage",
        )
        for one in facts.waiting.rejects
    ] + [
        Row(
            f"{one.dataset}: unknown column",
            f"{reverse('quarantine')}?{urlencode({'dataset': one.dataset})}",
            "open",
            text=f"{formats.number(one.count)} rows in quarantine",
        )
        for one in facts.waiting.quarantine
    ]
    held = sum(one.count for one in (*facts.waiting.rejects, *facts.waiting.quarantine))
    return Block("Which rows wait for me?", f"{formats.number(held)} rows are held back.", rows, empty="No row is held back.")


def _producer(facts: Facts) -> Block:
    rows = [
        Row(
            f"{drop.dataset}: {drop.filename}",
            reverse("drop", args=[drop.uuid]),
            "refused",
            text="see the faults and send it again",
            at=drop.received_at,
        )
        for drop in facts.waiting.refused
    ]
    amount = facts.waiting.refused_count
    return Block(
        "Did my drops get in?",
        f"{formats.number(amount)} refused in the last 24 hours.",
        rows,
        empty="Every drop of the last 24 hours was taken in.",
    )


_BLOCKS: dict[str, Callable[[Facts], Block]] = {
    Role.OWNER: _owner,
    Role.ONCALL: _oncall,
    Role.ADMIN: _oncall,
    Role.DPO: _dpo,
    Role.AUDITOR: _auditor,
    Role.STEWARD: _steward,
    Role.PRODUCER: _producer,
}
