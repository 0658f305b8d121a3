"""How fast figures are read: the KPI and trust endpoints under readers, a slice of a mart, and the tiles in a browser.

The installation runs with default settings on the demo world. Readers and browser are processes of their own. Reference of the
endpoints is a bare Django view under the same server with the same load; of the slice, the bare SQL.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import world as bench
from benchmarks.child import elsewhere
from benchmarks.figures import Figure, median, percentile
from benchmarks.installation import Installation
from benchmarks.progress import say
from benchmarks.settings import fraction, whole
from controlplane.embedded.home import ROOT
from controlplane.embedded.processes import free_port

SLICE = "channel_source=web&group_by=order_date"
SLICE_SQL = (
    "SELECT order_date, sum(orders), sum(lines), sum(gross_amount), sum(discount_amount), sum(tax_amount), sum(refund_amount),"
    " sum(net_revenue) FROM gold.mart_daily_revenue WHERE order_date BETWEEN %s AND %s AND channel_source = 'web'"
    " GROUP BY order_date ORDER BY order_date LIMIT 100"
)


def run() -> list[Figure]:
    with Installation() as installation, tempfile.TemporaryDirectory(prefix="touchstone-bench-drops-") as folder:
        installation.connect()
        return _measure(installation, Path(folder))


def _measure(installation: Installation, folder: Path) -> list[Figure]:
    from controlplane.accounts.services import demo_users_ensure
    from pipeline.demo.world import World

    sign_ins = dict(demo_users_ensure())
    bench.contracts_ready()
    world = World(7, whole("DAYS", 30), whole("ORDERS_PER_DAY", 200), "steady", bench.now(), True, order_slot_hours=12)
    world.write(folder, truth=False)
    files = bench.in_order(folder.glob("*/*"))
    say(f"loading {len(files)} drops")
    bench.land(files, installation.home / "landing")
    bench.wait_until_idle(drops=len(files))
    key = installation.key()
    urls = [f"{installation.url}/api/v1/kpis", f"{installation.url}/api/trust/metrics"]
    sizes = [_size(url, key) for url in urls]
    with _bare_web(max(sizes)) as bare:
        figures = _endpoints(urls, key, bare, sizes)
    figures += _slice(installation, key, world)
    say("the home page in Chromium")
    times = elsewhere(
        "paint:measure", url=f"http://localhost:{installation.port}", username="olivia", password=sign_ins["olivia"],
        times=whole("PAINTS", 40),
    )  # fmt: skip
    figures.append(
        Figure("home page paints its tiles, p95", 1000 * percentile(times, 0.95), "ms", 200,
               note=f"from navigation to the painted frame, Chromium, signed in, {len(times)} visits; median "
                    f"{1000 * median(times):.0f} ms")
    )  # fmt: skip
    return figures


def _size(url: str, key: str) -> int:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return len(answer.read())


@contextmanager
def _bare_web(size: int) -> Iterator[str]:
    """The reference under the server and with the options that the installation uses."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--no-ws"),
        *("--workers", "1", "--blocking-threads", "8", "benchmarks.bare_web:application"),
    ]
    environment = os.environ | {"BARE_BODY_BYTES": str(size)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                _size(url, "")
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def _endpoints(urls: list[str], key: str, bare: str, sizes: list[int]) -> list[Figure]:
    readers, seconds = whole("READERS", 50), fraction("SECONDS", 30)
    common: dict[str, Any] = {"readers": readers, "seconds": seconds, "paced": True}
    say(f"{readers} readers at one request a second for {seconds:g} s: ours, bare, with ETag")
    ours = elsewhere("readers:load", urls=urls, key=key, **common)
    plain = elsewhere("readers:load", urls=[bare], key="", **common)
    again = elsewhere("readers:load", urls=urls, key=key, conditional=True, **common)
    say("saturation: ours, bare, with ETag")
    closed: dict[str, Any] = common | {"paced": False, "seconds": max(5.0, seconds / 3)}
    full = [elsewhere("readers:load", urls=[url], key=key, **closed) for url in urls]
    most = elsewhere("readers:load", urls=[bare], key="", **closed)
    quick = elsewhere("readers:load", urls=urls, key=key, conditional=True, **closed)
    reference = 1000 * percentile(plain["latencies"][bare], 0.95)
    figures = []
    for url, size in zip(urls, sizes, strict=True):
        name = url.partition("/api")[2]
        found = ours["latencies"][url]
        figures.append(
            Figure(f"/api{name}, {readers} readers at 1/s, p95", 1000 * percentile(found, 0.95), "ms", 50, reference=reference,
                   note=f"{len(found)} answers of {size:,} bytes, median {1000 * median(found):.1f} ms; reference: bare Django")
        )  # fmt: skip
    both = [value for values in again["latencies"].values() for value in values]
    share = again["statuses"].get("304", 0) / max(1, sum(again["statuses"].values()))
    faults = {
        status: number for one in (ours, again) for status, number in one["statuses"].items() if status not in ("200", "304")
    }
    figures += [
        Figure("both with ETag, p95", 1000 * percentile(both, 0.95), "ms", 50, note=f"{share:.0%} of the answers were 304"),
        Figure(
            "answers other than 200 and 304", sum(faults.values()), "answers", 0, exact=True, note=str(faults) if faults else ""
        ),
    ]
    rates = [sum(one["statuses"].values()) / one["seconds"] for one in (*full, quick, most)]
    for title, rate in zip((*(f"/api{url.partition('/api')[2]}" for url in urls), "both with ETag"), rates, strict=False):
        figures.append(Figure(f"{title}, saturation with {readers} readers", rate, "1/s", reference=rates[-1]))
    return figures


def _slice(installation: Installation, key: str, world: Any) -> list[Figure]:
    """A mart by date and channel, over HTTP and as bare SQL."""
    import psycopg

    first, last = world.first_day.isoformat(), world.last_day.isoformat()
    url = f"{installation.url}/api/v1/marts/mart_daily_revenue?date_from={first}&date_to={last}&{SLICE}"
    ours, bare = [], []
    with psycopg.connect(installation.services()["database_url"]) as connection:
        for _ in range(whole("SLICES", 60)):
            started = time.perf_counter()
            _size(url, key)
            ours.append(time.perf_counter() - started)
            started = time.perf_counter()
            rows = connection.execute(SLICE_SQL, [first, last]).fetchall()
            bare.append(time.perf_counter() - started)
    return [
        Figure("slice of mart_daily_revenue by date and channel, p95", percentile(ours, 0.95), "s", 1,
               reference=percentile(bare, 0.95), note=f"{len(rows)} days of one channel over HTTP; reference: the same in SQL")
    ]  # fmt: skip
