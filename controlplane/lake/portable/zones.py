"""Facts about time zones that the macros need when SQL is rendered."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

FIRST_YEAR, LAST_YEAR = 1970, 2037


@cache
def zone(name: str) -> ZoneInfo:
    """The IANA zone; ValueError when there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"unknown time zone {name!r}") from error


@cache
def overlap_lengths_s(name: str) -> tuple[int, ...]:
    """Lengths (s) of the local times that this zone shows twice between 1970 and 2037, e.g. (3600,) for Europe/Paris."""
    tz = zone(name)
    lengths: set[int] = set()
    previous: timedelta | None = None
    day = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
    for _ in range((date(LAST_YEAR + 1, 1, 1) - date(FIRST_YEAR, 1, 1)).days):
        offset = day.astimezone(tz).utcoffset() or timedelta()
        if previous is not None and offset < previous:
            lengths.add(int((previous - offset).total_seconds()))
        previous = offset
        day += timedelta(days=1)
    return tuple(sorted(lengths))
