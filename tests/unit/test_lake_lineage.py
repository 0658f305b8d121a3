"""Column lineage: direct and indirect inputs, and what an output without source must say."""
# ruff: noqa: E501 - a statement or a table of values is read on one line

from __future__ import annotations

import time

import pyarrow as pa
import pytest

from controlplane.lake.errors import PortableSqlError
from controlplane.lake.portable import ColumnLineage, column_lineage

SCHEMAS = {
    "orders": {
        "order_id": "VARCHAR", "customer_id": "VARCHAR", "ordered_at": "TIMESTAMPTZ", "amount": "DECIMAL(18,2)", "currency": "VARCHAR",
        "status": "VARCHAR", "updated_at": "TIMESTAMPTZ",
    },
    "fx": {"currency": "VARCHAR", "rate": "DECIMAL(12,8)", "day": "DATE"},
    "returns": {"order_id": "VARCHAR", "refund": "DECIMAL(18,2)"},
}  # fmt: skip


def direct(found: ColumnLineage) -> set[str]:
    return {f"{item.dataset}.{item.field}:{item.subtype}" + (" masked" if item.masking else "") for item in found.direct}


def indirect(found: ColumnLineage) -> set[str]:
    return {f"{item.dataset}.{item.field}:{item.subtype}" for item in found.indirect}


def lineage(sql: str) -> dict[str, ColumnLineage]:
    return column_lineage(sql, SCHEMAS)


def test_a_copied_column_is_identity_also_through_ctes_and_casts() -> None:
    found = lineage(
        "WITH a AS (SELECT order_id AS id FROM orders) SELECT CAST(id AS VARCHAR) AS x FROM (SELECT id AS id FROM a) AS b"
    )
    assert direct(found["x"]) == {"orders.order_id:IDENTITY"}
    assert indirect(found["x"]) == set()


def test_a_computed_column_is_a_transformation_and_a_sum_an_aggregation() -> None:
    found = lineage("SELECT amount + 1 AS x, sum(amount) AS y FROM orders GROUP BY amount")
    assert direct(found["x"]) == {"orders.amount:TRANSFORMATION"}
    assert direct(found["y"]) == {"orders.amount:AGGREGATION"}
    assert indirect(found["x"]) == {"orders.amount:GROUP_BY"}


def test_joins_filters_and_groups_are_indirect_inputs_of_every_output() -> None:
    found = lineage(
        "SELECT o.currency AS c, sum(eur(o.amount, f.rate)) AS s FROM orders AS o JOIN fx AS f ON f.currency = o.currency "
        "WHERE o.status <> 'cancelled' GROUP BY o.currency HAVING max(o.updated_at) IS NOT NULL"
    )
    rows = {
        "orders.currency:JOIN", "fx.currency:JOIN", "orders.status:FILTER", "orders.currency:GROUP_BY", "orders.updated_at:FILTER",
    }  # fmt: skip
    assert indirect(found["c"]) == rows
    assert indirect(found["s"]) == rows
    assert direct(found["s"]) == {"orders.amount:AGGREGATION", "fx.rate:AGGREGATION"}


def test_exists_and_its_inside_are_inputs() -> None:
    found = lineage(
        "SELECT o.order_id AS x FROM orders AS o WHERE EXISTS (SELECT 1 FROM returns AS r WHERE r.order_id = o.order_id)"
    )
    assert indirect(found["x"]) == {"returns.order_id:FILTER", "orders.order_id:FILTER"}
    found = lineage(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM returns AS r WHERE r.order_id = o.order_id AND r.refund > 0) THEN o.amount ELSE 0 END AS x "
        "FROM orders AS o"
    )
    assert direct(found["x"]) == {"orders.amount:TRANSFORMATION"}
    assert indirect(found["x"]) == {"returns.order_id:CONDITIONAL", "returns.refund:CONDITIONAL", "orders.order_id:CONDITIONAL"}


def test_a_scalar_subquery_gives_its_value_and_its_filters() -> None:
    found = lineage("SELECT (SELECT max(r.refund) FROM returns AS r WHERE r.order_id = o.order_id) AS x FROM orders AS o")
    assert direct(found["x"]) == {"returns.refund:AGGREGATION"}
    assert indirect(found["x"]) == {"returns.order_id:FILTER", "orders.order_id:FILTER"}


