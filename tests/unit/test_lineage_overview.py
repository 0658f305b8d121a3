"""What kind of system a source is, from its address."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lineage.selectors.overview import Source

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("postgres://db:5432", "POSTGRES"),
        ("jdbc:mysql://db/x", "MYSQL"),
        ("s3://lake", "S3"),
        ("/srv/lake: one/bronze", "FILE"),
        ("lake", "UNKNOWN"),
        ("", "UNKNOWN"),
    ],
)
def test_the_type_of_a_source_is_the_scheme_of_its_address(uri: str, kind: str) -> None:
    assert Source("any", uri, NOW, NOW, 1).type == kind
