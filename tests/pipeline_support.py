"""The pipeline without Celery: services called in the order in which workers would call them, on real stores."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from catalog.services import contracts_sync
from pipeline.domain.code import ROOT
from pipeline.models import Drop, Run, Step, StepState
from pipeline.services.landing import drop_receive
from pipeline.services.planning import run_plan
from pipeline.services.steps import step_run

CONTRACTS = ROOT / "pipeline" / "contracts"


def contracts_ready(folder: Path = CONTRACTS) -> None:
    report = contracts_sync(folder=folder, actor="system:test")
    assert not report.refused, [(one.filename, one.messages) for one in report.refused]


def land(files: Iterable[Path]) -> list[Drop]:
    """Send files named ``…/dataset/file`` as an outside system would."""
    return [
        drop_receive(dataset=path.parent.name, filename=path.name, content=path.read_bytes(), source="test") for path in files
    ]


def drain(*, as_of: datetime | None = None, runs: int = 200) -> list[Run]:
    """Run until nothing is left to do; returns the runs."""
    done = []
    while (run := run_plan(as_of=as_of, at_once=True)) is not None:
        while step := Step.objects.filter(run=run, state=StepState.READY).order_by("id").first():
            state = step_run(step_id=step.pk)
            assert state is not None, f"{step.dataset} could not be taken: {step.error}"
        run.refresh_from_db()
        done.append(run)
        assert len(done) < runs, "the pipeline does not come to rest"
    return done


def failures() -> list[str]:
    return [f"{step.dataset}: {step.error}" for step in Step.objects.exclude(error="")]
