"""What can go wrong with messages."""


class OutboxError(Exception):
    """Base of the errors below."""


class NotInTransaction(OutboxError):
    """``publish`` was called outside a transaction, where the change and its message could part."""


class Unavailable(OutboxError):
    """Raised by a handler when what it needs is down: the message waits and does not count an attempt."""


class NoHandler(OutboxError):
    """Nobody is registered for the topic."""
