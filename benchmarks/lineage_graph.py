"""How fast the graph answers at 10,000, 100,000 and 1,000,000 datasets: lineage and column lineage of depth 5, both ways.

Every size is asked about as many random datasets, through the selectors in this process and over HTTP from a default
installation. Reference is the bare recursive SQL of the same walk on one connection: no limit, no names, no facets. Sizes with
``SIZES=10000,100000``, questions per size with ``QUESTIONS``.
"""

from __future__ import annotations

import http.client
import os
import random
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from benchmarks.figures import Figure, median, percentile
from benchmarks.installation import Installation
from benchmarks.progress import say
from benchmarks.settings import whole

DEPTH = 5
LINEAGE_MS, COLUMNS_MS = 50, 100
# The graph grows a hundredfold; what one node of an answer costs may at most double (deeper indexes, colder pages).
GROWTH = 2.0
SEED, WARM_UP = 20260101, 40

_WALK = """
WITH RECURSIVE up AS (
    SELECT %(node)s::bigint AS node, 0 AS depth
    UNION SELECT i.node_id, up.depth + 1 FROM up
    JOIN lineage_edge o ON o.node_id = up.node AND o.direction = 2 AND o.known_to IS NULL
    JOIN lineage_edge i ON i.job_id = o.job_id AND i.direction = 1 AND i.known_to IS NULL WHERE up.depth < %(depth)s
), down AS (
    SELECT %(node)s::bigint AS node, 0 AS depth
    UNION SELECT o.node_id, down.depth + 1 FROM down
    JOIN lineage_edge i ON i.node_id = down.node AND i.direction = 1 AND i.known_to IS NULL
    JOIN lineage_edge o ON o.job_id = i.job_id AND o.direction = 2 AND o.known_to IS NULL WHERE down.depth < %(depth)s
) SELECT node FROM up UNION SELECT node FROM down
"""
_COLUMNS = """
WITH RECURSIVE start AS (SELECT id FROM lineage_field WHERE dataset_id = %(node)s), up AS (
    SELECT id AS field, 0 AS depth FROM start
    UNION SELECT e.source_field_id, up.depth + 1 FROM up
    JOIN lineage_fieldedge e ON e.target_field_id = up.field AND e.target_field_id <> 0
    JOIN lineage_edgeclaim c ON c.edge_set_id = e.edge_set_id AND c.known_to IS NULL WHERE up.depth < %(depth)s
), down AS (
    SELECT id AS field, 0 AS depth FROM start
    UNION SELECT e.target_field_id, down.depth + 1 FROM down
    JOIN lineage_fieldedge e ON e.source_field_id = down.field AND e.source_field_id <> 0
    JOIN lineage_edgeclaim c ON c.edge_set_id = e.edge_set_id AND c.known_to IS NULL WHERE down.depth < %(depth)s
) SELECT field FROM up UNION SELECT field FROM down
"""
# Seconds and the size of the answer (nodes or columns), one pair per question.
Timed = list[tuple[float, int]]


def run() -> list[Figure]:
    with Installation() as installation:
        installation.connect()
        key = installation.key()
        sizes = [int(part) for part in os.environ.get("SIZES", "10000,100000,1000000").split(",")]
        found = {size: _measure(installation, key, size) for size in sizes}
    figures = [figure for size in sizes for figure in _figures(size, found[size])]
    if len(sizes) > 1:
        figures += _growth(found[sizes[0]], found[sizes[-1]], sizes)
    return figures


