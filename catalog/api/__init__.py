"""The catalog's HTTP API: products, datasets, contracts."""
