"""Which node a name leads to, and when it was there: symlinks, drops, renames."""

from __future__ import annotations

from django.db import models


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