def _measure(installation: Installation, key: str, size: int) -> dict[str, Timed]:
    from django.conf import settings
    from django.db import connection

    from benchmarks import lineage_synthetic as synthetic
    from lineage import selectors
    from lineage.domain import ids

    say(f"loading {size:,} datasets")
    began = time.monotonic()
    counts = synthetic.load(settings.DATABASE_URL, size)
    say(f"{counts['lineage_edge']:,} edges, {counts['lineage_fieldedge']:,} column edges in {time.monotonic() - began:.0f} s")
    chosen = random.Random(SEED)
    names = [synthetic.dataset_name(chosen.randrange(size)) for _ in range(WARM_UP + whole("QUESTIONS", 300))]
    ids_of = {name: ids.dataset_id(synthetic.NAMESPACE, name) for name in [*names, synthetic.dataset_name(synthetic.HUB)]}

    def walk(name: str) -> int:
        return len(selectors.walk([("dataset", ids_of[name])], depth=DEPTH).nodes)

    def columns(name: str) -> int:
        start = {(ids_of[name], field) for field in selectors.fields_of([ids_of[name]])[ids_of[name]]}
        return len(selectors.column_walk(start, depth=DEPTH, downstream=True).columns)

    def bare(sql: str) -> Callable[[str], int]:
        def ask(name: str) -> int:
            with connection.cursor() as cursor:
                cursor.execute(sql, {"node": ids_of[name], "depth": DEPTH})
                return len(cursor.fetchall())

        return ask

    web = _Web(installation.url, key, synthetic.NAMESPACE)
    asked: dict[str, Callable[[str], int]] = {
        "lineage, selectors": walk,
        "lineage, HTTP": web.asking("/api/v1/lineage"),
        "lineage, bare SQL": bare(_WALK),
        "columns, selectors": columns,
        "columns, HTTP": web.asking("/api/v1/column-lineage", withDownstream="true"),
        "columns, bare SQL": bare(_COLUMNS),
    }
    found = {}
    for title, ask in asked.items():
        say(f"{title}, {len(names)} questions")
        found[title] = [_timed(ask, name) for name in names][WARM_UP:]
    hub = synthetic.dataset_name(synthetic.HUB)
    found["hub"] = [_timed(web.asking("/api/v1/lineage", direction="downstream"), hub) for _ in range(5)][1:]
    return found


def _timed(ask: Callable[[str], int], name: str) -> tuple[float, int]:
    began = time.perf_counter()
    size = ask(name)
    return time.perf_counter() - began, size


class _Web:
    """One kept-alive connection, as a page or a client holds it."""

    def __init__(self, url: str, key: str, namespace: str) -> None:
        parts = urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self.headers = {"Authorization": f"Bearer {key}"}
        self.namespace = namespace

    def asking(self, path: str, **parameters: Any) -> Callable[[str], int]:
        def ask(name: str) -> int:
            query = urlencode({"nodeId": f"dataset:{self.namespace}:{name}", "depth": DEPTH, **parameters})
            self.connection.request("GET", f"{path}?{query}", headers=self.headers)
            answer = self.connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{path} answered {answer.status}: {body[:500]!r}")
            # Not parsed: that is the reader's work, and would be timed here. Each node has one list of edges that enter it.
            return body.count(b'"inEdges"')

        return ask


def _figures(size: int, found: dict[str, Timed]) -> list[Figure]:
    figures = []
    for sort, target in (("lineage", LINEAGE_MS), ("columns", COLUMNS_MS)):
        reference = 1000 * percentile(_seconds(found[f"{sort}, bare SQL"]), 0.95)
        for way in ("selectors", "HTTP"):
            timed = found[f"{sort}, {way}"]
            seconds, sizes = _seconds(timed), [float(number) for _, number in timed]
            what = "nodes" if sort == "lineage" else "columns"
            figures.append(
                Figure(
                    f"{sort} of depth {DEPTH} among {size:,} datasets, {way}, p95",
                    1000 * percentile(seconds, 0.95),
                    "ms",
                    target,
                    reference=reference,
                    note=f"median {1000 * median(seconds):.1f} ms; answers of {median(sizes):.0f} {what},"
                    f" p95 {percentile(sizes, 0.95):.0f}; reference: bare recursive SQL",
                )
            )
    hub = found["hub"]
    note = f"{hub[0][1]} nodes, cut: the dataset that most read, downstream"
    figures.append(Figure(f"a hub among {size:,} datasets, HTTP, median", 1000 * median(_seconds(hub)), "ms", note=note))
    return figures


def _growth(least: dict[str, Timed], most: dict[str, Timed], sizes: Sequence[int]) -> list[Figure]:
    figures = []
    for title in ("lineage, selectors", "lineage, HTTP", "columns, selectors", "columns, HTTP"):
        small, large = (median([seconds / max(1, number) for seconds, number in one[title]]) for one in (least, most))
        figures.append(
            Figure(
                f"{title}: time per node of the answer, {sizes[-1]:,} over {sizes[0]:,} datasets",
                large / small,
                "×",
                GROWTH,
                note=f"{1e6 * small:.0f} µs and {1e6 * large:.0f} µs, medians",
            )
        )
    return figures


def _seconds(timed: Timed) -> list[float]:
    return [seconds for seconds, _ in timed]
