"""The HTTP API of evidence: reproductions and bundles."""
