# mypy: disable-error-code="import-not-found,import-untyped,untyped-decorator"
"""The DAG of the tests: a declared file, two statements of SQL in PostgreSQL, a check of columns, and a task that fails.

Runs in Airflow's own environment. ``AIRFLOW_CONN_SHOP`` is the connection ``shop``; ``SHOP_TABLES`` is where its tables are,
``postgres://host:port/database/schema``.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

from airflow.providers.common.sql.operators.sql import SQLColumnCheckOperator, SQLExecuteQueryOperator
from airflow.sdk import DAG, Asset, task

TILL = Asset("file://till/receipts.csv")
RECEIPTS = Asset(f"{os.environ['SHOP_TABLES']}/receipts")

with DAG(
    "corner_shop",
    description="Takings of the corner shop",
    start_date=datetime(2025, 11, 1, tzinfo=UTC),
    schedule="@once",  # the scheduler starts it by itself, as soon as the file is parsed
    default_args={"owner": "team-sales"},
    tags=["shop"],
):

    @task(inlets=[TILL], outlets=[RECEIPTS])
    def convert() -> int:
        return 3

    load = SQLExecuteQueryOperator(
        task_id="load",
        conn_id="shop",
        sql=[
            "CREATE TABLE IF NOT EXISTS takings (member VARCHAR, revenue NUMERIC)",
            "INSERT INTO takings SELECT m.name AS member, sum(r.amount) AS revenue"
            " FROM receipts r JOIN members m ON m.email = r.email GROUP BY m.name",
        ],
        split_statements=True,
    )
    check = SQLColumnCheckOperator(
        task_id="check", conn_id="shop", table="takings", column_mapping={"member": {"null_check": {"equal_to": 0}}}
    )

    @task(retries=0)
    def mail() -> None:
        raise RuntimeError("mailbox is full")

    convert() >> load >> check >> mail()
