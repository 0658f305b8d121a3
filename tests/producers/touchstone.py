"""What the tests of producers ask a running Touchstone: the graph, as anybody who reads it over the API gets it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import psutil

from controlplane.embedded.home import read_json
from tests.e2e.conftest import Installation

Json = dict[str, Any]
Name = tuple[str, str]  # namespace, name
Found = TypeVar("Found")


class NotThere(AssertionError):
    """The graph does not know the thing yet."""


@dataclass
class Touchstone:
    """A running installation and a key that reads."""

    installation: Installation
    reader: httpx.Client

    @property
    def url(self) -> str:
        return self.installation.url

    def producer_key(self, name: str, *namespaces: str) -> str:
        """A new key of a producer, bound to namespaces (default: any)."""
        bound = [part for namespace in namespaces or ("*",) for part in ("--namespace", namespace)]
        return self.installation.manage("apikey", "create", name, "--role", "producer", *bound).strip()

    @contextmanager
    def outage(self, child: str, *, outage_s: float) -> Iterator[None]:
        """Kill one of its processes; its supervisor, held for a while, starts it anew while the block goes on."""
        supervisor = self.installation.process
        assert supervisor is not None
        known = read_json(self.installation.home / "run" / "supervisor.json")["children"][child]
        process = psutil.Process(int(known["pid"]))
        family = [*process.children(recursive=True), process]
        supervisor.send_signal(signal.SIGSTOP)
        go_on = threading.Timer(outage_s, supervisor.send_signal, [signal.SIGCONT])
        go_on.start()
        try:
            for member in family:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
            yield
        finally:
            go_on.join()

    def get(self, path: str, **query: Any) -> Json:
        answer = self.reader.get(f"/api/v1/{path}", params=query)
        if answer.status_code == 404:
            raise NotThere(f"{path}: {answer.text}")
        answer.raise_for_status()
        return answer.json()

    def everything(self, path: str, key: str) -> list[Json]:
        """All rows of a list, page by page."""
        rows: list[Json] = []
        while True:
            page = self.get(path, limit=1000, offset=len(rows))
            rows += page[key]
            if not page[key] or len(rows) >= page["totalCount"]:
                return rows

    # --- by name

    def dataset(self, namespace: str, name: str) -> Json:
        return self.get(f"namespaces/{_part(namespace)}/datasets/{_part(name)}")

    def job(self, namespace: str, name: str) -> Json:
        return self.get(f"namespaces/{_part(namespace)}/jobs/{_part(name)}")

    def runs(self, namespace: str, name: str) -> list[Json]:
        """Runs of a job, newest first."""
        return self.everything(f"namespaces/{_part(namespace)}/jobs/{_part(name)}/runs", "runs")

    def run(self, run_id: str) -> Json:
        return self.get(f"jobs/runs/{run_id}")

    def datasets(self, namespace: str) -> list[Json]:
        return self.everything(f"namespaces/{_part(namespace)}/datasets", "datasets")

    def jobs(self, namespace: str) -> list[Json]:
        return self.everything(f"namespaces/{_part(namespace)}/jobs", "jobs")

    def namespaces(self) -> list[str]:
        return [item["name"] for item in self.everything("namespaces", "namespaces")]

    # --- as a graph

    def edges(self, namespace: str, name: str) -> tuple[set[Name], set[Name]]:
        """What a job reads and what it writes."""
        job = self.job(namespace, name)
        return _names(job["inputs"]), _names(job["outputs"])

    def lineage(self, node_id: str, **query: Any) -> set[str]:
        """Ids of the nodes around one, itself included."""
        return {node["id"] for node in self.get("lineage", nodeId=node_id, **query)["graph"]}

    def columns(self, namespace: str, name: str) -> dict[str, set[tuple[str, str, str]]]:
        """The columns each column of a dataset is made of, one step back: {field: {(namespace, dataset, field)}}."""
        graph = self.get("column-lineage", nodeId=f"dataset:{namespace}:{name}", depth=1)["graph"]
        return {
            node["data"]["field"]: {(item["namespace"], item["dataset"], item["field"]) for item in node["data"]["inputFields"]}
            for node in graph
            if (node["data"]["namespace"], node["data"]["dataset"]) == (namespace, name) and node["data"]["inputFields"]
        }

    def refused(self) -> list[Json]:
        return self.everything("lineage/quarantine", "refused")


def eventually(look: Callable[[], Found], *, patience_s: float = 30) -> Found:
    """What ``look`` returns once its assertions hold: an accepted event is in the graph a moment after the answer."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return look()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _part(text: str) -> str:
    return quote(text, safe="")


def _names(items: list[Json]) -> set[Name]:
    return {(item["namespace"], item["name"]) for item in items}
