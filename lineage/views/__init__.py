"""Pages of the lineage app."""
