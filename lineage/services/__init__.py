"""What the rest of Touchstone may ask of the lineage app."""

from lineage.services.forwarding import Forwarded, forward, forward_due, forward_retry, targets
from lineage.services.ingest import Failure, Ingested, Parsed, events_ingest, json_array, json_parse, quarantine
from lineage.services.partitions import partitions_ensure
from lineage.services.projection import Projected, pending_measure, pending_project
from lineage.services.rebuild import graph_rebuild
from lineage.services.refused import (
    REPLAY_MAX,
    Replayed,
    quarantine_correct,
    quarantine_dismiss,
    quarantine_matching,
    quarantine_replay,
)
from lineage.services.retention import Expired, events_expire
from lineage.services.transport import OutboxTransport

__all__ = [
    "REPLAY_MAX",
    "Expired",
    "Failure",
    "Forwarded",
    "Ingested",
    "OutboxTransport",
    "Parsed",
    "Projected",
    "Replayed",
    "events_expire",
    "events_ingest",
    "forward",
    "forward_due",
    "forward_retry",
    "graph_rebuild",
    "json_array",
    "json_parse",
    "partitions_ensure",
    "pending_measure",
    "pending_project",
    "quarantine",
    "quarantine_correct",
    "quarantine_dismiss",
    "quarantine_matching",
    "quarantine_replay",
    "targets",
]
