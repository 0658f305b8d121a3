"""What can go wrong with the audit log."""


class AuditError(Exception):
    """Base of the errors below."""


class NotInTransaction(AuditError):
    """``record`` was called outside a transaction, where the change and its entry could part."""


class BadCheckpoint(AuditError):
    """A checkpoint file is not readable, or its signature does not hold."""
