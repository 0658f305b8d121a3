"""The catalog's pages: data products, datasets, contract versions."""
