"""What can go wrong, in words for the person at the keyboard."""


class EmbeddedError(Exception):
    """A service could not be started or stopped; the message says what to do."""


class AlreadyRunning(EmbeddedError):
    """Another supervisor runs from the same home."""


class PortTaken(EmbeddedError):
    """The port asked for is in use."""
