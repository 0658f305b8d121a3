"""What can go wrong with keys."""


class KeyFault(Exception):
    """A key is missing, unreadable, of the wrong shape, or readable by others."""


class BadSignature(KeyFault):
    """The signature does not hold for these bytes, or names a key that is not known."""
