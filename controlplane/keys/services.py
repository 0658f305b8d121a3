"""Canonical JSON for hashes and signatures."""

from controlplane.keys.domain.canonical import canonical_json

__all__ = ["canonical_json"]
