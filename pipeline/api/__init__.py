"""The pipeline's HTTP API: figures out, drops in."""
