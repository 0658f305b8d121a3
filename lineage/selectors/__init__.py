"""Reads of the lineage app."""

from lineage.selectors.store import EventRow, events_of_run, events_page, events_pending, refused_events, status

__all__ = ["EventRow", "events_of_run", "events_page", "events_pending", "refused_events", "status"]
