"""Fixtures that every kind of test may use."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

# Examples are judged by what they find, not by the clock of a busy machine.
hypothesis_settings.register_profile("touchstone", deadline=None)
hypothesis_settings.load_profile("touchstone")


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


@pytest.fixture(scope="session", autouse=True)
def flush_past_the_audit_guard() -> None:
    """Tests with real transactions end by truncating every table, which the audit log's triggers refuse.

    The servers of the tests let us be superuser, so the clean-up alone runs with triggers off.
    """
    from django.db.backends.postgresql.operations import DatabaseOperations

    execute = DatabaseOperations.execute_sql_flush

    def flush(self: DatabaseOperations, sql_list: list[str]) -> None:
        execute(self, ["SET LOCAL session_replication_role = replica", *sql_list] if sql_list else sql_list)

    DatabaseOperations.execute_sql_flush = flush  # type: ignore[method-assign,assignment]
