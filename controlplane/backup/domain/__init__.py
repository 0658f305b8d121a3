"""The form of a backup, in plain Python: what an offline check needs."""
