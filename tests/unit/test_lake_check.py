"""The allow-list names what is not portable, with its line."""
# ruff: noqa: E501 - a statement or a table of values is read on one line

from __future__ import annotations

import pytest

from controlplane.lake.errors import PortableSqlError
from controlplane.lake.portable import check

REFUSED = {
    "SELECT * FROM t": "name them",
    "SELECT t.* FROM t": "name them",
    "SELECT a AS a FROM t QUALIFY row_number() OVER (ORDER BY a) = 1": "QUALIFY",
    "SELECT a / b AS x FROM t": "ratio",
    "SELECT a // b AS x FROM t": "ratio",
    "SELECT a * b AS x FROM t": "eur(amount, rate)",
    "SELECT avg(a) AS x FROM t": "ratio",
    "SELECT t AT TIME ZONE 'Europe/Paris' AS x FROM t": "business_date",
    "SELECT d + INTERVAL 1 DAY AS x FROM t": "add_days",
    "SELECT date_diff('day', a, b) AS x FROM t": "portable subset",
    "SELECT date_trunc('month', a) AS x FROM t": "portable subset",
    "SELECT extract(dow FROM a) AS x FROM t": "weekday",
    "SELECT isodow(a) AS x FROM t": "portable subset",
    "SELECT TRY_CAST(a AS BIGINT) AS x FROM t": "to_int",
    "SELECT CAST('12.7' AS BIGINT) AS x FROM t": "text literal",
    "SELECT CAST('2024-01-01 00:00:00' AS TIMESTAMPTZ) AS x FROM t": "text literal",
    "SELECT CAST(a AS TIMESTAMP) AS x FROM t": "TIMESTAMPTZ",
    "SELECT a::FLOAT AS x FROM t": "the types are",
    "SELECT max(a, 3) AS x FROM t": "portable subset",
    "SELECT arg_max(a, b) AS x FROM t": "number the rows",
    "SELECT upper(a) AS x FROM t": "upper_ascii",
    "SELECT trim(a) AS x FROM t": "clean",
    "SELECT concat(a, b) AS x FROM t": "||",
    "SELECT a ILIKE 'b' AS x FROM t": "lower_ascii",
    "SELECT regexp_matches(a, 'b') AS x FROM t": "matches",
    "SELECT now() AS x FROM t": "parameter",
    "SELECT current_date AS x FROM t": "parameter",
    "SELECT random() AS x FROM t": "portable subset",
    "SELECT md5(a) AS x FROM t": "portable subset",
    "SELECT foo(a) AS x FROM t": "not a macro",
    "SELECT list_transform(a, y -> y) AS x FROM t": "portable subset",
    "SELECT a[1] AS x FROM t": "portable subset",
    "SELECT a AS x FROM t ASOF JOIN u ON t.a >= u.a": "JOIN",
    "SELECT t.a AS x FROM t JOIN u USING (a)": "USING",
    "SELECT t.a AS x FROM t NATURAL JOIN u": "NATURAL",
    "SELECT t.a AS x FROM t SEMI JOIN u ON t.a = u.a": "EXISTS",
    "SELECT t.a AS x FROM t ANTI JOIN u ON t.a = u.a": "EXISTS",
    "SELECT a AS x FROM t, LATERAL (SELECT 1 AS y) AS l": "LATERAL",
    "SELECT unnest(a) AS x FROM t": "EXPLODE",
    "SELECT a AS x FROM read_parquet('x')": "table function",
    "SELECT a AS x FROM range(3)": "portable subset",
    "SELECT DISTINCT ON (a) a AS a FROM t": "DISTINCT ON",
    "SELECT a AS a FROM t LIMIT 3": "LIMIT without ORDER BY",
    "SELECT a AS a, count(*) AS c FROM t GROUP BY ALL": "list the columns",
    "SELECT a AS a, count(*) AS c FROM t GROUP BY 1": "position",
    "SELECT a AS a, count(*) AS c FROM t GROUP BY ROLLUP (a)": "ROLLUP",
    "SELECT a AS a FROM t ORDER BY 1": "position",
    "SELECT count(*) FROM t": "AS",
    "SELECT a AS a FROM t UNION ALL BY NAME SELECT a AS a FROM u": "BY NAME",
    "SELECT a AS a FROM t EXCEPT ALL SELECT a AS a FROM u": "ALL",
    "SELECT row_number() OVER (PARTITION BY a) AS x FROM t": "without ORDER BY",
    "SELECT sum(a) OVER (ORDER BY b RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) AS x FROM t": "ROWS only",
    "SELECT substr(a, -2) AS x FROM t": "positive",
    "SELECT round(a, 2) AS x FROM t": "CAST to DECIMAL",
    "SELECT quantile_cont(a, 0.5) AS x FROM t": "portable subset",
    "SELECT string_agg(a, ',') AS x FROM t": "portable subset",
    "SELECT a IN (SELECT b FROM u) AS x FROM t": "EXISTS",
    "SELECT CASE WHEN a THEN 1 ELSE 2.5 END AS x FROM t": "1.0",
    "SELECT a AS x FROM t TABLESAMPLE 10 PERCENT": "portable",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 AS n FROM r) SELECT n AS n FROM r": "RECURSIVE",
    "SELECT to_int(a, b) AS x FROM t": "takes (text)",
    "SELECT to_decimal(a, b, 2) AS x FROM t": "must be a literal",
    "SELECT to_decimal(a, 39, 2) AS x FROM t": "does not exist",
    "SELECT ts_utc(a, 'Europe/Pari') AS x FROM t": "unknown time zone",
    "SELECT matches(a, '(?=x)') AS x FROM t": "not portable",
    "SELECT matches(a, '\\bx') AS x FROM t": "not portable",
    "SELECT ratio(a, b, 12) AS x FROM t": "scale",
    "INSERT INTO t VALUES (1)": "a SELECT is wanted",
    "DROP TABLE t": "a SELECT is wanted",
    "SELECT a AS FROM WHERE": "line 1",
}  # fmt: skip


