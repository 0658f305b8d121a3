"""Every construct of the allow-list gives the same rows on DuckDB and on Spark (Sail)."""
# ruff: noqa: E501 - a statement or a table of values is read on one line

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tests.lake_support import Pair, pair

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair(tmp_path_factory.mktemp("pair")) as found:
        found.register(
            "t",
            pa.table(
                {
                    "i": pa.array(range(10), pa.int64()),
                    "g": pa.array(["a", "b", "a", None, "b", "a", None, "ß", "é", "B"], pa.string()),
                    "n": pa.array([3, None, -7, 0, 5, 3, None, 10, -1, 2], pa.int64()),
                    "m": pa.array([Decimal(v) if v else None for v in
                                   ("1.50", "-2.25", None, "0.00", "9999999999999.99", "-0.01", "0.05", "2.50", "-2.50", "1.00")],
                                  pa.decimal128(18, 2)),
                    "d": pa.array([date(2024, 2, 28 + (k % 2)) if k % 4 else None for k in range(10)], pa.date32()),
                    "t": pa.array([datetime(2024, 3, 31, k, 30, tzinfo=UTC) if k % 3 else None for k in range(10)],
                                  pa.timestamp("us", tz="UTC")),
                    "f": pa.array([True, False, None, True, True, None, False, False, True, None], pa.bool_()),
                }
            ),
        )  # fmt: skip
        found.register(
            "u", pa.table({"g": pa.array(["a", "b", None, "z", "a"]), "v": pa.array([1, 2, 3, 4, None], pa.int64())})
        )
        found.register("nothing", pa.table({"i": pa.array([], pa.int64()), "m": pa.array([], pa.decimal128(18, 2))}))
        yield found


EXPRESSIONS = [
    # comparisons and three-valued logic
    "n = 3", "n <> 3", "n < 0", "n <= 0", "n > 0", "n >= 0", "f AND n > 0", "f OR n > 0", "NOT f", "n IS NULL", "n IS NOT NULL",
    "f IS TRUE", "n IS DISTINCT FROM 3", "n IS NOT DISTINCT FROM NULL", "n IN (3, 5)", "n NOT IN (3, 5)", "n NOT IN (3, NULL)",
    "n BETWEEN 0 AND 5", "n NOT BETWEEN 0 AND 5", "g IN ('a', 'é')", "g < 'b'", "g > 'Z'", "g BETWEEN 'A' AND 'Z'", "d = DATE '2024-02-29'",
    "d < DATE '2024-02-29'", "t >= CAST('2024-03-31 02:00:00Z' AS TIMESTAMPTZ)", "t < $at", "m = 1.5", "m > -0.005", "m = n", "n < 2.5",
    # whole numbers and decimals
    "n + 1", "n - 10", "-n", "n * 3", "-2 * n", "n % 3", "n % -3", "(n + 1) % 7", "abs(n)", "abs(m)", "m + m", "m - 0.001", "m * 2", "-m",
    "m + n", "coalesce(m, 0)", "coalesce(n, -1)", "nullif(n, 3)", "greatest(n, 2)", "least(n, 2)", "greatest(m, 0.5)",
    # conditions
    "CASE WHEN n > 0 THEN 'pos' WHEN n < 0 THEN 'neg' END", "CASE g WHEN 'a' THEN 1 WHEN 'b' THEN 2 ELSE 0 END",
    "CASE WHEN f THEN m ELSE 0 END", "CASE WHEN f THEN 1.0 ELSE 2.5 END", "coalesce(m, n)", "greatest(n, 1.5)",
    # text
    "g || '-' || g", "g || CAST(NULL AS VARCHAR)", "length(g || '€😀')", "substr(g || 'xyz€', 2, 3)", "substr(g || 'abc', 2)", "replace(g, 'a', 'éé')",
    "g LIKE 'a%'", "g LIKE '_'", "g NOT LIKE '%b%'", "g LIKE 'A'", "starts_with(g, 'a')", "'it''s \\ \"x\" \t end'",
    # casts
    "CAST(m AS DECIMAL(18,1))", "CAST(m AS DECIMAL(38,10))", "CAST(n AS DECIMAL(18,2))", "CAST(n AS BIGINT)", "CAST(NULL AS DATE)",
    "CAST(NULL AS TIMESTAMPTZ)", "CAST(NULL AS VARCHAR)", "CAST(d AS DATE)", "CAST(t AS TIMESTAMPTZ)", "CAST(1 AS BIGINT)",
    "CAST(0.125 AS DECIMAL(18,2))", "CAST(-0.125 AS DECIMAL(18,2))", "CAST(n AS DOUBLE)", "CAST(n AS INTEGER)", "CAST(f AS BOOLEAN)",
    "CAST(g AS VARCHAR)", "CAST('x' AS VARCHAR)",
    # subqueries as values
    "(SELECT max(v) FROM u)", "(SELECT max(u.v) FROM u WHERE u.g = t.g)", "EXISTS (SELECT 1 FROM u WHERE u.g = t.g)",
    "NOT EXISTS (SELECT 1 FROM u WHERE u.g = t.g AND u.v > t.n)",
    "CASE WHEN EXISTS (SELECT 1 FROM u WHERE u.g = t.g) THEN m ELSE 0 END", "coalesce((SELECT sum(u.v) FROM u WHERE u.g = t.g), 0)",
    "EXISTS (SELECT 1 FROM u WHERE u.g = t.g) OR n > 2",
    # windows
    "row_number() OVER (ORDER BY n, i)", "row_number() OVER (ORDER BY n DESC, i DESC)", "row_number() OVER (PARTITION BY g ORDER BY m DESC, i)",
    "row_number() OVER (ORDER BY g NULLS FIRST, i)", "row_number() OVER (ORDER BY t DESC NULLS LAST, i)", "row_number() OVER (ORDER BY d, f, i)",
    "rank() OVER (ORDER BY g)", "dense_rank() OVER (ORDER BY g DESC)", "lag(n) OVER (PARTITION BY g ORDER BY i)",
    "lag(n, 2) OVER (ORDER BY i)", "lag(n, 1, -9) OVER (ORDER BY i)", "lead(t) OVER (PARTITION BY g ORDER BY i)",
    "first_value(n) OVER (PARTITION BY g ORDER BY i)",
    "last_value(n) OVER (PARTITION BY g ORDER BY i ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)",
    "sum(n) OVER (PARTITION BY g)", "sum(m) OVER (PARTITION BY g ORDER BY i ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)",
    "sum(n) OVER (ORDER BY i ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING)", "count(*) OVER (PARTITION BY g)", "min(n) OVER (PARTITION BY g)",
    "max(n) OVER (ORDER BY i ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)",
]  # fmt: skip


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expression_gives_the_same_values(engines: Pair, expression: str) -> None:
    params: dict[str, Any] = {"at": datetime(2024, 3, 31, 4, 30, tzinfo=UTC)} if "$at" in expression else {}
    engines.column(expression, "t", **params)


