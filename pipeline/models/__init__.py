"""What the pipeline remembers.

``landing``: what came in. ``runs``: what was done with it. ``exceptions``: rows that were held back.
``serving``: the figures that were published. The rows themselves live in the lake.
"""

from pipeline.models.exceptions import HeldState, QuarantinedRow, SilverReject
from pipeline.models.landing import BronzeFile, Drop, DropState
from pipeline.models.runs import (
    ColumnLineage,
    DatasetState,
    KeyPlace,
    PartitionSource,
    PartitionWrite,
    Reason,
    Run,
    RunState,
    SqlText,
    Step,
    StepState,
    StopSwitch,
    Work,
    WorkKind,
)
from pipeline.models.selections import StepRows
from pipeline.models.serving import KpiValue

__all__ = [
    "BronzeFile",
    "ColumnLineage",
    "DatasetState",
    "Drop",
    "DropState",
    "HeldState",
    "KeyPlace",
    "KpiValue",
    "PartitionSource",
    "PartitionWrite",
    "QuarantinedRow",
    "Reason",
    "Run",
    "RunState",
    "SilverReject",
    "SqlText",
    "Step",
    "StepRows",
    "StepState",
    "StopSwitch",
    "Work",
    "WorkKind",
]
