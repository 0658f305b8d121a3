"""How long the lineage explorer takes for a picture of 300 nodes: on the server, and until Chromium has painted it.

The world is a pipeline of ten layers, three inputs to a job; asked for is a dataset in its middle, as far as the picture goes.
Visits with ``VISITS`` (20).
"""

from __future__ import annotations

import random
import time
from typing import Any

from benchmarks.figures import Figure, median, percentile
from benchmarks.installation import Installation
from benchmarks.paint import measure
from benchmarks.progress import say
from benchmarks.settings import whole

TARGET_MS = 1000
LAYERS, WIDTH, SEED = 10, 40, 20260101
NAMESPACE, PASSWORD, USERNAME = "warehouse", "a-password-of-this-run", "painter"
PRODUCER = "https://example.org/benchmark"
ADDRESS = f"/lineage/?node=dataset:{NAMESPACE}:layer_5.table_number_17_of_the_company&depth=10"
DRAWN = "document.readyState !== 'loading' && document.querySelector('#lin-frame .lin-node')"


def run() -> list[Figure]:
    visits = whole("VISITS", 20)
    with Installation() as installation:
        installation.connect()
        nodes = _load()
        server = _server(visits)
        say("opening the explorer in Chromium")
        painted = measure(
            url=installation.url, username=USERNAME, password=PASSWORD, times=visits, address=ADDRESS, drawn=DRAWN
        )
    note = f"{nodes} nodes, {visits} visits"
    return [
        Figure("lineage explorer answered by the server, p95", 1000 * percentile(server, 0.95), "ms", None,
               note=f"{note}, in one process; median {1000 * median(server):.0f} ms", runs=server),
        Figure("lineage explorer painted, p95", 1000 * percentile(painted, 0.95), "ms", TARGET_MS,
               note=f"{note}, navigation to painted frame, Chromium; median {1000 * median(painted):.0f} ms", runs=painted),
    ]  # fmt: skip


def _load() -> int:
    """Send the world's events and fold them; how many nodes the picture holds."""
    from controlplane.accounts import services as accounts
    from lineage import selectors, services
    from lineage.views.picture import picture
    from lineage.views.state import State

    say("folding a pipeline of ten layers")
    accounts.user_create(username=USERNAME, password=PASSWORD, roles=["owner"], actor="system:benchmark")
    services.events_ingest(bodies=_events(), producer="benchmark")
    while selectors.events_pending():
        services.pending_project()
    node = ADDRESS.partition("node=")[2].partition("&")[0]
    return len(picture(selectors.node_resolve(node), State(node=node, depth=10)).nodes)


def _events() -> list[dict[str, Any]]:
    chosen = random.Random(SEED)
    made = []
    for layer in range(1, LAYERS):
        for number in range(WIDTH):
            sources = {number, chosen.randrange(WIDTH), chosen.randrange(WIDTH)}
            made.append(
                {
                    "eventTime": f"2026-03-01T12:{layer:02}:{number:02}Z",
                    "eventType": "COMPLETE",
                    "producer": PRODUCER,
                    "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
                    "run": {"runId": f"00000000-0000-4000-8000-{layer:06}{number:06}"},
                    "job": {"namespace": "jobs", "name": f"refresh.layer_{layer}.table_number_{number}_of_the_company"},
                    "inputs": [_dataset(layer - 1, source) for source in sorted(sources)],
                    "outputs": [_dataset(layer, number)],
                }
            )
    return made


def _dataset(layer: int, number: int) -> dict[str, Any]:
    fields = [{"name": f"column_{index}", "type": "string"} for index in range(12)]
    return {
        "namespace": NAMESPACE,
        "name": f"layer_{layer}.table_number_{number}_of_the_company",
        "facets": {"schema": {"_producer": PRODUCER, "_schemaURL": "https://example.org/schema", "fields": fields}},
    }


def _server(visits: int) -> list[float]:
    """Seconds of each answer after the first, in this process: queries, layout, template."""
    from django.test import Client

    from controlplane.accounts.models import User

    client = Client(HTTP_HOST="localhost")
    client.force_login(User.objects.get(username=USERNAME))
    seconds = []
    for _ in range(visits + 1):
        began = time.perf_counter()
        answer = client.get(ADDRESS)
        seconds.append(time.perf_counter() - began)
        if answer.status_code != 200:
            raise RuntimeError(f"the explorer answered {answer.status_code}")
    return seconds[1:]
