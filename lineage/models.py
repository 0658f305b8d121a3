"""The event store and what is folded out of it.

Identifiers of nodes and sets are a function of names and content (``domain.ids``), so tables refer to each other by value:
there are no foreign keys, no look-up precedes a write, and a rebuild gives the same rows. Every projected table can be
dropped and folded again; only ``Event``, ``EventIdentity`` and ``Quarantine`` are records.
"""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models


class Event(models.Model):
    """An accepted event, verbatim.

    Partitioned by ``recorded_at`` (raw SQL in the migration), so retention drops partitions. ``body`` is text, not jsonb:
    jsonb refuses NUL and half surrogate pairs, drops repeated keys and costs a parse per insert. May hold personal data.
    """

    pk = models.CompositePrimaryKey("recorded_at", "id")
    recorded_at = models.DateTimeField()
    id = models.BigIntegerField()
    identity = models.UUIDField()
    kind = models.CharField(max_length=7)
    event_type = models.CharField(max_length=16)
    event_time = models.DateTimeField()
    run_id = models.UUIDField(null=True)
    job_id = models.BigIntegerField(null=True)
    producer = models.CharField(max_length=100)
    body = models.TextField()

    class Meta:
        managed = False
        db_table = "lineage_event"


class EventIdentity(models.Model):
    """Ledger of what was ever accepted: not partitioned, outlives bodies, holds a keyed hash and no content."""

    identity = models.UUIDField(primary_key=True)
    event_id = models.BigIntegerField()
    recorded_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "event identities"


class Pending(models.Model):
    """Events that wait for projection. Projectors claim rows with SKIP LOCKED; a cursor over ids would skip late commits."""

    event_id = models.BigIntegerField(primary_key=True)
    recorded_at = models.DateTimeField()
    size_bytes = models.IntegerField()

    class Meta:
        verbose_name_plural = "pending"


class Quarantine(models.Model):
    """A body that was refused, kept for its producer to see. May hold personal data."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        REPLAYED = "replayed", "Replayed"
        DISMISSED = "dismissed", "Dismissed"

    class Stage(models.TextChoices):
        INGEST = "ingest", "Refused at ingest"
        PROJECTION = "projection", "Accepted, not understood by the projection"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    received_at = models.DateTimeField()
    last_received_at = models.DateTimeField()
    times = models.IntegerField(default=1)
    producer = models.CharField(max_length=100)
    namespace = models.TextField(blank=True)
    stage = models.CharField(max_length=10, choices=Stage.choices, default=Stage.INGEST)
    state = models.CharField(max_length=9, choices=State.choices, default=State.OPEN)
    path = models.TextField()
    reason = models.TextField()
    body = models.TextField()
    body_bytes = models.IntegerField()
    digest = models.UUIDField()
    event_id = models.BigIntegerField(null=True)

    class Meta:
        verbose_name = "refused event"
        constraints = [
            models.UniqueConstraint(fields=["digest", "producer", "stage"], name="lineage_quarantine_once"),
        ]
        indexes = [models.Index(fields=["producer", "-last_received_at"], name="lineage_quarantine_producer")]

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


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


class Symlink(models.Model):
    """Another name of a dataset. ``alias_id`` is the identifier a dataset of that name has or would have."""

    id = models.BigIntegerField(primary_key=True)
    dataset_id = models.BigIntegerField()
    alias_id = models.BigIntegerField()
    namespace = models.TextField()
    name = models.TextField()
    type = models.CharField(max_length=64)
    known_from = models.DateTimeField()
    last_time = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["dataset_id"], name="lineage_symlink_dataset"),
            models.Index(fields=["alias_id"], name="lineage_symlink_alias"),
        ]

    def __str__(self) -> str:
        return f"{self.namespace} {self.name}"


class SymlinkWord(models.Model):
    """When a symlink was stated (``link_id``) or all of a dataset's were removed (0): their history.

    The first statement of each; further ones only of a dataset whose symlinks were ever removed.
    """

    pk = models.CompositePrimaryKey("dataset_id", "link_id", "known_from", "event_time")
    dataset_id = models.BigIntegerField()
    link_id = models.BigIntegerField()
    known_from = models.DateTimeField()
    event_time = models.DateTimeField()


class Life(models.Model):
    """The ends of a dataset (dropped, renamed), and what wrote it since: see ``domain.places``."""

    pk = models.CompositePrimaryKey("dataset_id", "event_time", "identity", "alive")
    dataset_id = models.BigIntegerField()
    event_time = models.DateTimeField()
    identity = models.UUIDField()
    known_from = models.DateTimeField()
    alive = models.BooleanField()
    renamed_to = models.BigIntegerField(null=True)

    class Meta:
        verbose_name_plural = "lives"
        indexes = [
            models.Index(fields=["renamed_to"], condition=models.Q(renamed_to__isnull=False), name="lineage_life_renamed")
        ]


class Place(models.Model):
    """The node that a dataset's name leads to: intervals of knowledge, those that hold now are open.

    What was said of the name after ``after_*`` (null: ever) up to ``until_*`` (null: still) leads to ``node_id``, in the order
    of (event time, identity). A name without an open place is gone.
    """

    id = models.BigIntegerField(primary_key=True)
    dataset_id = models.BigIntegerField()
    known_from = models.DateTimeField()
    known_to = models.DateTimeField(null=True)
    after_time = models.DateTimeField(null=True)
    after_identity = models.UUIDField(null=True)
    until_time = models.DateTimeField(null=True)
    until_identity = models.UUIDField(null=True)
    node_id = models.BigIntegerField()

    class Meta:
        indexes = [
            models.Index(fields=["dataset_id", "known_to"], name="lineage_place_dataset"),
            models.Index(fields=["node_id"], name="lineage_place_node"),
        ]


class Retention(models.Model):
    """Events that retention removed: those recorded before ``cut``. What they said stands in the snapshot made then.

    A record, not a projection: it is what provenance cites for an event that is gone.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    cut = models.DateTimeField(unique=True)
    partitions = ArrayField(models.TextField())
    events = models.BigIntegerField()
    first_recorded_at = models.DateTimeField(null=True)
    last_recorded_at = models.DateTimeField(null=True)
    rows = models.JSONField(help_text="rows of the snapshot, by table")
    finished_at = models.DateTimeField()

    class Meta:
        ordering = ["-cut"]

    def __str__(self) -> str:
        return f"events before {self.cut:%Y-%m-%d}"


class ForwardTarget(models.Model):
    """How far another OpenLineage server has been sent our events: everything recorded up to ``position`` went there.

    ``claimed_until`` keeps two senders apart; ``attempts`` and ``due_at`` hold the back-off while it cannot take the next one.
    """

    name = models.CharField(max_length=63, primary_key=True)
    url = models.CharField(max_length=1000)
    started_at = models.DateTimeField()
    position = models.DateTimeField()
    position_id = models.BigIntegerField(default=0)
    sent = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0)
    attempts = models.IntegerField(default=0)
    due_at = models.DateTimeField()
    claimed_until = models.DateTimeField(null=True)
    claim = models.UUIDField(null=True)
    last_sent_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ForwardRefusal(models.Model):
    """An event that another server would not take: a dead letter, until somebody sends it again."""

    target = models.ForeignKey(ForwardTarget, on_delete=models.CASCADE, related_name="refusals")
    event_id = models.BigIntegerField()
    recorded_at = models.DateTimeField()
    refused_at = models.DateTimeField()
    status = models.IntegerField()
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["target", "event_id"], name="lineage_forward_refusal_once")]

    def __str__(self) -> str:
        return f"{self.target_id} {self.event_id}"


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
