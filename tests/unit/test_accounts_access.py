"""Who passes."""

import pytest

from controlplane.accounts.domain.access import namespace_allowed, passes, pattern_fault
from controlplane.accounts.domain.secrets import key_digest, key_new, key_prefix
from controlplane.accounts.permissions import HasRole


def test_nobody_passes_without_a_role() -> None:
    assert not passes(set(), {"owner"})
    assert not passes({"owner"}, set())


def test_a_role_that_is_named_passes_and_another_does_not() -> None:
    assert passes({"owner"}, {"owner", "steward"}, method="POST")
    assert not passes({"oncall"}, {"owner", "steward"})


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_an_auditor_reads_everything_and_changes_nothing(method: str) -> None:
    assert passes({"auditor"}, {"owner"}, method="GET")
    assert not passes({"auditor"}, {"owner"}, method=method)
    assert not passes({"auditor"}, {"auditor"}, method=method)
    assert passes({"auditor", "owner"}, {"owner"}, method=method)


def test_an_administrator_passes_everywhere() -> None:
    assert passes({"admin"}, set(), method="DELETE")


def test_a_misspelt_role_is_refused_when_the_view_is_defined() -> None:
    with pytest.raises(ValueError, match="ownre"):
        HasRole("ownre")


@pytest.mark.parametrize(
    ("patterns", "namespace", "allowed"),
    [
        (["*"], "anything", True),
        (["shop-*"], "shop-fr", True),
        (["shop-*"], "ashop-fr", False),
        (["shop"], "shop", True),
        (["shop"], "shop-fr", False),
        ([], "shop", False),
        ([""], "", False),
    ],
)
def test_namespaces_are_exact_prefixes_or_any(patterns: list[str], namespace: str, allowed: bool) -> None:
    assert namespace_allowed(patterns, namespace) is allowed


def test_a_star_stands_only_at_the_end() -> None:
    assert pattern_fault("a*b") is not None
    assert pattern_fault(" ") is not None
    assert pattern_fault("a-*") is None


def test_a_key_is_found_by_its_prefix_and_known_by_its_digest_only() -> None:
    prefix, secret = key_new()
    assert key_prefix(secret) == prefix
    assert secret not in key_digest(secret)
    assert key_new()[1] != secret
    for wrong in ("", "ts_", f"ts_{prefix}", f"ts_{prefix}_", f"xx_{prefix}_abc", "ts_short_abc"):
        assert key_prefix(wrong) is None
