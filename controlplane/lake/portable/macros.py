"""The macros: operations whose spelling or meaning differs between engines, with one body per engine.

In SQL they are called like functions. A body is a template; ``{0}`` is the first argument as the engine's SQL. Bodies
are put in as text after everything else has been transpiled, so nothing rewrites them. Arguments in ``literals`` must
be literals, because bodies are made from their values (a zone, a precision).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import regex, zones

Args = Sequence[str]
Body = Callable[[Args], str]


@dataclass(frozen=True)
class Macro:
    """One macro.

    ``result`` is the type of the outcome in DuckDB's words; ``masking`` says that the value cannot be had back from
    the outcome. ``literals`` are the positions of arguments given as literals; a body sees those as raw values (no quotes).
    """

    name: str
    parameters: tuple[str, ...]
    result: str
    doc: str
    duckdb: Body
    spark: Body
    literals: tuple[int, ...] = ()
    masking: bool = False

    def body(self, engine: str) -> Body:
        return self.duckdb if engine == "duckdb" else self.spark


MACROS: dict[str, Macro] = {}


def _template(text: str) -> Body:
    return lambda args: text.format(*args)


def _macro(
    signature: str,
    result: str,
    doc: str,
    *,
    duckdb: str | Body,
    spark: str | Body | None = None,
    literals: tuple[int, ...] = (),
    masking: bool = False,
) -> None:
    name, _, rest = signature.partition("(")
    parameters = tuple(part.strip() for part in rest.rstrip(")").split(","))
    one = _template(duckdb) if isinstance(duckdb, str) else duckdb
    two = one if spark is None else _template(spark) if isinstance(spark, str) else spark
    MACROS[name] = Macro(name, parameters, result, doc, one, two, literals, masking)


def quote(text: str, engine: str) -> str:
    """A string literal; Spark reads backslash escapes in it, DuckDB does not."""
    escaped = text.replace("'", "''") if engine == "duckdb" else text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


_SMALL, _BIG = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# upper('ß') is 'ẞ' in one engine and 'SS' in the other: only ASCII letters change.
_UPPER = f"translate({{0}}, '{_SMALL}', '{_BIG}')"
_LOWER = f"translate({{0}}, '{_BIG}', '{_SMALL}')"

# --- text to values ---------------------------------------------------------------------------------------------------

_DATE = "(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_NAIVE = f"^(19|2[0-9])[0-9][0-9]-{_DATE}[T ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{{1,6}})?"
_OFFSET = "(Z|[+-](0[0-9]|1[0-4]):?[0-5][0-9])"


def _utc_duckdb(naive: str, zone: str) -> str:
    """``naive`` (TIMESTAMP in ``zone``) as TIMESTAMPTZ. ICU takes the later of two equal local times; the earlier one "
    "is wanted."""
    later = f"(({naive}) AT TIME ZONE '{zone}')"
    cases = [
        f"WHEN (({later} - INTERVAL {length} SECOND) AT TIME ZONE '{zone}') = ({naive}) THEN {later} - INTERVAL {length} SECOND"
        for length in zones.overlap_lengths_s(zone)
    ]
    return f"CASE {' '.join(cases)} ELSE {later} END" if cases else later


def _ts_utc_duckdb(args: Args) -> str:
    text, zone = args[0], zones.zone(args[1]).key
    naive = f"TRY_CAST({text} AS TIMESTAMP)"
    return (
        f"CASE WHEN regexp_matches({text}, '{_NAIVE}\\z') THEN {_utc_duckdb(naive, zone)} "
        f"WHEN regexp_matches({text}, '{_NAIVE}{_OFFSET}\\z') THEN TRY_CAST({text} AS TIMESTAMPTZ) END"
    )


def _ts_utc_spark(args: Args) -> str:
    text, zone = args[0], zones.zone(args[1]).key
    # Spark reads +02:00 but not +0200.
    with_colon = f"regexp_replace({text}, '([+-][0-9][0-9])([0-9][0-9])$', '$1:$2')"
    return (
        f"CASE WHEN {text} RLIKE '{_NAIVE}\\\\z' THEN to_utc_timestamp(TRY_CAST({text} AS TIMESTAMP), '{zone}') "
        f"WHEN {text} RLIKE '{_NAIVE}{_OFFSET}\\\\z' THEN TRY_CAST({with_colon} AS TIMESTAMP) END"
    )


def _decimal(args: Args) -> tuple[str, int, int]:
    precision, scale = int(args[1]), int(args[2])
    if not 1 <= precision <= 38 or not 0 <= scale <= precision:
        raise ValueError(f"DECIMAL({precision},{scale}) does not exist")
    return args[0], precision, scale


