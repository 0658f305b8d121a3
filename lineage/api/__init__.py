"""HTTP interface of the lineage app."""
