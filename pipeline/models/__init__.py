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
    Reason,
    Run,
    RunState,
    Step,
    StepState,
    StopSwitch,
    Work,
    WorkKind,
)
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
    "QuarantinedRow",
    "Reason",
    "Run",
    "RunState",
    "SilverReject",
    "Step",
    "StepState",
    "StopSwitch",
    "Work",
    "WorkKind",
]