def _to_decimal(engine: str) -> Body:
    def body(args: Args) -> str:
        text, precision, scale = _decimal(args)
        whole = precision - scale
        # Leading zeros do not count as digits. Without integer digits only zeros may precede the point.
        integer = f"0*[0-9]{{1,{whole}}}" if whole else "0+"
        fraction = f"([.][0-9]{{1,{scale}}})?" if scale else ""
        pattern = f"^[+-]?{integer}{fraction}\\z"
        test = (
            f"regexp_matches({text}, {quote(pattern, engine)})"
            if engine == "duckdb"
            else f"{text} RLIKE {quote(pattern, engine)}"
        )
        return f"CASE WHEN {test} THEN TRY_CAST({text} AS DECIMAL({precision},{scale})) END"

    return body


_macro(
    "ts_utc(text, zone)", "TIMESTAMPTZ",
    "ISO 8601 text to an instant. 'YYYY-MM-DDTHH:MM:SS[.f to 6 digits]' (or with a space), followed by Z, +HH:MM, +HHMM "
    "or nothing; without "
    "offset it is local time of `zone`: a time that exists twice is the earlier, one that does not exist is moved "
    "forward by the gap "
    "(as Java and Python's fold=0). Years 1900 to 2999. NULL for everything else.",
    duckdb=_ts_utc_duckdb, spark=_ts_utc_spark, literals=(1,),
)  # fmt: skip
_macro(
    "to_decimal(text, precision, scale)", "DECIMAL",
    "'[+-]digits[.digits]' to DECIMAL. NULL for anything else: blanks, exponent, thousands separators, more integer "
    "digits than fit, "
    "more decimals than `scale` (nothing is rounded).",
    duckdb=_to_decimal("duckdb"), spark=_to_decimal("spark"), literals=(1, 2),
)  # fmt: skip
_macro(
    "to_int(text)", "BIGINT",
    "'[+-]digits' to BIGINT; NULL for anything else ('12.7', '1e3', out of range).",
    duckdb="CASE WHEN regexp_matches({0}, '^[+-]?[0-9]+\\z') THEN TRY_CAST({0} AS BIGINT) END",
    spark="CASE WHEN {0} RLIKE '^[+-]?[0-9]+\\\\z' THEN TRY_CAST({0} AS BIGINT) END",
)  # fmt: skip
_macro(
    "to_number(text)", "DOUBLE",
    "Decimal or scientific text to DOUBLE; NULL for anything else (also 'NaN', 'Infinity').",
    duckdb="CASE WHEN regexp_matches({0}, '^[+-]?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]{{1,2}})?\\z') "
    "THEN TRY_CAST({0} AS DOUBLE) END",
    spark="CASE WHEN {0} RLIKE '^[+-]?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]{{1,2}})?\\\\z' THEN TRY_CAST({0} AS DOUBLE) END",
)  # fmt: skip
_macro(
    "to_bool(text)", "BOOLEAN",
    "'true' 't' '1' 'yes' 'y' and 'false' 'f' '0' 'no' 'n' in any case; NULL for anything else.",
    duckdb=f"CASE WHEN {_LOWER} IN ('true','t','1','yes','y') THEN TRUE "
    f"WHEN {_LOWER} IN ('false','f','0','no','n') THEN FALSE END",
)  # fmt: skip
_macro(
    "to_date(text)", "DATE",
    "'YYYY-MM-DD' (years 1000 to 9999) to DATE; NULL for anything else, also for days that do not exist.",
    duckdb=f"CASE WHEN regexp_matches({{0}}, '^[1-9][0-9][0-9][0-9]-{_DATE}\\z') THEN TRY_CAST({{0}} AS DATE) END",
    spark=f"CASE WHEN {{0}} RLIKE '^[1-9][0-9][0-9][0-9]-{_DATE}\\\\z' THEN TRY_CAST({{0}} AS DATE) END",
)  # fmt: skip
_macro(
    "clean(text)", "VARCHAR",
    "Text without leading and trailing blanks, tabs and line ends; NULL when nothing is left.",
    duckdb="NULLIF(trim({0}, ' ' || chr(9) || chr(10) || chr(13)), '')",
    spark="NULLIF(trim(BOTH ' \\t\\n\\r' FROM {0}), '')",
)  # fmt: skip

# --- days and instants ------------------------------------------------------------------------------------------------

