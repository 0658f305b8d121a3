"""The state of the service: its parts, its backlog, its audit chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from controlplane.home.audit_state import chain_state
from controlplane.outbox import selectors as outbox
from controlplane.telemetry import health
from pipeline import selectors_runs as pipeline
from pipeline.domain.code import code_version


@dataclass(frozen=True)
class SystemState:
    """Parts of the service as they answer now. ``parts`` are (name, up or down, detail)."""

    parts: Sequence[tuple[str, str, str]]
    pending: int
    dead: int
    oldest_s: float
    sealed: int
    unsealed: int
    sealed_at: datetime | None
    last_run: pipeline.RunTotals | None
    running_steps: int
    code_version: str

    def fingerprint(self) -> object:
        return (
            self.parts,
            self.pending,
            self.dead,
            int(self.oldest_s),
            self.sealed,
            self.unsealed,
            self.running_steps,
        )


def system_state() -> SystemState:
    backlog = outbox.backlog()
    chain = chain_state()
    latest = pipeline.runs_latest(1)
    return SystemState(
        parts=[(part.name, "up" if part.ok else "down", part.detail) for part in health.readiness()],
        pending=backlog.pending,
        dead=backlog.dead,
        oldest_s=backlog.oldest_s,
        sealed=chain.sealed,
        unsealed=chain.unsealed,
        sealed_at=chain.sealed_at,
        last_run=latest[0] if latest else None,
        running_steps=pipeline.steps_running(),
        code_version=code_version(),
    )
