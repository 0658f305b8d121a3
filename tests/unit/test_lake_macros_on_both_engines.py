"""Every macro gives the same values on DuckDB and on Spark (Sail), also for nasty input, and the values that its text promises."""
# ruff: noqa: E501 - a statement or a table of values is read on one line

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from controlplane.lake.portable import MACROS
from controlplane.lake.portable import regex as portable_regex
from tests.lake_support import Pair, pair

pytestmark = pytest.mark.spark
TESTED: set[str] = set()


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair(tmp_path_factory.mktemp("pair")) as found:
        yield found


def column(engines: Pair, expression: str, **columns: pa.Array) -> list[object]:
    """Values of ``expression`` over rows given by columns."""
    for name in MACROS:
        if f"{name}(" in expression:
            TESTED.add(name)
    size = len(next(iter(columns.values())))
    engines.register("v", pa.table({"i": pa.array(range(size), pa.int64()), **columns}))
    return engines.column(expression, "v")


def text(*values: str | None) -> pa.Array:
    return pa.array(values, pa.string())


def instants(*values: datetime | None) -> pa.Array:
    return pa.array(values, pa.timestamp("us", tz="UTC"))


def days(*values: date | None) -> pa.Array:
    return pa.array(values, pa.date32())


def decimals(scale: int, *values: str | None) -> pa.Array:
    return pa.array([None if v is None else Decimal(v) for v in values], pa.decimal128(18, scale))


def paris(text: str, zone: str = "Europe/Paris") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


NAIVE = [
    "2024-07-01T12:00:00",
    "2024-07-01 12:00:00.1",
    "2024-07-01T12:00:00.123456",
    "2024-03-31T01:59:59.999999",
    "2024-03-31T02:00:00",
    "2024-03-31T02:30:00",
    "2024-03-31T02:59:59",
    "2024-03-31T03:00:00",
    "2024-10-27T01:59:59",
    "2024-10-27T02:00:00",
    "2024-10-27T02:30:00",
    "2024-10-27T02:59:59.999999",
    "2024-10-27T03:00:00",
    "2024-10-27T03:59:59",
    "2024-02-29T00:00:00",
    "1985-06-15T02:30:00",
    "2035-10-28T02:30:00",
    "2024-12-31T23:59:59",
]
NOT_TIMES = [
    None,
    "",
    " ",
    "2024-07-01",
    "2024-07-01T12:00",
    "2024-07-01T12",
    "2024-07-01T24:00:00",
    "2024-07-01T12:60:00",
    "2024-07-01T12:00:60",
    "2024-02-30T12:00:00",
    "2023-02-29T12:00:00Z",
    "2024-13-01T12:00:00",
    "2024-7-1T12:00:00",
    " 2024-07-01T12:00:00",
    "2024-07-01T12:00:00 ",
    "2024-07-01T12:00:00\n",
    "2024-07-01t12:00:00",
    "2024-07-01T12:00:00z",
    "2024-07-01T12:00:00 +02:00",
    "2024-07-01T12:00:00+2",
    "2024-07-01T12:00:00+15:00",
    "2024-07-01T12:00:00+02:60",
    "2024-07-01T12:00:00Europe/Paris",
    "2024-07-01T12:00:00.1234567",
    "2024-07-01T12:00:00.",
    "01/07/2024 12:00:00",
    "1719835200",
    "0000-01-01T00:00:00",
    "1850-01-01T00:00:00",
    "infinity",
    "epoch",
    "now",
    "٢٠٢٤-٠٧-٠١T12:00:00",
]