_macro(
    "business_date(ts, zone)", "DATE", "The day of an instant in `zone`.",
    duckdb=lambda a: f"CAST(({a[0]}) AT TIME ZONE '{zones.zone(a[1]).key}' AS DATE)",
    spark=lambda a: f"CAST(from_utc_timestamp({a[0]}, '{zones.zone(a[1]).key}') AS DATE)", literals=(1,),
)  # fmt: skip
_macro(
    "day_start(date, zone)", "TIMESTAMPTZ", "The instant at which a day begins in `zone`.",
    duckdb=lambda a: _utc_duckdb(f"CAST({a[0]} AS TIMESTAMP)", zones.zone(a[1]).key),
    spark=lambda a: f"to_utc_timestamp(CAST({a[0]} AS TIMESTAMP), '{zones.zone(a[1]).key}')", literals=(1,),
)  # fmt: skip
_macro(
    "hour_start(ts)", "TIMESTAMPTZ", "The UTC hour that an instant lies in.",
    duckdb="date_trunc('hour', {0})", spark="date_trunc('HOUR', {0})",
)  # fmt: skip
_macro(
    "add_days(date, days)", "DATE", "A date, a whole number of days later (earlier when negative).",
    duckdb="CAST(({0}) + CAST({1} AS INTEGER) AS DATE)", spark="date_add({0}, CAST({1} AS INT))",
)  # fmt: skip
_macro(
    "days_between(first, last)", "BIGINT", "Days from `first` to `last`, both dates; negative when `last` is earlier.",
    duckdb="CAST(({1}) - ({0}) AS BIGINT)", spark="CAST(datediff({1}, {0}) AS BIGINT)",
)  # fmt: skip
_macro(
    "date_of_month(date)", "DATE", "The first day of a date's month.",
    duckdb="CAST(date_trunc('month', {0}) AS DATE)", spark="trunc({0}, 'MM')",
)  # fmt: skip
_macro(
    "weekday(date)", "BIGINT", "ISO day of the week: Monday 1 to Sunday 7.",
    duckdb="CAST(isodow({0}) AS BIGINT)", spark="CAST(pmod(datediff({0}, DATE'1970-01-05'), 7) + 1 AS BIGINT)",
)  # fmt: skip
_macro(
    "seconds_between(first, last)", "BIGINT",
    "Whole seconds from `first` to `last` (instants), cut off towards zero; negative when `last` is earlier.",
    duckdb="CAST((epoch_us({1}) - epoch_us({0})) // 1000000 AS BIGINT)",
    spark="CAST((unix_micros({1}) - unix_micros({0})) DIV 1000000 AS BIGINT)",
)  # fmt: skip
_macro(
    "add_seconds(ts, seconds)", "TIMESTAMPTZ", "An instant, a whole number of seconds later (earlier when negative).",
    duckdb="make_timestamptz(epoch_us({0}) + CAST({1} AS BIGINT) * 1000000)",
    spark="timestamp_micros(unix_micros({0}) + CAST({1} AS BIGINT) * 1000000)",
)  # fmt: skip

# --- numbers ----------------------------------------------------------------------------------------------------------

_macro(
    "eur(amount, rate)", "DECIMAL(18,2)",
    "An amount (2 decimals) times a rate (8 decimals, below 10,000), rounded half away from zero to cents.",
    duckdb="CAST(CAST({0} AS DECIMAL(25,2)) * CAST({1} AS DECIMAL(12,8)) AS DECIMAL(18,2))",
)  # fmt: skip
_macro(
    "product(a, b, scale)", "DECIMAL(28)",
    "Product of two numbers of at most 12 integer digits and 6 decimals, rounded half away from zero to `scale` (0 to "
    "12) decimals.",
    duckdb=lambda a: f"CAST(CAST({a[0]} AS DECIMAL(19,6)) * CAST({a[1]} AS DECIMAL(18,6)) AS DECIMAL(28,{_scale(a[2], 12)}))",
    spark=lambda a: f"CAST(CAST({a[0]} AS DECIMAL(18,6)) * CAST({a[1]} AS DECIMAL(18,6)) AS DECIMAL(28,{_scale(a[2], 12)}))",
    literals=(2,),
)  # fmt: skip


def _scale(text: str, most: int) -> int:
    scale = int(text)
    if not 0 <= scale <= most:
        raise ValueError(f"scale {scale} is not within 0 and {most}")
    return scale