def test_window_inputs_follow_a_row_number_into_the_filter() -> None:
    found = lineage(
        "WITH r AS (SELECT order_id, amount, row_number() OVER (PARTITION BY order_id ORDER BY updated_at DESC) AS rn FROM orders) "
        "SELECT amount AS x FROM r WHERE rn = 1"
    )
    assert direct(found["x"]) == {"orders.amount:IDENTITY"}
    assert indirect(found["x"]) == {"orders.order_id:FILTER", "orders.updated_at:FILTER"}
    found = lineage("SELECT lag(amount) OVER (PARTITION BY customer_id ORDER BY ordered_at) AS x FROM orders")
    assert direct(found["x"]) == {"orders.amount:TRANSFORMATION"}
    assert indirect(found["x"]) == {"orders.customer_id:WINDOW", "orders.ordered_at:WINDOW"}


def test_a_count_of_rows_comes_from_what_selects_them() -> None:
    found = lineage("SELECT status AS s, count(*) AS c, count(*) FILTER (WHERE amount > 5) AS d FROM orders GROUP BY status")
    assert indirect(found["c"]) == {"orders.status:GROUP_BY"}
    assert indirect(found["d"]) == {"orders.status:GROUP_BY", "orders.amount:CONDITIONAL"}
    assert not found["c"].constant


def test_unions_join_by_position() -> None:
    found = lineage("SELECT order_id AS x FROM orders UNION ALL SELECT r.order_id AS y FROM returns AS r WHERE r.refund > 0")
    assert direct(found["x"]) == {"orders.order_id:IDENTITY", "returns.order_id:IDENTITY"}
    assert indirect(found["x"]) == {"returns.refund:FILTER"}


def test_order_counts_as_input_only_where_it_chooses_rows() -> None:
    assert indirect(lineage("SELECT order_id AS x FROM orders ORDER BY amount")["x"]) == set()
    assert indirect(lineage("SELECT order_id AS x FROM orders ORDER BY amount LIMIT 3")["x"]) == {"orders.amount:SORT"}


def test_a_digest_masks_and_so_does_everything_made_of_it() -> None:
    found = lineage(
        "WITH a AS (SELECT digest(customer_id) AS t FROM orders) SELECT t || 'x' AS t, count(*) AS c FROM a GROUP BY t || 'x'"
    )
    assert direct(found["t"]) == {"orders.customer_id:TRANSFORMATION masked"}
    assert all(item.masking for item in found["c"].indirect)


def test_macro_arguments_are_inputs() -> None:
    found = lineage("SELECT business_date(ordered_at, 'Europe/Paris') AS d FROM orders")
    assert direct(found["d"]) == {"orders.ordered_at:TRANSFORMATION"}


def test_a_self_join_keeps_one_dataset() -> None:
    found = lineage("SELECT a.amount - b.amount AS x FROM orders AS a JOIN orders AS b ON b.order_id = a.customer_id")
    assert direct(found["x"]) == {"orders.amount:TRANSFORMATION"}
    assert indirect(found["x"]) == {"orders.order_id:JOIN", "orders.customer_id:JOIN"}


def test_an_output_without_source_must_be_marked() -> None:
    with pytest.raises(PortableSqlError, match="output x has no source"):
        lineage("SELECT 1 AS x, order_id AS y FROM orders")
    with pytest.raises(PortableSqlError, match="output c has no source"):
        lineage("SELECT count(*) AS c FROM orders")
    found = lineage("SELECT 1 AS x, -- constant: x\n order_id AS y FROM orders WHERE amount > 0")
    assert found["x"].constant
    assert not found["y"].constant
    assert indirect(found["x"]) == {"orders.amount:FILTER"}
    with pytest.raises(PortableSqlError, match="there is no such output"):
        lineage("SELECT order_id AS y -- constant: z\n FROM orders")


def test_unknown_tables_and_columns_are_refused() -> None:
    with pytest.raises(PortableSqlError, match="no schema for others"):
        lineage("SELECT a AS a FROM others")
    with pytest.raises(PortableSqlError, match="nope"):
        lineage("SELECT nope AS a FROM orders")


def test_arrow_schemas_are_taken_too() -> None:
    found = column_lineage("SELECT a AS x FROM t", {"t": pa.schema([("a", pa.decimal128(18, 2))])})
    assert direct(found["x"]) == {"t.a:IDENTITY"}


def test_sixty_columns_over_three_ctes_take_a_moment_and_then_none() -> None:
    wide = {"t": {f"c{n}": "BIGINT" for n in range(60)}}
    names = ", ".join(f"c{n} AS c{n}" for n in range(60))
    sql = f"WITH a AS (SELECT {names} FROM t), b AS (SELECT {names} FROM a), c AS (SELECT {names} FROM b) SELECT {names} FROM c WHERE c0 > 0"
    started = time.perf_counter()
    found = column_lineage(sql, wide)
    first_s = time.perf_counter() - started
    assert len(found) == 60
    assert first_s < 2
    started = time.perf_counter()
    column_lineage(sql, wide)
    assert time.perf_counter() - started < first_s / 5
