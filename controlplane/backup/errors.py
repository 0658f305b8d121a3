"""What can go wrong with a backup; every text says what to do."""

from __future__ import annotations


class BackupError(Exception):
    """A backup or restore that cannot go on. Nothing that was in place has been changed, unless the text says so."""
