"""Runs, their steps, and the work that waits for the next run."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone


class RunState(models.TextChoices):
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"  # at least one step failed; what did not depend on it went on


class StepState(models.TextChoices):
    WAITING = "waiting", "Waiting"  # for steps of the same run
    READY = "ready", "Ready"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    BLOCKED = "blocked", "Blocked"  # a step it needs failed
    SKIPPED = "skipped", "Skipped"  # nothing it reads has changed


TERMINAL_STEP_STATES = (StepState.SUCCEEDED, StepState.FAILED, StepState.BLOCKED, StepState.SKIPPED)


class Run(models.Model):
    """One cycle of the pipeline: it takes all work that waits and carries it from Bronze to the KPIs."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    state = models.CharField(max_length=12, choices=RunState.choices, default=RunState.RUNNING)
    trigger = models.CharField(max_length=200, help_text="why it ran, e.g. “12 drops” or “replay”")
    environment = models.CharField(max_length=20)
    correlation_id = models.CharField(max_length=64)
    as_of = models.DateTimeField(help_text="the moment that figures of this run refer to")
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    drops = models.IntegerField(default=0)
    code_version = models.CharField(max_length=64)

    class Meta:
        constraints = [
            # Two planners at once: the second one's insert fails and it goes home.
            models.UniqueConstraint(fields=["state"], condition=Q(state="running"), name="run_only_one_at_a_time"),
        ]
        indexes = [models.Index(fields=["-started_at"], name="run_started")]
        ordering = ["-started_at", "-id"]

    def __str__(self) -> str:
        return f"run {str(self.uuid)[:8]}"


