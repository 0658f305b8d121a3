"""The files under ``deploy/`` and the compose file fit the code: programs, variables and metrics exist."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.embedded.supervisor import programs
from controlplane.settings.env import Env, variable_name

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "touchstone.json"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
SUFFIX = re.compile(r"_(bucket|count|sum)$")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return found


def declared_metrics() -> set[str]:
    """Names as the code declares them: through telemetry (which adds the prefix) or through the client library."""
    text = "\n".join(
        path.read_text()
        for top in ("controlplane", "catalog", "lineage", "quality", "privacy", "pipeline")
        for path in (ROOT / top).rglob("*.py")
    )
    own = re.findall(r"\b(?:counter|gauge|histogram)\(\s*\"([a-z0-9_]+)\"", text)
    direct = re.findall(r"\b(?:Counter|Gauge|Histogram)\(\s*\"(touchstone_[a-z0-9_]+)\"", text)
    return {f"touchstone_{name}" for name in own} | set(direct)


def used_metrics(text: str) -> set[str]:
    return {SUFFIX.sub("", name) for name in re.findall(r"touchstone_[a-z0-9_]+", text)}


def test_every_metric_of_the_dashboard_and_the_alerts_is_declared() -> None:
    expressions = [target["expr"] for panel in json.loads(DASHBOARD.read_text())["panels"] for target in panel["targets"]]
    alerts = [rule["expr"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    used = used_metrics("\n".join(expressions + alerts))
    assert len(used) > 10
    assert used - declared_metrics() == set()


def test_the_dashboard_shows_the_six_kpis() -> None:
    shown = set(re.findall(r'kpi=\\"([a-z_]+)\\"', DASHBOARD.read_text()))
    assert shown == {"net_revenue", "conversion_rate", "fulfilment_sla", "return_rate", "csat_index", "inventory_risk"}


def test_compose_runs_every_program_that_make_up_runs(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for program in programs(8000):
        assert program.name in services
    for name, marker in [("worker", "worker"), ("lineage", "lineage"), ("beat", "beat"), ("relay", "relay")]:
        assert marker in services[name]["command"]
    assert "granian" in (ROOT / "Dockerfile").read_text()


def test_every_variable_that_compose_sets_is_one_that_touchstone_reads(compose: dict[str, Any]) -> None:
    known = {variable_name(name) for name in Env.model_fields} | {"PROMETHEUS_MULTIPROC_DIR"}
    assert set(compose["services"]["web"]["environment"]) - known == set()


def test_no_secret_has_a_default(compose: dict[str, Any]) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    secrets = {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "TOUCHSTONE_SECRET_KEY", "GRAFANA_PASSWORD"}
    for name in secrets:
        uses = re.findall(rf"\$\{{{name}([^}}]*)\}}", text)
        assert uses, name
        assert all(use.startswith(":?") for use in uses), f"{name} must be required, not defaulted"


def test_what_others_wait_for_says_when_it_is_healthy(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        needs = service.get("depends_on", {})
        for needed, condition in needs.items() if isinstance(needs, dict) else []:
            assert needed in services, f"{name} needs {needed}"
            if condition["condition"] == "service_healthy":
                built = "image" in service and services[needed].get("build") == "."  # the image itself has a HEALTHCHECK
                assert built or "test" in services[needed].get("healthcheck", {}), needed


def test_every_image_but_ours_has_a_version(compose: dict[str, Any]) -> None:
    images = {name: service["image"] for name, service in compose["services"].items() if service["image"] != "touchstone"}
    assert {name for name, image in images.items() if not re.search(r":v?\d", image)} == set()


def test_every_mounted_file_exists(compose: dict[str, Any]) -> None:
    mounts = [mount for service in compose["services"].values() for mount in service.get("volumes", [])]
    for source in (mount.split(":")[0] for mount in mounts if mount.startswith("./")):
        assert (ROOT / source).exists(), source


def test_the_image_copies_every_package_and_no_state() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert {package for package in packages if f"COPY {package} {package}" not in dockerfile} == set()
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert set(allowed) == packages | {"manage.py", "requirements.lock"}
    assert "USER touchstone" in dockerfile


@pytest.mark.parametrize("path", sorted(ROOT.glob("deploy/**/*.yml")), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_yaml_file_can_be_read(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text()), dict)
