"""Edges of the graph: what jobs read and write, and which column comes from which."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models


class IoSet(models.Model):
    """What one event of a job named as inputs and outputs: immutable, identified by its content.

    ``explicit``: outputs whose sources a ``lineage`` facet states.
    """

    id = models.BigIntegerField(primary_key=True)
    job_id = models.BigIntegerField()
    inputs = ArrayField(models.BigIntegerField())
    outputs = ArrayField(models.BigIntegerField())
    explicit = ArrayField(models.BigIntegerField(), default=list)
    known_from = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["job_id"], name="lineage_ioset_job")]


class Mention(models.Model):
    """A job that ever named a dataset: whose edges to look at again when the name comes to lead elsewhere."""

    pk = models.CompositePrimaryKey("dataset_id", "job_id")
    dataset_id = models.BigIntegerField()
    job_id = models.BigIntegerField()


class Statement(models.Model):
    """An event that names inputs or outputs of a job, or completes a run of it: the log that edges are made of.

    Beside what it says stands what was known after it: ``run_first_*`` (its run's first statement that names anything),
    ``run_done_*`` (its run's last completion), ``base_*`` (the completed run whose statements rule) and ``floor_*`` (that
    run's first statement). So a late one is folded in from its place on, without reading what came before.
    """

    pk = models.CompositePrimaryKey("job_id", "known_from", "identity")
    job_id = models.BigIntegerField()
    known_from = models.DateTimeField()
    identity = models.UUIDField()
    event_time = models.DateTimeField()
    run_id = models.UUIDField()
    io_set_id = models.BigIntegerField()
    done = models.BooleanField()
    effect = models.BooleanField()
    run_first_time = models.DateTimeField(null=True)
    run_first_identity = models.UUIDField(null=True)
    run_done_time = models.DateTimeField(null=True)
    run_done_identity = models.UUIDField(null=True)
    base_run_id = models.UUIDField(null=True)
    base_time = models.DateTimeField(null=True)
    base_identity = models.UUIDField(null=True)
    floor_time = models.DateTimeField(null=True)
    floor_identity = models.UUIDField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["job_id", "run_id", "known_from"], name="lineage_statement_run"),
            models.Index(fields=["job_id", "event_time"], name="lineage_statement_time"),
        ]


class Edge(models.Model):
    """A job reads (1) or writes (2) a dataset: intervals of knowledge, those that hold now are open.

    ``dataset_id`` is the dataset as events named it, ``node_id`` the node it led to (see ``Place``). ``explicit`` outputs have
    their sources stated by a ``lineage`` facet: the job's inputs do not all feed them.
    """

    pk = models.CompositePrimaryKey("job_id", "dataset_id", "direction", "node_id", "known_from")
    job_id = models.BigIntegerField()
    dataset_id = models.BigIntegerField()
    direction = models.SmallIntegerField()
    node_id = models.BigIntegerField()
    explicit = models.BooleanField()
    known_from = models.DateTimeField()
    known_to = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["node_id", "direction", "job_id"], name="lineage_edge_node"),
            models.Index(fields=["dataset_id"], name="lineage_edge_dataset"),
            models.Index(fields=["job_id", "known_to"], name="lineage_edge_job"),
        ]


class EdgeSet(models.Model):
    """The edges that one facet states: immutable, identified by its content.

    ``source``: 1 columnLineage, 2 lineage of a dataset, 3 lineage of a job.
    """

    id = models.BigIntegerField(primary_key=True)
    job_id = models.BigIntegerField()
    dataset_id = models.BigIntegerField()
    source = models.SmallIntegerField()


class EdgeClaim(models.Model):
    """Which edge set of (job, dataset, source) held when: intervals of knowledge, the newest is open.

    One row per claim that ever ruled, also when it repeats the one before: a claim that comes late may rule between them.
    ``edge_set_id`` 0 states that there is none any more.
    """

    pk = models.CompositePrimaryKey("job_id", "dataset_id", "source", "known_from")
    job_id = models.BigIntegerField()
    dataset_id = models.BigIntegerField()
    source = models.SmallIntegerField()
    known_from = models.DateTimeField()
    known_to = models.DateTimeField(null=True)
    event_time = models.DateTimeField()
    identity = models.UUIDField()
    edge_set_id = models.BigIntegerField()

    class Meta:
        indexes = [
            models.Index(fields=["edge_set_id"], condition=models.Q(known_to__isnull=True), name="lineage_claim_now"),
            models.Index(fields=["edge_set_id", "known_from"], name="lineage_claim_then"),
            models.Index(fields=["dataset_id"], name="lineage_claim_dataset"),
        ]


class FieldEdge(models.Model):
    """From a field (0: the whole dataset) to a field (0: the whole dataset).

    ``direct`` is false when every transformation is INDIRECT (filter, join, …); ``masking`` is true when no direct
    transformation lets the value through unmasked.
    """

    pk = models.CompositePrimaryKey("edge_set_id", "source_dataset_id", "source_field_id", "target_field_id")
    edge_set_id = models.BigIntegerField()
    source_dataset_id = models.BigIntegerField()
    source_field_id = models.BigIntegerField()
    target_dataset_id = models.BigIntegerField()
    target_field_id = models.BigIntegerField()
    direct = models.BooleanField()
    masking = models.BooleanField()
    transformations = models.JSONField()

    class Meta:
        indexes = [
            models.Index(fields=["source_field_id"], condition=~models.Q(source_field_id=0), name="lineage_fieldedge_source"),
            models.Index(fields=["target_field_id"], condition=~models.Q(target_field_id=0), name="lineage_fieldedge_target"),
            models.Index(fields=["target_dataset_id"], condition=models.Q(target_field_id=0), name="lineage_fieldedge_into"),
            models.Index(fields=["source_dataset_id"], condition=models.Q(source_field_id=0), name="lineage_fieldedge_from"),
        ]