@pytest.mark.parametrize(
    "zone", ["Europe/Paris", "Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Dubai", "UTC"]
)
def test_ts_utc_reads_local_times_as_python_does(engines: Pair, zone: str) -> None:
    found = column(engines, f"ts_utc(t, '{zone}')", t=text(*NAIVE))
    assert found == [paris(value, zone) for value in NAIVE]


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"])
def test_ts_utc_agrees_with_python_on_every_half_hour_around_clock_changes(engines: Pair, zone: str) -> None:
    tz = ZoneInfo(zone)
    changes = [
        hour
        for hour in (datetime(2023, 1, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(24 * 730))
        if hour.astimezone(tz).utcoffset() != (hour - timedelta(hours=1)).astimezone(tz).utcoffset()
    ]
    assert changes
    local = [
        (c.astimezone(tz) + timedelta(minutes=m)).replace(tzinfo=None).isoformat()
        for c in changes
        for m in range(-240, 241, 30)
    ]
    found = column(engines, f"ts_utc(t, '{zone}')", t=text(*local))
    assert found == [paris(value, zone) for value in local]


def test_ts_utc_honours_offsets(engines: Pair) -> None:
    given = [
        "2024-07-01T12:00:00Z",
        "2024-07-01T12:00:00+02:00",
        "2024-07-01 12:00:00.5+0200",
        "2024-10-27T02:30:00+01:00",
        "2024-10-27T02:30:00+02:00",
        "2024-03-31T02:30:00-14:30",
        "2024-03-31T02:30:00-0000",
        "1999-12-31T23:59:59.999999+14:00",
    ]
    found = column(engines, "ts_utc(t, 'Europe/Paris')", t=text(*given))
    assert found == [datetime.fromisoformat(value).astimezone(UTC) for value in given]


def test_ts_utc_is_null_for_everything_else(engines: Pair) -> None:
    found = column(engines, "ts_utc(t, 'Europe/Paris')", t=text(*NOT_TIMES))
    assert [given for given, value in zip(NOT_TIMES, found, strict=True) if value is not None] == []


NUMBERS = [
    "0", "-0", "+5", "-5", "007", "12", "12.7", "12.70", "12.345", "-12.345", ".5", "5.", "1e3", "1E3", "1,000", "1 000", " 1", "1 ", "1\n",
    "", None, "NaN", "inf", "Infinity", "0x10", "--1", "+-1", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
    "-9223372036854775809", "9999999999999999.99", "10000000000000000.00", "-9999999999999999.99", "0000000000000000000000001.50",
    "123456789012345678901234567890123456789012345", "١٢", "1_000", "€5", "true",
]  # fmt: skip


def test_to_int_takes_whole_numbers_only(engines: Pair) -> None:
    found = dict(zip(NUMBERS, column(engines, "to_int(t)", t=text(*NUMBERS)), strict=True))
    assert {key: value for key, value in found.items() if value is not None} == {
        "0": 0, "-0": 0, "+5": 5, "-5": -5, "007": 7, "12": 12, "9223372036854775807": 2**63 - 1, "-9223372036854775808": -(2**63),
    }  # fmt: skip


def test_to_decimal_rounds_nothing_and_takes_no_exponent(engines: Pair) -> None:
    found = dict(zip(NUMBERS, column(engines, "to_decimal(t, 18, 2)", t=text(*NUMBERS)), strict=True))
    assert {key: value for key, value in found.items() if value is not None} == {
        key: Decimal(key)
        for key in (
            "0", "-0", "+5", "-5", "007", "12", "12.7", "12.70", "9999999999999999.99", "-9999999999999999.99", "0000000000000000000000001.50",
        )
    }  # fmt: skip


@pytest.mark.parametrize(("precision", "scale"), [(38, 0), (38, 10), (12, 8), (5, 4), (4, 4), (1, 0)])
def test_to_decimal_of_other_sizes(engines: Pair, precision: int, scale: int) -> None:
    found = column(
        engines, f"to_decimal(t, {precision}, {scale})", t=text(*NUMBERS, "0.1234", "0.12345678", "-1.0000", "-0.9999")
    )
    assert any(value is not None for value in found)


def test_to_number_takes_plain_and_scientific_notation(engines: Pair) -> None:
    found = dict(zip(NUMBERS, column(engines, "to_number(t)", t=text(*NUMBERS)), strict=True))
    assert found["1e3"] == 1000.0
    assert found["12.345"] == 12.345
    assert [found[key] for key in ("NaN", "inf", "0x10", ".5", "5.", "1 ", "")] == [None] * 7


def test_to_bool_knows_ten_words(engines: Pair) -> None:
    given = [
        "true",
        "TRUE",
        "t",
        "T",
        "1",
        "yes",
        "Y",
        "false",
        "False",
        "f",
        "0",
        "no",
        "N",
        "on",
        "2",
        "",
        " true",
        None,
        "ja",
        "ｔｒｕｅ",
    ]
    assert column(engines, "to_bool(t)", t=text(*given)) == [True] * 7 + [False] * 6 + [None] * 7


def test_to_date_takes_iso_days_that_exist(engines: Pair) -> None:
    given = [
        "2024-02-29", "2023-02-29", "2024-04-31", "1900-01-01", "1582-10-10", "1000-01-01", "9999-12-31", "0999-01-01", "2024-1-1", "20240101",
        "2024-01-01 ", "2024-01-01T00:00:00", "", None, "01/02/2024", "infinity", "2024-01-01\n",
    ]  # fmt: skip
    found = column(engines, "to_date(t)", t=text(*given))
    assert found[:7] == [
        date(2024, 2, 29),
        None,
        None,
        date(1900, 1, 1),
        date(1582, 10, 10),
        date(1000, 1, 1),
        date(9999, 12, 31),
    ]
    assert found[7:] == [None] * 10


def test_clean_takes_blanks_off_both_ends(engines: Pair) -> None:
    given = ["a", " a ", "\ta b\r\n", "", "  ", "\t\n", None, "\u00a0a", "é "]
    assert column(engines, "clean(t)", t=text(*given)) == ["a", "a", "a b", None, None, None, None, "\u00a0a", "é"]


MOMENTS = [
    datetime(2024, 3, 30, 22, 59, 59, 999999, tzinfo=UTC),
    datetime(2024, 3, 30, 23, 0, tzinfo=UTC),
    datetime(2024, 3, 31, 0, 59, 59, tzinfo=UTC),
    datetime(2024, 3, 31, 1, 0, tzinfo=UTC),
    datetime(2024, 3, 31, 21, 59, 59, tzinfo=UTC),
    datetime(2024, 3, 31, 22, 0, tzinfo=UTC),
    datetime(2024, 10, 26, 22, 0, tzinfo=UTC),
    datetime(2024, 10, 27, 0, 30, tzinfo=UTC),
    datetime(2024, 10, 27, 22, 59, 59, tzinfo=UTC),
    datetime(2024, 10, 27, 23, 0, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 500000, tzinfo=UTC),
    datetime(1950, 1, 1, 12, 30, 15, 250000, tzinfo=UTC),
    datetime(2036, 7, 1, 22, 30, tzinfo=UTC),
    None,
]


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York", "Asia/Kolkata", "Pacific/Apia"])
def test_business_date_is_the_day_in_the_zone(engines: Pair, zone: str) -> None:
    found = column(engines, f"business_date(t, '{zone}')", t=instants(*MOMENTS))
    assert found == [None if m is None else m.astimezone(ZoneInfo(zone)).date() for m in MOMENTS]


DAYS = [
    date(2024, 2, 29),
    date(2024, 3, 31),
    date(2024, 10, 27),
    date(1969, 12, 31),
    date(1970, 1, 1),
    date(2023, 12, 31),
    date(1900, 3, 1),
    None,
]


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/Sao_Paulo", "Asia/Beirut"])
def test_day_start_is_local_midnight(engines: Pair, zone: str) -> None:
    given = [*DAYS[:6], date(2018, 11, 4), date(2018, 2, 18), date(2024, 3, 31), None]
    found = column(engines, f"day_start(d, '{zone}')", d=days(*given))
    assert found == [None if d is None else paris(d.isoformat(), zone) for d in given]


def test_hour_start(engines: Pair) -> None:
    found = column(engines, "hour_start(t)", t=instants(*MOMENTS))
    assert found == [None if m is None else m.replace(minute=0, second=0, microsecond=0) for m in MOMENTS]


def test_add_days_goes_both_ways(engines: Pair) -> None:
    numbers = [1, -1, 0, 366, -366, 1, 5, 3]
    found = column(engines, "add_days(d, n)", d=days(*DAYS), n=pa.array(numbers, pa.int64()))
    assert found == [None if d is None else d + timedelta(days=n) for d, n in zip(DAYS, numbers, strict=True)]
    assert column(engines, "add_days(d, -28)", d=days(*DAYS)) == [None if d is None else d - timedelta(days=28) for d in DAYS]


def test_days_between_has_a_sign(engines: Pair) -> None:
    others = [*reversed(DAYS[:-1]), date(2024, 1, 1)]
    found = column(engines, "days_between(a, b)", a=days(*DAYS), b=days(*others))
    assert found == [None if a is None or b is None else (b - a).days for a, b in zip(DAYS, others, strict=True)]


def test_date_of_month_and_weekday(engines: Pair) -> None:
    assert column(engines, "date_of_month(d)", d=days(*DAYS)) == [None if d is None else d.replace(day=1) for d in DAYS]
    week = [date(2024, 1, 1) + timedelta(days=n) for n in range(8)] + [date(1969, 12, 28), date(1960, 2, 29), None]
    assert column(engines, "weekday(d)", d=days(*week)) == [None if d is None else d.isoweekday() for d in week]


def test_seconds_between_is_cut_off_towards_zero(engines: Pair) -> None:
    base = datetime(2024, 3, 31, 0, 30, tzinfo=UTC)
    steps = [timedelta(seconds=s) for s in (0, 1.9, -1.9, 0.000001, -0.999999, 7200, -7200, 86400 * 365)]
    found = column(
        engines, "seconds_between(a, b)", a=instants(*[base] * 8, None), b=instants(*[base + s for s in steps], base)
    )
    assert found == [int(s.total_seconds()) for s in steps] + [None]
    old = datetime(1960, 1, 1, tzinfo=UTC)
    assert column(engines, "seconds_between(a, b)", a=instants(old), b=instants(old + timedelta(seconds=10.7))) == [10]


def test_add_seconds(engines: Pair) -> None:
    found = column(engines, "add_seconds(t, n)", t=instants(*MOMENTS), n=pa.array([3600] * 13 + [1], pa.int64()))
    assert found == [None if m is None else m + timedelta(hours=1) for m in MOMENTS]
    assert column(engines, "add_seconds(t, -1)", t=instants(MOMENTS[0])) == [
        datetime(2024, 3, 30, 22, 59, 58, 999999, tzinfo=UTC)
    ]


def half_up(value: Decimal, scale: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_UP)


AMOUNTS = [
    "0.00",
    "0.01",
    "-0.01",
    "1.00",
    "-1.00",
    "10.05",
    "-10.05",
    "99999999.99",
    "0.50",
    "-0.50",
    "1234567.89",
    None,
    "2.00",
]
RATES = ["1", "0.5", "0.5", "1.005", "1.005", "0.27229411", "0.27229411", "9999.99999999", "0.01", "0.01", "1.08", "1.08", None]


def test_eur_rounds_half_away_from_zero(engines: Pair) -> None:
    found = column(engines, "eur(a, r)", a=decimals(2, *AMOUNTS), r=decimals(8, *RATES))
    expected = [
        None if a is None or r is None else half_up(Decimal(a) * Decimal(r), 2) for a, r in zip(AMOUNTS, RATES, strict=True)
    ]
    assert found == expected


@pytest.mark.parametrize("scale", [0, 2, 4, 12])
def test_product_rounds_half_away_from_zero(engines: Pair, scale: int) -> None:
    a = ["1.5", "-1.5", "0.000001", "999999999999.999999", "2.5", "-2.5", None, "0.125"]
    b = ["1", "1", "0.000001", "1", "0.2", "0.2", "1", "0.1"]
    found = column(engines, f"product(a, b, {scale})", a=decimals(6, *a), b=decimals(6, *b))
    assert found == [None if x is None else half_up(Decimal(x) * Decimal(y), scale) for x, y in zip(a, b, strict=True)]


def test_product_of_a_whole_number_and_an_amount(engines: Pair) -> None:
    found = column(
        engines, "product(q, a, 2)", q=pa.array([3, -2, 0, None], pa.int64()), a=decimals(2, "19.99", "0.01", "5.00", "1.00")
    )
    assert found == [Decimal("59.97"), Decimal("-0.02"), Decimal("0.00"), None]


@pytest.mark.parametrize("scale", [0, 2, 6, 9])
def test_ratio_is_exact_and_rounds_half_away_from_zero(engines: Pair, scale: int) -> None:
    n = [
        "1",
        "2",
        "-1",
        "1",
        "-1",
        "5",
        "-5",
        "0",
        "1",
        "0",
        None,
        "1",
        "12345678.123456",
        "0.000001",
        "-7",
        "7",
        "100000000.00",
        "1",
    ]
    d = ["3", "3", "3", "8", "8", "2", "2", "5", "0", "0", "1", None, "0.5", "0.000003", "-2", "-2", "3", "1999999"]
    found = column(engines, f"ratio(n, d, {scale})", n=decimals(6, *n), d=decimals(6, *d))
    expected: list[Decimal | None] = []
    for x, y in zip(n, d, strict=True):
        if x is None or y is None or not Decimal(y):
            expected.append(None)
        else:
            # Exact: compare the doubled remainder, not a rounded quotient.
            top, bottom = int(Decimal(x) * 10**6), int(Decimal(y) * 10**6)
            units = (2 * abs(top) * 10**scale + abs(bottom)) // (2 * abs(bottom))
            expected.append(Decimal(units if (top < 0) == (bottom < 0) else -units).scaleb(-scale))
    assert found == expected


def test_ratio_of_counts_and_of_money(engines: Pair) -> None:
    counts = pa.array([0, 1, 59999, 60000], pa.int64())
    assert column(engines, "ratio(n, 60000, 6)", n=counts) == [Decimal(0), Decimal("0.000017"), Decimal("0.999983"), Decimal(1)]
    assert column(engines, "ratio(a, 4, 2)", a=decimals(2, "0.01", "-0.02", "1400000000.03")) == [
        Decimal("0.00"), Decimal("-0.01"), Decimal("350000000.01"),
    ]  # fmt: skip


def test_currency_code_normalises_symbols(engines: Pair) -> None:
    given = [
        "EUR",
        " eur ",
        "€",
        "$",
        "us$",
        "US$",
        "usd",
        "£",
        "gbp",
        "DH",
        "dh",
        "د.إ",
        "SR",
        "﷼",
        "XXX",
        "",
        "  ",
        None,
        "ß",
        "aed\n",
    ]
    assert column(engines, "currency_code(t)", t=text(*given)) == [
        "EUR", "EUR", "EUR", "USD", "USD", "USD", "USD", "GBP", "GBP", "AED", "AED", "AED", "SAR", "SAR", "XXX", None, None, None, "ß", "AED",
    ]  # fmt: skip


PATTERNS = {
    r"^[A-Z]{3}-\d{6}$": ["ABC-123456", "ABC-123456\n", "abc-123456", "ABC-12345", "ABC-١٢٣٤٥٦", "xABC-123456", None, ""],
    r"^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$": [
        "7f2c1f6e-8a3b-4c1d-9e2f-0a1b2c3d4e5f",
        "x",
        "7F2C",
        None,
    ],
    r"^.{2}$": ["ab", "é€", "a\n", "😀a", "abc", "a\r", None, "\u2028a"],
    r"^[^@\s]+@[^@\s]+\.\w+$": ["a@b.fr", "a b@c.fr", "a@b", "é@b.fr", "a@b.é", None, "", "a@b.c\n"],
    r"^(?:web|mobile|it's)$": ["web", "Web", "it's", "mobile ", None, "webmobile"],
    r"a|b": ["xa", "yb", "c", None, "", "A"],
    r"^\\d$": ["\\d", "1", "d", None],
    r"[\d.-]+$": ["1.2-3", "x", "1\n", None],
    r"^\D\W\S$": ["a-b", "1-b", "ab ", "é!é", None],
    r"^a+?b*\.c{1,2}$": ["ab.c", "aab.cc", "abxc", "ab.ccc", None],
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_matches_reads_a_pattern_one_way(engines: Pair, pattern: str) -> None:
    import re

    given = PATTERNS[pattern]
    found = column(engines, "matches(t, '" + pattern.replace("'", "''") + "')", t=text(*given))
    python = re.compile(portable_regex.portable(pattern).replace(r"\z", r"\Z"))
    assert found == [None if value is None else bool(python.search(value)) for value in given]


def test_hash_bucket_digest_and_letters(engines: Pair) -> None:
    import hashlib

    given = ["a", "", "é€😀", "7f2c1f6e-8a3b-4c1d-9e2f-0a1b2c3d4e5f", None]
    assert column(engines, "hash_bucket(t)", t=text(*given)) == [
        v if v is None else hashlib.md5(v.encode()).hexdigest()[0] for v in given
    ]
    assert column(engines, "digest(t)", t=text(*given)) == [
        v if v is None else hashlib.sha256(v.encode()).hexdigest() for v in given
    ]
    letters = ["aBz", "éÉ", "ß", "İı", "", None]
    assert column(engines, "upper_ascii(t)", t=text(*letters)) == ["ABZ", "éÉ", "ß", "İı", "", None]
    assert column(engines, "lower_ascii(t)", t=text(*letters)) == ["abz", "éÉ", "ß", "İı", "", None]


def test_macros_nest(engines: Pair) -> None:
    found = column(
        engines,
        "add_days(business_date(ts_utc(clean(t), 'Europe/Paris'), 'Europe/Paris'), 1)",
        t=text(" 2024-03-31T23:30:00Z ", "2024-10-27T02:30:00", "x", None),
    )
    assert found == [date(2024, 4, 2), date(2024, 10, 28), None, None]


def test_every_macro_has_a_test_here(request: pytest.FixtureRequest) -> None:
    """Reads this file, so that it holds in whichever process and order the tests run."""
    source = request.path.read_text()
    assert [name for name in MACROS if f"{name}(" not in source.partition("TESTED")[2]] == []
