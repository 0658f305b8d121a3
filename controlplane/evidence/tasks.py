"""Celery's way into the services."""

from __future__ import annotations

from celery import shared_task


@shared_task(name="evidence.tasks.reproduce")
def reproduce(*, reproduction_id: int) -> str | None:
    """Compute a published figure again."""
    from controlplane.evidence.services.reproductions import reproduction_run

    done = reproduction_run(reproduction_id=reproduction_id)
    return str(done.outcome or done.state) if done else None


def tick_reproductions() -> None:
    """Catch reproductions that lost their worker."""
    from controlplane.evidence.services.reproductions import reproductions_reap

    reproductions_reap()
