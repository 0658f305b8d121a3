"""The import contracts hold, and know every package there is."""

from __future__ import annotations

import ast
import configparser
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from grimp import build_graph

from tests.architecture.contracts import PublicModulesContract

ROOT = Path(__file__).resolve().parents[2]
NOT_LAYERED = {"controlplane.embedded": "stands alone, below the settings; has a contract of its own"}


def config() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    return parser


def names(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [
        name.strip(" ()")
        for line in lines
        if line and not line.startswith("#")
        for name in line.replace("|", ":").split(":")
        if name
    ]


def packages() -> set[str]:
    """Top-level packages of ours, and the parts of ``controlplane``."""
    top = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    parts = {f"controlplane.{path.parent.name}" for path in (ROOT / "controlplane").glob("*/__init__.py")}
    modules = {f"controlplane.{path.stem}" for path in (ROOT / "controlplane").glob("*.py")} - {"controlplane.__init__"}
    return (top - {"controlplane"}) | parts | modules


def own_apps() -> set[str]:
    installed = {str(app) for app in settings.INSTALLED_APPS}
    return {app for app in packages() if app in installed or any(name.startswith(app + ".apps.") for name in installed)}


def test_the_contracts_are_kept() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[done.stdout.find("Contracts") :]


def test_every_package_has_a_place_in_the_layers() -> None:
    layered = set(names(config()["importlinter:contract:apps"]["layers"]))
    assert packages() - layered - NOT_LAYERED.keys() == set()


def test_every_top_level_package_is_looked_at() -> None:
    roots = set(names(config()["importlinter"]["root_packages"]))
    assert roots == {name.split(".")[0] for name in packages()}


def test_every_installed_app_of_ours_has_private_insides_and_inner_layers() -> None:
    private = set(names(config()["importlinter:contract:public"]["apps"]))
    assert own_apps() - private == set()
    shaped = set(names(config()["importlinter:contract:inside"]["containers"]))
    # The ground, the kit and the composition have a shape of their own.
    assert own_apps() - shaped == {"controlplane.telemetry", "controlplane.ui", "controlplane.home"}


def test_every_app_of_the_design_is_installed() -> None:
    apps = {
        *(f"controlplane.{name}" for name in ("telemetry", "outbox", "keys", "audit", "accounts", "notify", "ui")),
        *(f"controlplane.{name}" for name in ("subjects", "lake", "backup", "evidence", "home")),
        *("catalog", "lineage", "quality", "privacy", "pipeline"),
    }
    assert own_apps() == apps


def test_domain_modules_name_neither_django_nor_celery() -> None:
    """The same as the contract, read from the sources: the contract's wildcards must not miss a folder."""
    faults = []
    for path in [*ROOT.glob("*/domain/**/*.py"), *ROOT.glob("controlplane/*/domain/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            faults += [f"{path}: {name}" for name in found if name.split(".")[0] in ("django", "rest_framework", "celery")]
    assert faults == []


def test_the_public_contract_finds_an_import_of_a_private_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for app in ("seen", "seer"):
        (tmp_path / app).mkdir()
        for module in ("__init__", "models", "services"):
            (tmp_path / app / f"{module}.py").write_text("")
    (tmp_path / "seer" / "services.py").write_text("from seen import services\nimport seen.models\n")
    monkeypatch.syspath_prepend(tmp_path)
    graph = build_graph("seen", "seer", cache_dir=None)
    options = {"apps": ["seen", "seer"], "public": ["services"], "composition": []}
    contract = PublicModulesContract("name", session_options={"root_packages": ["seen", "seer"]}, contract_options=options)
    check = contract.check(graph, verbose=False)
    assert [(fault["imported"], fault["line"]) for fault in check.metadata["broken"]] == [("seen.models", 2)]
    allowed = PublicModulesContract(
        "name", session_options={}, contract_options=options | {"public": ["services", "seen:models"]}
    )
    assert allowed.check(graph, verbose=False).kept
