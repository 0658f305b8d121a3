"""Plain Python of quality: rules and verdicts."""
