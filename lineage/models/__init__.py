"""The event store and what is folded out of it.

``events``: the records. ``nodes``, ``edges``, ``names``: the graph, projected from them.

Identifiers of nodes and sets are a function of names and content (``domain.ids``), so tables refer to each other by value:
there are no foreign keys, no look-up precedes a write, and a rebuild gives the same rows. Every projected table can be
dropped and folded again; only the records cannot.
"""

from __future__ import annotations

from django.db import models

from lineage.models.edges import Edge, EdgeClaim, EdgeSet, FieldEdge, IoSet, Mention, Statement
from lineage.models.events import Event, EventIdentity, ForwardRefusal, ForwardTarget, Pending, Quarantine, Retention
from lineage.models.names import Life, Place, Symlink, SymlinkWord
from lineage.models.nodes import Dataset, DatasetVersion, Facet, Field, Job, Namespace, Run, RunFacet

__all__ = [
    "PROJECTED",
    "Dataset",
    "DatasetVersion",
    "Edge",
    "EdgeClaim",
    "EdgeSet",
    "Event",
    "EventIdentity",
    "Facet",
    "Field",
    "FieldEdge",
    "ForwardRefusal",
    "ForwardTarget",
    "IoSet",
    "Job",
    "Life",
    "Mention",
    "Namespace",
    "Pending",
    "Place",
    "Quarantine",
    "Retention",
    "Run",
    "RunFacet",
    "Statement",
    "Symlink",
    "SymlinkWord",
]

PROJECTED: tuple[type[models.Model], ...] = (
    Namespace,
    Dataset,
    Job,
    Run,
    Field,
    DatasetVersion,
    Facet,
    RunFacet,
    IoSet,
    Mention,
    Statement,
    Edge,
    EdgeSet,
    EdgeClaim,
    FieldEdge,
    Symlink,
    SymlinkWord,
    Life,
    Place,
)