class Step(models.Model):
    """The refresh of one dataset within a run: one Celery task, whose effect is the replacement of partitions."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="steps")
    dataset = models.CharField(max_length=100)
    layer = models.CharField(max_length=10)
    state = models.CharField(max_length=12, choices=StepState.choices, default=StepState.WAITING)
    attempts = models.IntegerField(default=0)
    ready_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True, help_text="a running step without one is run again")
    rows_in = models.BigIntegerField(default=0)
    rows_out = models.BigIntegerField(default=0, help_text="rows accepted (Silver) or written (Gold)")
    rows_rejected = models.BigIntegerField(default=0)
    rows_quarantined = models.BigIntegerField(default=0)
    partitions = models.JSONField(default=list, help_text="partition values replaced; empty for a whole table")
    table_version = models.BigIntegerField(null=True, blank=True, help_text="Delta version it committed")
    fencing = models.BigIntegerField(null=True, blank=True)
    contract_version = models.CharField(max_length=40, blank=True)
    sql_sha256 = models.CharField(max_length=64, blank=True)
    inputs = models.JSONField(default=dict, help_text="{dataset: version of its table that was read, null: no table yet}")
    build = models.JSONField(default=dict, help_text="{code, commit, version, engine} of the worker that carried it out")
    timings = models.JSONField(default=dict, help_text="seconds by phase")
    error = models.TextField(blank=True)
    bronze_files = models.ManyToManyField("pipeline.BronzeFile", related_name="steps", blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "dataset"], name="step_once_per_run")]
        indexes = [
            models.Index(fields=["dataset", "-id"], name="step_dataset"),
            models.Index(fields=["state"], condition=Q(state__in=["ready", "running"]), name="step_open"),
        ]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.dataset} in {self.run_id}"

    @property
    def duration_s(self) -> float | None:
        if self.started_at is None:
            return None
        return ((self.finished_at or timezone.now()) - self.started_at).total_seconds()


class WorkKind(models.TextChoices):
    FILE = "file", "all records of a Bronze file"
    ROWS = "rows", "some records of a Bronze file"  # payload: {"rows": [ordinal, …]}
    TOUCHED = "touched", "values of an upstream's date or bucket columns"  # payload: {column: [value, …]}
    INTERVALS = (
        "intervals",
        "changed intervals of a dimension",
    )  # payload: {"keys": [[key, from, to], …]} or {"span": [from, to]}
    PARTITIONS = "partitions", "partitions of the dataset itself"  # payload: {"values": [value, …]} or {"all": true}


class Reason(models.TextChoices):
    DROP = "drop", "New drop"
    UPSTREAM = "upstream", "Upstream changed"
    REPLAY = "replay", "Replay"
    REPROCESS = "reprocess", "Reprocess"
    BACKFILL = "backfill", "Backfill"
    DEADLINE = "deadline", "Due by its cadence"


class Work(models.Model):
    """Something a dataset has still to take in. Rows go when the step that took them has succeeded."""

    dataset = models.CharField(max_length=100, help_text="the dataset that has to act")
    kind = models.CharField(max_length=12, choices=WorkKind.choices)
    reason = models.CharField(max_length=12, choices=Reason.choices)
    upstream = models.CharField(max_length=100, blank=True)
    bronze_file = models.ForeignKey("pipeline.BronzeFile", null=True, blank=True, on_delete=models.CASCADE)
    payload = models.JSONField(default=dict)
    run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.SET_NULL, related_name="work")
    correlation_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["dataset", "bronze_file"],
                condition=Q(kind="file", run__isnull=True),
                name="work_file_once",
            )
        ]
        indexes = [
            models.Index(fields=["dataset", "id"], condition=Q(run__isnull=True), name="work_waiting"),
            models.Index(fields=["run", "dataset"], name="work_run"),
        ]


class DatasetState(models.Model):
    """Where a dataset stands now; one row each, changed by the step that refreshed it."""

    dataset = models.CharField(max_length=100, primary_key=True)
    layer = models.CharField(max_length=10)
    refreshed_at = models.DateTimeField(null=True, blank=True, help_text="end of its last good refresh")
    started_at = models.DateTimeField(null=True, blank=True, help_text="start of its last refresh")
    table_version = models.BigIntegerField(null=True, blank=True)
    last_step = models.ForeignKey(Step, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    failures = models.IntegerField(default=0, help_text="refreshes that failed since the last good one")
    hold_until = models.DateTimeField(null=True, blank=True, help_text="not tried again before, after a failure")
    commits_since_maintenance = models.IntegerField(default=0)
    maintained_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.dataset


class StopSwitch(models.Model):
    """A person stopped a dataset, or (scope ``*``) the whole pipeline. Drops are still taken in; nothing is lost."""

    scope = models.CharField(max_length=100, unique=True)
    reason = models.CharField(max_length=500)
    stopped_by = models.CharField(max_length=150)
    stopped_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.scope


class KeyPlace(models.Model):
    """In which partition the row of a business key lies, for datasets whose rows may move between partitions.

    ``key_digest`` is a digest of the key, without which an update that moves a row could only be applied by reading the
    whole history. Pseudonymous personal data where the key identifies a person.
    """

    dataset = models.CharField(max_length=100)
    key_digest = models.UUIDField()
    partition = models.CharField(max_length=40)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["dataset", "key_digest"], name="key_place_once")]


class PartitionSource(models.Model):
    """Which Bronze files brought rows into a Silver partition, step by step: the last hop of every figure's trail.

    A row for each step that took rows of the file in. What a file had brought as of a step is its newest ``whole`` row up to
    there plus the later partial ones (records that were held back and judged again).
    """

    dataset = models.CharField(max_length=100)
    partition = models.CharField(max_length=40)
    bronze_file = models.ForeignKey("pipeline.BronzeFile", on_delete=models.CASCADE, related_name="partitions")
    step = models.ForeignKey(Step, null=True, on_delete=models.SET_NULL, related_name="+")
    rows = models.BigIntegerField(help_text="rows accepted from the file into the partition")
    whole = models.BooleanField(default=True, help_text="false: these rows came on top of what the file had brought before")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["dataset", "partition", "bronze_file", "step"], name="partition_source_once_per_step"
            )
        ]


class PartitionWrite(models.Model):
    """A step replaced a partition of its dataset's table, as of a table version. Only ever added to.

    Together with the versions that each step read (``Step.inputs``) it tells which step had made what a figure was computed
    from, however often the partition has been replaced since. ``partition`` is empty for a table without partitions.
    """

    dataset = models.CharField(max_length=100)
    partition = models.CharField(max_length=40, blank=True)
    table_version = models.BigIntegerField()
    step = models.ForeignKey(Step, on_delete=models.CASCADE, related_name="writes")

    class Meta:
        indexes = [models.Index(fields=["dataset", "partition", "-table_version"], name="partition_write_version")]


class SqlText(models.Model):
    """The SQL that steps ran, once per text, so that a figure keeps its code when the file has long changed."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    text = models.TextField()
    first_seen_at = models.DateTimeField(default=timezone.now)


class ColumnLineage(models.Model):
    """Column lineage of one SQL text over one set of schemas, derived once: reading the syntax trees takes seconds."""

    digest = models.CharField(max_length=64, primary_key=True, help_text="SHA-256 over SQL and schemas")
    columns = models.JSONField(help_text="{output column: [[dataset, column, type, subtype, masking], …]}")
    made_at = models.DateTimeField(default=timezone.now)
