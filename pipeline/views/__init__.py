"""The pipeline's pages: runs, drops, rows held back, limits and switches, the state of the service."""
