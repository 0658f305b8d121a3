"""What OpenLineage events mean, in plain Python: validation, identities and the fold. No Django here."""
