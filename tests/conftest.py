"""Fixtures that every kind of test may use."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def shared_fixtures() -> Path:
    """The folder of shared fixtures beside the checkout; skips where it is missing."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "fixtures"
    if not folder.is_dir():
        pytest.skip(f"needs the shared fixtures at {folder}")
    return folder


@pytest.fixture
def lake_home(tmp_path: Path, settings: object) -> Path:
    """A lake and a landing folder of this test alone."""
    settings.LAKE_URL = str(tmp_path / "lake")  # type: ignore[attr-defined]
    settings.LANDING_DIR = tmp_path / "landing"  # type: ignore[attr-defined]
    return tmp_path
