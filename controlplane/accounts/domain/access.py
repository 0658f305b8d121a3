"""Who passes: the whole rule in plain Python, so that pages, endpoints and commands cannot differ."""

from __future__ import annotations

from collections.abc import Collection, Iterable

ADMIN = "admin"
AUDITOR = "auditor"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def passes(held: Collection[str], wanted: Collection[str], *, method: str = "GET") -> bool:
    """Whether somebody who holds the roles ``held`` may use a thing open to ``wanted`` with an HTTP method.

    An administrator may use everything. An auditor may read everything; the auditor role alone never lets anybody
    change anything, even where it is named.
    """
    if ADMIN in held:
        return True
    if method in SAFE_METHODS:
        return AUDITOR in held or not set(held).isdisjoint(wanted)
    return not (set(held) - {AUDITOR}).isdisjoint(wanted)


def namespace_allowed(patterns: Iterable[str], namespace: str) -> bool:
    """Whether one of the patterns covers the namespace: ``*`` is any, ``shop-*`` a prefix, anything else exact."""
    return any(
        namespace.startswith(pattern[:-1]) if pattern.endswith("*") else namespace == pattern for pattern in patterns if pattern
    )


def pattern_fault(pattern: str) -> str | None:
    """What is wrong with a namespace pattern, or None. A star stands only at the end."""
    if not pattern.strip():
        return "a namespace is empty"
    if "*" in pattern[:-1]:
        return f"{pattern!r}: a star may stand only at the end"
    return None
