"""What the rest of Touchstone may ask of the lineage app."""

from lineage.services.ingest import Failure, Ingested, Parsed, events_ingest, json_array, json_parse, quarantine
from lineage.services.partitions import partitions_ensure
from lineage.services.projection import Projected, graph_rebuild, pending_measure, pending_project
from lineage.services.refused import quarantine_dismiss, quarantine_replay
from lineage.services.transport import OutboxTransport

__all__ = [
    "Failure",
    "Ingested",
    "OutboxTransport",
    "Parsed",
    "Projected",
    "events_ingest",
    "graph_rebuild",
    "json_array",
    "json_parse",
    "partitions_ensure",
    "pending_measure",
    "pending_project",
    "quarantine",
    "quarantine_dismiss",
    "quarantine_replay",
]
