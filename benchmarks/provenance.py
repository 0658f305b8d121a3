"""The whole trail of a KPI's figure over HTTP, with 400 days of history behind it: as JSON and as the page.

The history is written as rows (``trail_rows``): every run of every day refreshed every dataset. Each question
asks for a random figure of a random KPI, old or new. The reference is the bare SQL: the very statements that the same
questions sent to PostgreSQL, sent again by psycopg alone, with their rows fetched.
"""

from __future__ import annotations

import random
import re
import time
from typing import Any

import httpx

from benchmarks import world as bench
from benchmarks.figures import Figure, median, percentile
from benchmarks.installation import Installation
from benchmarks.progress import say
from benchmarks.settings import whole
from benchmarks.trail_rows import History, Size, write

WARM = 12
TARGET_MS = 500


def run() -> list[Figure]:
    with Installation() as installation:
        installation.connect()
        return _measure(installation)


def _measure(installation: Installation) -> list[Figure]:
    from controlplane.accounts.services import demo_users_ensure

    sign_ins = dict(demo_users_ensure())
    bench.contracts_ready()
    size = Size(whole("LONG_DAYS", 400), whole("RUNS_PER_DAY", 12), whole("FILES_PER_DAY", 6))
    say(f"writing {size.days} days of {size.runs_per_day} runs")
    counts = write(History(size, end=bench.now()))
    say(", ".join(f"{rows:,} {table}" for table, rows in counts.items()))
    asked = _questions(whole("QUESTIONS", 150) + WARM)
    statements = [_statements(*one) for one in asked]
    bare = _bare(statements)[WARM:]
    key = installation.key()
    with httpx.Client(base_url=installation.url, timeout=60, headers={"Authorization": f"Bearer {key}"}) as client:
        trails = _ask(client, [f"/api/v1/evidence/kpis/{kpi}/{day}?value={pk}" for kpi, day, pk in asked])
    with httpx.Client(base_url=installation.url, timeout=60) as client:
        _sign_in(client, "auditor", sign_ins["auditor"])
        pages = _ask(client, [f"/evidence/kpi/{kpi}/{day}/?value={pk}" for kpi, day, pk in asked])
    steps, asked_of = counts["pipeline_step"], f"{len(asked) - WARM} random figures of {counts['pipeline_kpivalue']:,}"
    sql = f"reference: the bare SQL, median {1000 * median(bare):.0f} ms"
    reference = 1000 * percentile(bare, 0.95)
    figures = []
    for title, times in (("trail as JSON", trails), ("trail as a page", pages)):
        figures.append(
            Figure(
                f"{title}, {size.days} days ({steps:,} steps), p95",
                1000 * percentile(times, 0.95),
                "ms",
                TARGET_MS,
                reference=reference,
                runs=times,
                note=f"{asked_of}; median {1000 * median(times):.0f} ms; {sql}",
            )
        )
    return figures


def _questions(count: int) -> list[tuple[str, str, int]]:
    """(KPI, day, figure): the same for the same history."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT kpi, business_date::text, id FROM pipeline_kpivalue ORDER BY id")
        known = cursor.fetchall()
    return random.Random(7).sample(known, count)


def _statements(kpi: str, day: str, pk: int) -> list[tuple[str, Any]]:
    """The SQL that the trail of a figure sends."""
    from datetime import date

    from django.db import connection

    from controlplane.evidence.selectors import provenance

    sent: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        sent.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        found = provenance(kpi, date.fromisoformat(day), value_pk=pk)
    if found is None or not found["exact"]:
        raise RuntimeError(f"{kpi} of {day} has no exact trail")
    return sent


def _bare(asked: list[list[tuple[str, Any]]]) -> list[float]:
    """Seconds that psycopg alone takes for the same statements, question by question."""
    import psycopg
    from django.conf import settings

    times = []
    with psycopg.connect(settings.DATABASE_URL, autocommit=True) as connection, connection.cursor() as cursor:
        for statements in asked:
            started = time.perf_counter()
            for sql, params in statements:
                cursor.execute(sql, params)
                if cursor.description:
                    cursor.fetchall()
            times.append(time.perf_counter() - started)
    return times


def _ask(client: httpx.Client, addresses: list[str]) -> list[float]:
    times = []
    for number, address in enumerate(addresses):
        started = time.perf_counter()
        answer = client.get(address)
        if answer.status_code != 200:
            raise RuntimeError(f"{address} answered {answer.status_code}")
        if number >= WARM:
            times.append(time.perf_counter() - started)
    return times


def _sign_in(client: httpx.Client, username: str, password: str) -> None:
    form = client.get("/login/")
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form.text)
    token = found.group(1) if found else ""
    client.post(
        "/login/",
        data={"username": username, "password": password, "csrfmiddlewaretoken": token, "next": "/"},
        headers={"Referer": f"{client.base_url}login/"},
    )
