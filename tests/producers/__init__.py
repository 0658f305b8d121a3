"""Real producers against a running installation (``make e2e-producers``)."""
