"""When a message that failed is tried again. Plain Python."""

FIRST_S = 1.0
LIMIT_S = 3600.0
MAX_ATTEMPTS = 12
UNAVAILABLE_S = 5.0


def delay_s(attempts: int) -> float:
    """Seconds to wait after the n-th failed attempt: 1, 2, 4, … up to an hour."""
    return min(FIRST_S * 2.0 ** max(attempts - 1, 0), LIMIT_S)


def is_dead(attempts: int) -> bool:
    """Whether a message has failed so often (about 70 minutes) that only a person sends it again."""
    return attempts >= MAX_ATTEMPTS
