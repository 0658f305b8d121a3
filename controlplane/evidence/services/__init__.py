"""Public writes of evidence: reproductions and bundles."""
