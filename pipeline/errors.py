"""What can go wrong in the pipeline, in words a person can act on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass


class PipelineError(Exception):
    """Base of the pipeline's own errors."""


@dataclass(frozen=True)
class Fault:
    """One reason why a drop was refused: where it is, what is wrong and how to mend it."""

    place: str
    reason: str
    mend: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


class DropRefused(PipelineError):
    """The drop does not hold what its contract says. Its bytes are kept; nothing of it is loaded."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{fault.place}: {fault.reason}" for fault in faults[:3]))
        self.faults = faults


class UnknownDataset(PipelineError):
    """No contract names this dataset."""


class Overloaded(PipelineError):
    """A watermark is passed: the sender keeps the drop and sends it again later."""

    def __init__(self, *, status: int, reason: str, retry_after_s: int) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s


class GateBlocked(PipelineError):
    """The candidate breaks a critical rule; the published table stays as it is."""


class NothingToDo(PipelineError):
    """A step whose inputs have not changed."""


class NotReproducible(PipelineError):
    """A figure cannot be computed again: something that it was made from is gone. ``faults``: what, each as a dict."""

    def __init__(self, reason: str, faults: Sequence[Mapping[str, object]] = ()) -> None:
        super().__init__(reason)
        self.faults = list(faults)
