"""The raw tables of the shop in a new DuckDB file. One receipt comes twice, so that a test of the project fails."""

from __future__ import annotations

import sys

import duckdb

RECEIPTS = [(1, "Ann@example.org", 1250), (2, "bob@example.org", 300), (3, "ann@example.org", 990), (3, "ann@example.org", 990)]
MEMBERS = [("ann@example.org", "Ann"), ("bob@example.org", "Bob")]


def main() -> None:
    with duckdb.connect(sys.argv[1]) as connection:
        connection.execute("CREATE SCHEMA raw")
        connection.execute("CREATE TABLE raw.receipts (receipt_id INTEGER, customer_email VARCHAR, amount_cents INTEGER)")
        connection.executemany("INSERT INTO raw.receipts VALUES (?, ?, ?)", RECEIPTS)
        connection.execute("CREATE TABLE raw.members (email VARCHAR, name VARCHAR)")
        connection.executemany("INSERT INTO raw.members VALUES (?, ?)", MEMBERS)


if __name__ == "__main__":
    main()
