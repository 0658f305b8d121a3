"""The lock files pin what the project names, the same for the runtime and for development, and name no index."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCERS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests/producers/requirements").glob("*.lock"))
LOCKS = ["requirements.lock", "requirements-dev.lock", *PRODUCERS]
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", re.MULTILINE)


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lock: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, version in PIN.findall((ROOT / lock).read_text()):
        found.setdefault(canonical(name), set()).add(version)
    return found


def required(group: str | None = None) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    texts = project["dependency-groups"][group] if group else project["project"]["dependencies"]
    return {canonical(re.split(r"[\[<>=!~; ]", text)[0]) for text in texts}


@pytest.mark.parametrize("lock", LOCKS)
def test_no_index_and_no_machine_is_named(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert re.findall(r"https?://|--index-url|--extra-index-url|--find-links|file:|/home/|/root/", text) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash(lock: str) -> None:
    text = (ROOT / lock).read_text()
    starts = [match.start() for match in PIN.finditer(text)]
    blocks = [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_what_the_project_needs_is_pinned() -> None:
    assert required() - pins("requirements.lock").keys() == set()
    assert (required() | required("dev")) - pins("requirements-dev.lock").keys() == set()


def test_what_a_producer_needs_is_pinned() -> None:
    for lock in PRODUCERS:
        lines = (ROOT / lock).with_suffix(".in").read_text().splitlines()
        wanted = {canonical(re.split(r"[\[<>=!~; ]", line)[0]) for line in lines if line and not line.startswith("#")}
        assert wanted - pins(lock).keys() == set()


def test_development_uses_the_versions_of_the_runtime() -> None:
    development = pins("requirements-dev.lock")
    assert {name for name, versions in pins("requirements.lock").items() if development.get(name) != versions} == set()
