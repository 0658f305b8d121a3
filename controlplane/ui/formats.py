"""Numbers, times and sizes as people read them. Plain Python: no request, no database."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

Number = int | float | Decimal

NOT_DEFINED = "not defined"
THIN = "\u202f"  # narrow no-break space: between a number and its unit
_SIGNS = {"EUR": "€", "USD": "$", "GBP": "£"}


def number(value: Number | None, decimals: int = 0) -> str:
    """``1234567.5`` → ``1,234,568``."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    quantum = Decimal(1).scaleb(-decimals)
    return f"{Decimal(str(value)).quantize(quantum, ROUND_HALF_UP):,}".replace("-", "−")


def with_unit(value: Number | None, unit: str) -> str:
    """A figure with its unit; ``None`` is "not defined", never 0.

    Units: currencies (``EUR``), ``ratio`` and ``share`` (0 to 1, shown in %), ``index``, ``points``, all else as written.
    """
    if value is None:
        return NOT_DEFINED
    exact_value = Decimal(str(value))
    if unit in _SIGNS:
        return f"{_SIGNS[unit]}{THIN}{number(value, 0 if abs(exact_value) >= 10_000 else 2)}"
    if unit in ("ratio", "share", "percent", "%"):
        scaled = exact_value if unit in ("percent", "%") else exact_value * 100
        return f"{number(scaled, 2 if abs(scaled) < 10 else 1)}{THIN}%"
    if unit in ("index", "points", "score"):
        return number(value, 1)
    whole = exact_value == exact_value.to_integral_value()
    text = number(value, 0 if whole else 2)
    return f"{text}{THIN}{unit}" if unit and unit != "count" else text


def change(value: Number | None, before: Number | None, unit: str) -> tuple[str, int] | None:
    """Change against an earlier value as (text, direction -1/0/+1); None when either is not defined.

    Shares change in percentage points, all else in per cent of the earlier value.
    """
    if value is None or before is None:
        return None
    now, then = Decimal(str(value)), Decimal(str(before))
    if unit in ("ratio", "share", "percent", "%"):
        moved = (now - then) * (1 if unit in ("percent", "%") else 100)
        return _signed(moved, 2, f"{THIN}pp")
    if unit in ("index", "points", "score"):
        return _signed(now - then, 1, f"{THIN}points")
    if then == 0:
        return None
    return _signed((now - then) / abs(then) * 100, 1, f"{THIN}%")


def _signed(moved: Decimal, decimals: int, suffix: str) -> tuple[str, int]:
    rounded = moved.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    if rounded == 0:
        return f"±{number(0, decimals)}{suffix}", 0
    return f"{'+' if rounded > 0 else '−'}{number(abs(rounded), decimals)}{suffix}", 1 if rounded > 0 else -1


def duration(seconds: Number | timedelta | None) -> str:
    """``75`` → ``1 min 15 s``; below ten seconds with one decimal."""
    if seconds is None:
        return "–"
    total = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
    sign, total = ("−" if total < 0 else ""), abs(total)
    if total < 9.95:
        return f"{sign}{total:.1f} s" if total else "0 s"
    whole = round(total)
    parts: list[str] = []
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        amount, whole = divmod(whole, size)
        if amount:
            parts.append(f"{amount} {name}")
        if len(parts) == 2:
            break
    return sign + " ".join(parts)


def age(moment: datetime, now: datetime) -> str:
    """``38 s ago``, ``in 5 min``."""
    seconds = (now - moment).total_seconds()
    if abs(seconds) < 1:
        return "now"
    text = age_words(abs(seconds))
    return f"{text} ago" if seconds > 0 else f"in {text}"


def age_words(seconds: float) -> str:
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {name}"
    return f"{int(seconds)} s"


def bytes_size(size: Number | None) -> str:
    """``1536`` → ``1.5 KiB``."""
    if size is None:
        return "–"
    amount = float(size)
    for name in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(amount) < 1024 or name == "TiB":
            return f"{amount:.0f} {name}" if name == "B" or amount >= 100 else f"{amount:.1f} {name}"
        amount /= 1024
    raise AssertionError


def exact(moment: datetime, zone: str) -> str:
    """``2026-11-24 15:48:54 UTC · 16:48:54 Europe/Paris``: what stands behind every relative time."""
    utc = moment.astimezone(UTC)
    local = moment.astimezone(ZoneInfo(zone))
    day = "" if local.date() == utc.date() else f"{local:%Y-%m-%d} "
    return f"{utc:%Y-%m-%d %H:%M:%S} UTC · {day}{local:%H:%M:%S} {zone}"


def local_clock(moment: datetime, zone: str, now: datetime | None = None) -> str:
    """``14:02:10``; with ``now``, the day stands before it when that is another: ``3 Mar 2026, 14:02:10``."""
    local = moment.astimezone(ZoneInfo(zone))
    other_day = now is not None and local.date() != now.astimezone(ZoneInfo(zone)).date()
    return f"{day(local)}, {local:%H:%M:%S}" if other_day else f"{local:%H:%M:%S}"


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def day(value: date) -> str:
    return f"{value.day} {value:%b %Y}"


def shorten(text: str, keep: int = 8) -> str:
    """The beginning of an id; the whole one stands in the copy button and the title."""
    return text if len(text) <= keep + 1 else f"{text[:keep]}…"


def middle(text: str, keep: int = 48) -> str:
    """A path with its middle left out: people look at the root and at the file name."""
    if len(text) <= keep:
        return text
    head = keep // 2 - 1
    return f"{text[:head]}…{text[-(keep - head - 1) :]}"
