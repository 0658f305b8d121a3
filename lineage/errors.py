"""What can go wrong when lineage is sent or asked for."""

from __future__ import annotations


class LineageError(Exception):
    """Base of the app's errors."""


class Overloaded(LineageError):
    """Too many events wait for projection: the sender keeps its events and tries again."""

    def __init__(self, *, pending: int, retry_after_s: int) -> None:
        super().__init__(f"{pending} events wait for projection; try again in {retry_after_s} s")
        self.pending = pending
        self.retry_after_s = retry_after_s


class ShadowBusy(LineageError):
    """Another rebuild or retention is at work, or readers held the tables for so long that the new ones could not be put in."""


class NodeUnknown(LineageError):
    """The asked dataset, job, run or field has never been named by an event."""


class NodeIdInvalid(LineageError):
    """Not of the form ``dataset:<namespace>:<name>``, ``job:…`` or ``datasetField:<namespace>:<name>:<field>``."""


class IdentifierCollision(LineageError):
    """Two different names gave the same 63-bit identifier; the later event is set aside instead of merging the nodes."""
