"""Nodes of the graph and their facets: namespaces, datasets, jobs, runs, columns, versions."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models


class Namespace(models.Model):
    """A namespace that some event named."""

    name = models.TextField(primary_key=True)
    known_from = models.DateTimeField()


class Dataset(models.Model):
    """A dataset under one of its names. ``node_id`` is the graph node: the same for all names that symlinks join.

    ``seen`` is false for names that occur only as the origin of column lineage. ``write_*`` is the last event that wrote it,
    ``drop_*`` the last that dropped or renamed it: it is gone while the drop ranks higher.
    """

    id = models.BigIntegerField(primary_key=True)
    node_id = models.BigIntegerField()
    namespace = models.TextField()
    name = models.TextField()
    seen = models.BooleanField()
    known_from = models.DateTimeField()
    last_event_at = models.DateTimeField()
    write_time = models.DateTimeField(null=True)
    write_identity = models.UUIDField(null=True)
    drop_time = models.DateTimeField(null=True)
    drop_identity = models.UUIDField(null=True)
    renamed_to = models.BigIntegerField(null=True)
    symlinks_removed_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["node_id"], name="lineage_dataset_node"),
            models.Index(fields=["namespace"], name="lineage_dataset_namespace"),
            GinIndex(fields=["name"], opclasses=["gin_trgm_ops"], name="lineage_dataset_search"),
        ]

    def __str__(self) -> str:
        return f"{self.namespace} {self.name}"

    @property
    def alive(self) -> bool:
        if self.drop_time is None or self.drop_identity is None:
            return True
        if self.write_time is None or self.write_identity is None:
            return False
        return (self.write_time, self.write_identity) > (self.drop_time, self.drop_identity)


class Job(models.Model):
    """A job. ``latest_run_id`` is the run of its newest event."""

    id = models.BigIntegerField(primary_key=True)
    namespace = models.TextField()
    name = models.TextField()
    known_from = models.DateTimeField()
    last_event_at = models.DateTimeField()
    latest_run_id = models.UUIDField(null=True)
    latest_time = models.DateTimeField(null=True)
    latest_identity = models.UUIDField(null=True)
    parent_namespace = models.TextField(null=True)  # noqa: DJ001  (no parent is not a parent without name)
    parent_name = models.TextField(null=True)  # noqa: DJ001
    parent_time = models.DateTimeField(null=True)
    parent_identity = models.UUIDField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["namespace"], name="lineage_job_namespace"),
            GinIndex(fields=["name"], opclasses=["gin_trgm_ops"], name="lineage_job_search"),
        ]

    def __str__(self) -> str:
        return f"{self.namespace} {self.name}"


class Run(models.Model):
    """A run of a job. Its facets are read from its events; ``io_sets`` are the edge sets its events named, united."""

    id = models.UUIDField(primary_key=True)
    run_id = models.TextField()
    job_id = models.BigIntegerField()
    job_time = models.DateTimeField()
    job_identity = models.UUIDField()
    known_from = models.DateTimeField()
    first_time = models.DateTimeField()
    last_time = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=16)
    state_final = models.SmallIntegerField()
    state_time = models.DateTimeField()
    state_identity = models.UUIDField()
    parent_run_id = models.UUIDField(null=True)
    parent_namespace = models.TextField(null=True)  # noqa: DJ001
    parent_name = models.TextField(null=True)  # noqa: DJ001
    parent_time = models.DateTimeField(null=True)
    parent_identity = models.UUIDField(null=True)
    root_run_id = models.UUIDField(null=True)
    root_time = models.DateTimeField(null=True)
    root_identity = models.UUIDField(null=True)
    nominal_start = models.DateTimeField(null=True)
    nominal_end = models.DateTimeField(null=True)
    nominal_time = models.DateTimeField(null=True)
    nominal_identity = models.UUIDField(null=True)
    io_sets = ArrayField(models.BigIntegerField())

    class Meta:
        indexes = [
            models.Index(fields=["job_id", "-first_time"], name="lineage_run_job"),
            models.Index(fields=["-first_time"], name="lineage_run_time"),
            models.Index(fields=["parent_run_id"], condition=models.Q(parent_run_id__isnull=False), name="lineage_run_parent"),
        ]

    def __str__(self) -> str:
        return self.run_id

    @property
    def ended_at(self) -> object:
        return self.state_time if self.state_final == 1 else None


class Field(models.Model):
    """A column of a dataset: named by a schema or by column lineage. Types stand in the dataset's ``schema`` facet."""

    id = models.BigIntegerField(primary_key=True)
    dataset_id = models.BigIntegerField()
    name = models.TextField()
    known_from = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["dataset_id"], name="lineage_field_dataset")]

    def __str__(self) -> str:
        return self.name


class DatasetVersion(models.Model):
    """A state of a dataset: ``declared`` by a version facet, or known by its ``schema``."""

    id = models.BigIntegerField(primary_key=True)
    dataset_id = models.BigIntegerField()
    kind = models.CharField(max_length=8)
    version = models.TextField()
    run_id = models.UUIDField(null=True)
    first_time = models.DateTimeField()
    first_identity = models.UUIDField()
    known_from = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["dataset_id", "-first_time"], name="lineage_version_dataset")]

    def __str__(self) -> str:
        return self.version


class Facet(models.Model):
    """The latest facet of a name on a dataset or job. ``deleted``: the last word was ``_deleted: true``."""

    pk = models.CompositePrimaryKey("subject_kind", "subject_id", "name")
    subject_kind = models.CharField(max_length=7)
    subject_id = models.BigIntegerField()
    name = models.TextField()
    event_time = models.DateTimeField()
    identity = models.UUIDField()
    recorded_at = models.DateTimeField()
    deleted = models.BooleanField()
    digest = models.CharField(max_length=32)
    body = models.JSONField()

    class Meta:
        indexes = [
            # Lists are filtered by these; the others are read by their subject.
            models.Index(
                fields=["name", "subject_kind"], condition=models.Q(name__in=["ownership", "tags"]), name="lineage_facet_named"
            ),
        ]


class RunFacet(models.Model):
    """The latest input or output facet of a dataset in a run (statistics, quality results). ``direction``: 1 in, 2 out."""

    pk = models.CompositePrimaryKey("run_id", "dataset_id", "direction", "name")
    run_id = models.UUIDField()
    dataset_id = models.BigIntegerField()
    direction = models.SmallIntegerField()
    name = models.TextField()
    event_time = models.DateTimeField()
    identity = models.UUIDField()
    recorded_at = models.DateTimeField()
    deleted = models.BooleanField()
    digest = models.CharField(max_length=32)
    body = models.JSONField()

    class Meta:
        indexes = [models.Index(fields=["dataset_id", "-event_time"], name="lineage_runfacet_dataset")]