@pytest.mark.parametrize("sql", REFUSED)
def test_what_is_not_portable_is_refused_with_a_reason(sql: str) -> None:
    with pytest.raises(PortableSqlError) as caught:
        check(sql)
    assert REFUSED[sql] in str(caught.value)
    assert all(fault.startswith("line ") for fault in caught.value.faults)


def test_every_fault_is_told_with_its_line() -> None:
    with pytest.raises(PortableSqlError) as caught:
        check("SELECT\n  a / b AS x,\n  upper(c) AS y\nFROM t\nWHERE now() > d")
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["line 2", "line 3", "line 5"]


def test_two_statements_are_refused() -> None:
    with pytest.raises(PortableSqlError):
        check("SELECT a AS a FROM t; SELECT b AS b FROM t")


SCHEMAS = {
    "t": {
        "txt": "VARCHAR", "n": "BIGINT", "m": "DECIMAL(18,2)", "d": "DATE", "ts": "TIMESTAMPTZ", "f": "BOOLEAN", "x": "DOUBLE",
    }
}  # fmt: skip
LOSSY = [
    "CAST(txt AS BIGINT)", "CAST(txt AS DECIMAL(18,2))", "CAST(txt AS DATE)", "CAST(txt AS TIMESTAMPTZ)", "CAST(txt AS BOOLEAN)",
    "CAST(m AS BIGINT)", "CAST(x AS BIGINT)", "CAST(x AS DECIMAL(18,2))", "CAST(ts AS DATE)", "CAST(d AS TIMESTAMPTZ)", "CAST(ts AS VARCHAR)",
    "CAST(m AS VARCHAR)", "CAST(n AS BOOLEAN)", "CAST(f AS BIGINT)", "CAST(clean(txt) AS BIGINT)", "CAST(ratio(n, n, 2) AS BIGINT)",
    "CAST((SELECT max(ts) FROM t) AS DATE)", "CAST(ts_utc(txt, 'UTC') AS DATE)", "CAST(coalesce(txt, 'x') AS BIGINT)",
]  # fmt: skip


@pytest.mark.parametrize("expression", LOSSY)
def test_a_cast_that_engines_do_differently_is_refused_when_types_are_known(expression: str) -> None:
    with pytest.raises(PortableSqlError, match="line 1: CAST"):
        check(f"SELECT {expression} AS y FROM t", SCHEMAS)


def test_casts_that_keep_the_value_pass() -> None:
    kept = [
        "CAST(txt AS VARCHAR)", "CAST(n AS DECIMAL(18,2))", "CAST(m AS DECIMAL(18,1))", "CAST(sum(m) AS DECIMAL(38,2))", "CAST(sum(n) AS BIGINT)",
        "CAST(n AS DOUBLE)", "CAST(NULL AS DATE)", "CAST(to_int(txt) AS BIGINT)", "CAST(count(*) AS BIGINT)", "CAST(max(d) AS DATE)",
        "CAST(max(ts) AS TIMESTAMPTZ)", "CAST(eur(m, m) AS DECIMAL(18,2))", "CAST('2024-05-31' AS DATE)", "CAST(bool_or(f) AS BOOLEAN)",
        "CAST(sum(CASE WHEN f THEN 1 ELSE 0 END) AS BIGINT)", "CAST(m AS DOUBLE)",
    ]  # fmt: skip
    check("SELECT " + ", ".join(f"{item} AS y{i}" for i, item in enumerate(kept)) + " FROM t GROUP BY txt, n, m", SCHEMAS)


def test_an_output_that_reads_another_output_of_the_same_select_is_refused() -> None:
    with pytest.raises(PortableSqlError, match="y"):
        check("SELECT n + 1 AS y, y + 1 AS z FROM t", SCHEMAS)