def _ratio(engine: str) -> Body:
    """Exact integer arithmetic: floor((2·|n|·10^s + |d|) / 2·|d|), the sign put back after. Decimal division differs "
    "by engine."""

    def body(args: Args) -> str:
        scale = _scale(args[2], 9)
        unit = "0." + "0" * (scale - 1) + "1" if scale else "1"
        if engine == "duckdb":
            whole = [f"CAST(CAST({text} AS DECIMAL(24,6)) * 1000000 AS HUGEINT)" for text in args[:2]]
            quotient = f"((2 * {10**scale} * abs({whole[0]}) + abs({whole[1]})) // NULLIF(2 * abs({whole[1]}), 0))"
            sign = f"(CASE WHEN ({whole[0]} < 0) <> ({whole[1]} < 0) THEN -1 ELSE 1 END)"
        else:
            whole = [
                f"CAST(CAST({text} AS DECIMAL(24,6)) * CAST(1000000 AS DECIMAL(7,0)) AS DECIMAL(24,0))" for text in args[:2]
            ]
            doubled = f"CAST(abs({whole[0]}) * CAST({2 * 10**scale} AS DECIMAL(11,0)) AS DECIMAL(37,0))"
            divisor = f"NULLIF(CAST(abs({whole[1]}) * CAST(2 AS DECIMAL(1,0)) AS DECIMAL(38,0)), CAST(0 AS DECIMAL(38,0)))"
            quotient = f"(CAST({doubled} + abs({whole[1]}) AS DECIMAL(38,0)) DIV {divisor})"
            sign = f"(CASE WHEN ({whole[0]} < 0) <> ({whole[1]} < 0) THEN -1 ELSE 1 END)"
        units = f"CAST({sign} * {quotient} AS DECIMAL(18,0))"
        return f"CAST({units} * CAST({unit} AS DECIMAL({scale + 1},{scale})) AS DECIMAL(28,{scale}))"

    return body


_macro(
    "ratio(numerator, denominator, scale)", "DECIMAL(28)",
    "Exact quotient of two numbers (at most 6 decimals, below 10^18), rounded half away from zero to `scale` (0 to 9) "
    "decimals, itself below "
    "10^18 units of its last decimal. NULL when the denominator is 0.",
    duckdb=_ratio("duckdb"), spark=_ratio("spark"), literals=(2,),
)  # fmt: skip

# --- text -------------------------------------------------------------------------------------------------------------

_CURRENCIES = {
    "EUR": ("EUR", "€"),
    "USD": ("USD", "$", "US$"),
    "GBP": ("GBP", "£"),
    "AED": ("AED", "DH", "د.إ"),
    "SAR": ("SAR", "SR", "﷼"),
}


def _currency(engine: str) -> Body:
    def body(args: Args) -> str:
        bare = _UPPER.format(MACROS["clean"].body(engine)([args[0]]))
        cases = " ".join(
            f"WHEN {bare} IN ({', '.join(quote(name, engine) for name in names[1:])}) THEN '{code}'"
            for code, names in _CURRENCIES.items()
        )
        return f"CASE {cases} ELSE {bare} END"

    return body


_macro(
    "currency_code(text)", "VARCHAR",
    "A currency as its ISO 4217 code: blanks taken off, upper case, and the symbols € $ US$ £ DH د.إ SR ﷼ replaced. "
    "Other text stays (upper case).",
    duckdb=_currency("duckdb"), spark=_currency("spark"),
)  # fmt: skip
_macro("upper_ascii(text)", "VARCHAR", "The text with a to z as A to Z; other letters stay.", duckdb=_UPPER)
_macro("lower_ascii(text)", "VARCHAR", "The text with A to Z as a to z; other letters stay.", duckdb=_LOWER)
_macro(
    "matches(text, pattern)", "BOOLEAN",
    "Whether the regular expression is found anywhere in the text (anchor with ^ and $); see `regex.portable` for what "
    "it may contain.",
    duckdb=lambda a: f"regexp_matches({a[0]}, {quote(regex.portable(a[1]), 'duckdb')})",
    spark=lambda a: f"({a[0]}) RLIKE {quote(regex.portable(a[1]), 'spark')}", literals=(1,),
)  # fmt: skip
_macro(
    "hash_bucket(text)", "VARCHAR", "First hexadecimal digit (0 to f) of the text's MD5: one of 16 buckets of even size.",
    duckdb="substr(md5({0}), 1, 1)", masking=True,
)  # fmt: skip
_macro(
    "digest(text)", "VARCHAR", "SHA-256 of the text, 64 hexadecimal digits.",
    duckdb="sha256({0})", spark="sha2({0}, 256)", masking=True,
)  # fmt: skip