QUERIES = {
    "group with nulls": "SELECT g AS g, count(*) AS c, count(n) AS cn, count(DISTINCT n) AS cd, sum(n) AS s, sum(m) AS sm, min(m) AS lo, "
    "max(t) AS hi, min(g) AS mg, max(d) AS md FROM t GROUP BY g ORDER BY g",
    "aggregates of nothing": "SELECT count(*) AS c, count(i) AS ci, sum(i) AS s, sum(m) AS sm, min(i) AS lo, max(m) AS hi FROM nothing",
    "groups of nothing": "SELECT i AS i, count(*) AS c FROM nothing GROUP BY i ORDER BY i",
    "filtered aggregates": "SELECT count(*) FILTER (WHERE n > 0) AS c, sum(m) FILTER (WHERE f) AS s, max(i) FILTER (WHERE 1 = 0) AS x FROM t",
    "bool aggregates": "SELECT g AS g, bool_or(f) AS o, bool_and(f) AS a FROM t GROUP BY g ORDER BY g",
    "having": "SELECT g AS g, sum(n) AS s FROM t GROUP BY g HAVING count(*) > 1 AND sum(n) IS NOT NULL ORDER BY g",
    "group by expression": "SELECT n % 2 AS odd, count(*) AS c FROM t GROUP BY n % 2 ORDER BY odd",
    "group by macro": "SELECT business_date(t, 'Europe/Paris') AS d, count(*) AS c FROM t GROUP BY business_date(t, 'Europe/Paris') ORDER BY d",
    "inner join": "SELECT t.i AS i, u.v AS v FROM t JOIN u ON u.g = t.g ORDER BY i, v",
    "left join": "SELECT t.i AS i, u.v AS v FROM t LEFT JOIN u ON u.g = t.g AND u.v > 1 ORDER BY i, v",
    "right join": "SELECT t.i AS i, u.v AS v FROM t RIGHT JOIN u ON u.g = t.g ORDER BY i, v",
    "full join": "SELECT t.i AS i, u.v AS v FROM t FULL JOIN u ON u.g = t.g ORDER BY i, v",
    "join on null-safe equality": "SELECT t.i AS i, u.v AS v FROM t JOIN u ON u.g IS NOT DISTINCT FROM t.g ORDER BY i, v",
    "join on an interval": "SELECT t.i AS i, u.v AS v FROM t JOIN u ON t.n >= u.v AND t.n < u.v + 3 ORDER BY i, v",
    "cross join": "SELECT t.i AS i, u.v AS v FROM t CROSS JOIN u WHERE t.i < 2 ORDER BY i, v",
    "join with a subquery": "SELECT t.i AS i, s.s AS s FROM t JOIN (SELECT g AS g, sum(v) AS s FROM u GROUP BY g) AS s ON s.g = t.g ORDER BY i",
    "semi join by exists": "SELECT t.i AS i FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.g = t.g AND u.v < 2) ORDER BY i",
    "anti join by not exists": "SELECT t.i AS i FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.g = t.g) ORDER BY i",
    "not in with null": "SELECT t.i AS i FROM t WHERE t.n NOT IN (SELECT v FROM u) ORDER BY i",
    "in a subquery": "SELECT t.i AS i FROM t WHERE t.n IN (SELECT v FROM u WHERE v IS NOT NULL) ORDER BY i",
    "in a subquery or else": "SELECT t.i AS i FROM t WHERE t.f OR t.n IN (SELECT v FROM u WHERE v IS NOT NULL) ORDER BY i",
    "exists or else": "SELECT t.i AS i FROM t WHERE t.f OR EXISTS (SELECT 1 FROM u WHERE u.g = t.g) ORDER BY i",
    "exists with inequality": "SELECT t.i AS i FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.g = t.g AND u.v < t.n) ORDER BY i",
    "nested exists": "SELECT t.i AS i FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.g = t.g AND NOT EXISTS "
    "(SELECT 1 FROM u AS w WHERE w.g = u.g AND w.v > u.v)) ORDER BY i",
    "scalar subquery in where": "SELECT t.i AS i FROM t WHERE t.n > (SELECT min(v) FROM u) ORDER BY i",
    "filter before cross join": "WITH a AS (SELECT max(v) AS top FROM u) SELECT t.i AS i, a.top AS top FROM t CROSS JOIN a ORDER BY i",
    "ctes": "WITH a AS (SELECT g AS g, n AS n FROM t WHERE n IS NOT NULL), b AS (SELECT g AS g, sum(n) AS s FROM a GROUP BY g) "
    "SELECT a.g AS g, a.n AS n, b.s AS s FROM a JOIN b ON b.g = a.g ORDER BY g, n",
    "newest by row number": "WITH r AS (SELECT g AS g, n AS n, i AS i, row_number() OVER (PARTITION BY g ORDER BY n DESC, i DESC) AS rn FROM t) "
    "SELECT g AS g, n AS n, i AS i FROM r WHERE rn = 1 ORDER BY i",
    "union all": "SELECT g AS g, i AS x FROM t UNION ALL SELECT g AS g, v AS x FROM u ORDER BY g, x",
    "union": "SELECT g AS g FROM t UNION SELECT g AS g FROM u ORDER BY g",
    "except": "SELECT g AS g FROM t EXCEPT SELECT g AS g FROM u ORDER BY g",
    "intersect": "SELECT g AS g FROM t INTERSECT SELECT g AS g FROM u ORDER BY g",
    "distinct": "SELECT DISTINCT g AS g, f AS f FROM t ORDER BY g, f",
    "values": "SELECT t.i AS i, w.w AS w FROM t JOIN (VALUES ('a', 1.0), ('b', 0.8)) AS w (g, w) ON w.g = t.g ORDER BY i",
    "order by asc puts nulls last": "SELECT i AS i, n AS n FROM t ORDER BY n, i",
    "order by desc puts nulls last": "SELECT i AS i, n AS n FROM t ORDER BY n DESC, i",
    "order by nulls first": "SELECT i AS i, n AS n FROM t ORDER BY n NULLS FIRST, i",
    "order by text is by code point": "SELECT i AS i, g AS g FROM t ORDER BY g DESC, i",
    "limit": "SELECT i AS i FROM t ORDER BY i DESC LIMIT 3",
    "window over aggregate": "SELECT g AS g, sum(sum(n)) OVER (ORDER BY g) AS running FROM t GROUP BY g ORDER BY g",
    "case insensitive names": "SELECT T.I AS i FROM t WHERE G = 'a' ORDER BY i",
    "quoted names": 'SELECT t."i" AS "order" FROM t ORDER BY "order"',
    "money of lines": "SELECT g AS g, sum(eur(m, 1.08)) AS s, ratio(sum(n), count(n), 6) AS r FROM t WHERE m < 1000 GROUP BY g ORDER BY g",
}


@pytest.mark.parametrize("name", QUERIES)
def test_query_gives_the_same_rows(engines: Pair, name: str) -> None:
    engines.both(QUERIES[name])


def test_parameters_become_typed_literals(engines: Pair) -> None:
    found = engines.both(
        "SELECT $a AS a, $b AS b, $c AS c, $d AS d, $e AS e, $f AS f, $g AS g FROM u WHERE v = 1",
        a=datetime(2024, 3, 31, 1, 30, 0, 5, tzinfo=UTC), b=date(2024, 2, 29), c="it's \\ \"x\" é\n", d=-5, e=Decimal("-1.50"), f=True, g=None,
    )  # fmt: skip
    assert list(found.to_pylist()[0].values()) == [
        datetime(2024, 3, 31, 1, 30, 0, 5, tzinfo=UTC), date(2024, 2, 29), "it's \\ \"x\" é\n", -5, Decimal("-1.50"), True, None,
    ]  # fmt: skip
