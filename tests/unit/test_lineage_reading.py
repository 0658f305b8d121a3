"""Facets as people read them."""

from __future__ import annotations

import pytest

from lineage.domain import reading


def test_changes_of_a_schema_name_what_came_went_and_turned_into_another_type() -> None:
    before = reading.schema_fields(
        {"fields": [{"name": "id", "type": "INT"}, {"name": "gone", "type": "text"}, {"name": "at", "type": "text"}]}
    )
    after = reading.schema_fields(
        {"fields": [{"name": "id", "type": "int"}, {"name": "at", "type": "timestamp"}, {"name": "fresh", "type": "text"}]}
    )
    assert [(one.what, one.name) for one in reading.schema_changes(before, after)] == [
        ("same", "id"),
        ("changed", "at"),
        ("added", "fresh"),
        ("removed", "gone"),
    ]


def test_nested_columns_are_named_by_their_path_and_nonsense_is_left_out() -> None:
    facet = {"fields": [{"name": "a", "type": "struct", "fields": [{"name": "b"}, {"type": "nameless"}, 3]}, None]}
    assert [item.name for item in reading.schema_fields(facet)] == ["a", "a.b"]
    assert reading.schema_fields("no facet") == []


@pytest.mark.parametrize("text", ["javascript:alert(1)", "data:text/html,x", "//evil.example", None, 3])
def test_only_addresses_of_the_web_become_links(text: object) -> None:
    assert reading.link(text) == ""
    assert reading.link("https://example.org/x") == "https://example.org/x"
