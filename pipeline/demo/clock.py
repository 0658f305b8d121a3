"""Time, identifiers and money as the demo company's systems write them: cheap to render, the same for the same seed.

Instants are integers: seconds since 1970-01-01 UTC. Amounts are integers: cents.
"""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")
MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86400

_HMS = [f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in range(DAY_S)]


def stream(*parts: object) -> random.Random:
    """A random stream of its own per purpose, so that adding one draw to a purpose leaves the others as they were."""
    return random.Random(":".join(str(part) for part in parts))  # noqa: S311 (a generator of test data)


@lru_cache(maxsize=4096)
def _day_text(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def iso_z(at: int) -> str:
    """``2026-11-20T10:15:00Z``."""
    return f"{_day_text(at // DAY_S)}T{_HMS[at % DAY_S]}Z"


def iso_offset(at: int) -> str:
    """The same instant with the offset that Paris has then: ``2026-11-20T11:15:00+01:00``."""
    return datetime.fromtimestamp(at, PARIS).isoformat(timespec="seconds")


def iso_naive(at: int) -> str:
    """The same instant as a Paris wall clock without any zone; with its offset in the hour that a clock shows twice."""
    local = datetime.fromtimestamp(at, PARIS)
    if local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset():
        return iso_offset(at)
    return local.replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")


def stamp(at: int) -> str:
    """The nominal time in a drop's name: ``20261120T101500Z``."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")


@lru_cache(maxsize=4096)
def day_start(day: date) -> int:
    """The instant at which a Paris day begins."""
    return int(datetime(day.year, day.month, day.day, tzinfo=PARIS).timestamp())


@lru_cache(maxsize=16384)
def _paris_day_of_hour(hour: int) -> date:
    return datetime.fromtimestamp(hour * HOUR_S, PARIS).date()


def paris_day(at: int) -> date:
    """The Paris calendar day of an instant (its offsets are whole hours, so one look-up per hour is enough)."""
    return _paris_day_of_hour(at // HOUR_S)


def uuid_of(rng: random.Random) -> str:
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def money(cents: int) -> str:
    """Cents as text with two decimals."""
    if cents < 0:
        return "-" + money(-cents)
    return f"{cents // 100}.{cents % 100:02d}"
