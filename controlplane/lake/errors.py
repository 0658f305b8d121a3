"""What can go wrong in the lake, each as its own type so that callers can react to it."""

from __future__ import annotations


class LakeError(Exception):
    """Base of everything the lake raises on purpose."""


class PortableSqlError(LakeError):
    """SQL outside the portable subset. ``faults`` holds one text per fault, each starting with ``line N:``."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class SchemaMismatch(LakeError):
    """Rows do not fit the declared schema: a missing or extra column, a lossy cast, a NULL where none may be."""


class PartitionMismatch(LakeError):
    """Rows lie outside the partitions that the write replaces."""


class CommitConflict(LakeError):
    """Another writer committed to the table after this session had read it; nothing was written."""


class TableNotFound(LakeError):
    """There is no table under this name."""


class SnapshotGone(LakeError):
    """Files of the snapshot that was read are gone (vacuumed); read again on the newest version."""


class StoreError(LakeError):
    """The object store refused or failed; the message names the key and the reason."""


class ObjectNotFound(StoreError):
    """There is no object under this key."""


class LeaseError(LakeError):
    """Base of lease faults."""


class LeaseHeld(LeaseError):
    """Another holder has the lease; ``holder`` names it."""

    def __init__(self, resource: str, holder: str) -> None:
        super().__init__(f"{resource} is leased by {holder}")
        self.resource = resource
        self.holder = holder


class LeaseLost(LeaseError):
    """The lease expired and another holder took it; the work must not be committed."""
