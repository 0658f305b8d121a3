import uuid

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations, models

# Django knows no partitions: the table is made here, `lineage.services.partitions` adds the weeks to come.
# lz4 halves the time that long bodies cost, where the server was built with it.
EVENT_STORE = """
CREATE SEQUENCE lineage_event_seq;
CREATE TABLE lineage_event (
    recorded_at timestamptz NOT NULL,
    id bigint NOT NULL,
    identity uuid NOT NULL,
    kind varchar(7) NOT NULL,
    event_type varchar(16) NOT NULL,
    event_time timestamptz NOT NULL,
    run_id uuid,
    job_id bigint,
    producer varchar(100) NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (recorded_at, id)
) PARTITION BY RANGE (recorded_at);
CREATE INDEX lineage_event_run ON lineage_event (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX lineage_event_time ON lineage_event (event_time);
DO $$ BEGIN
    IF (SELECT 'lz4' = ANY(enumvals) FROM pg_settings WHERE name = 'default_toast_compression') THEN
        ALTER TABLE lineage_event ALTER COLUMN body SET COMPRESSION lz4;
    END IF;
END $$;
CREATE TABLE lineage_event_default PARTITION OF lineage_event DEFAULT;
"""

# One event in one call: PL/pgSQL keeps the plans of its three inserts, where a statement over a partitioned table is planned
# anew each time. Twice as fast as the statement for batches, which the services use above one event.
STORE_ONE = """
CREATE FUNCTION lineage_event_store(
    in_identity uuid, in_kind text, in_type text, in_time timestamptz, in_run uuid, in_job bigint, in_body text, in_producer text
) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    new_id bigint := nextval('lineage_event_seq');
    moment timestamptz := clock_timestamp();
BEGIN
    INSERT INTO lineage_eventidentity (identity, event_id, recorded_at)
        VALUES (in_identity, new_id, moment) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    INSERT INTO lineage_event (recorded_at, id, identity, kind, event_type, event_time, run_id, job_id, producer, body)
        VALUES (moment, new_id, in_identity, in_kind, in_type, in_time, in_run, in_job, in_producer, in_body);
    INSERT INTO lineage_pending (event_id, recorded_at, size_bytes) VALUES (new_id, moment, octet_length(in_body));
    RETURN 1;
END $$;
-- A queue: rows live for a second, so dead ones must go long before a fifth of the table is dead.
ALTER TABLE lineage_pending SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        TrigramExtension(),
        migrations.RunSQL(EVENT_STORE, "DROP TABLE lineage_event; DROP SEQUENCE lineage_event_seq"),
        migrations.CreateModel(
            name="Event",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "recorded_at", "id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("recorded_at", models.DateTimeField()),
                ("id", models.BigIntegerField()),
                ("identity", models.UUIDField()),
                ("kind", models.CharField(max_length=7)),
                ("event_type", models.CharField(max_length=16)),
                ("event_time", models.DateTimeField()),
                ("run_id", models.UUIDField(null=True)),
                ("job_id", models.BigIntegerField(null=True)),
                ("producer", models.CharField(max_length=100)),
                ("body", models.TextField()),
            ],
            options={
                "db_table": "lineage_event",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="EdgeSet",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("job_id", models.BigIntegerField()),
                ("dataset_id", models.BigIntegerField()),
                ("source", models.SmallIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="EventIdentity",
            fields=[
                ("identity", models.UUIDField(primary_key=True, serialize=False)),
                ("event_id", models.BigIntegerField()),
                ("recorded_at", models.DateTimeField()),
            ],
            options={
                "verbose_name_plural": "event identities",
            },
        ),
        migrations.CreateModel(
            name="Facet",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "subject_kind", "subject_id", "name", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("subject_kind", models.CharField(max_length=7)),
                ("subject_id", models.BigIntegerField()),
                ("name", models.TextField()),
                ("event_time", models.DateTimeField()),
                ("identity", models.UUIDField()),
                ("recorded_at", models.DateTimeField()),
                ("deleted", models.BooleanField()),
                ("digest", models.CharField(max_length=32)),
                ("body", models.JSONField()),
            ],
        ),
        migrations.CreateModel(
            name="Life",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "dataset_id", "event_time", "identity", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("dataset_id", models.BigIntegerField()),
                ("event_time", models.DateTimeField()),
                ("identity", models.UUIDField()),
                ("known_from", models.DateTimeField()),
                ("alive", models.BooleanField()),
                ("renamed_to", models.BigIntegerField(null=True)),
            ],
            options={
                "verbose_name_plural": "lives",
            },
        ),
        migrations.CreateModel(
            name="Namespace",
            fields=[
                ("name", models.TextField(primary_key=True, serialize=False)),
                ("known_from", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Pending",
            fields=[
                ("event_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("recorded_at", models.DateTimeField()),
                ("size_bytes", models.IntegerField()),
            ],
            options={
                "verbose_name_plural": "pending",
            },
        ),
        migrations.CreateModel(
            name="Dataset",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("node_id", models.BigIntegerField()),
                ("namespace", models.TextField()),
                ("name", models.TextField()),
                ("seen", models.BooleanField()),
                ("known_from", models.DateTimeField()),
                ("last_event_at", models.DateTimeField()),
                ("write_time", models.DateTimeField(null=True)),
                ("write_identity", models.UUIDField(null=True)),
                ("drop_time", models.DateTimeField(null=True)),
                ("drop_identity", models.UUIDField(null=True)),
                ("renamed_to", models.BigIntegerField(null=True)),
                ("symlinks_removed_at", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["node_id"], name="lineage_dataset_node"),
                    models.Index(fields=["namespace"], name="lineage_dataset_namespace"),
                    django.contrib.postgres.indexes.GinIndex(
                        fields=["name"], name="lineage_dataset_search", opclasses=["gin_trgm_ops"]
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="DatasetVersion",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("dataset_id", models.BigIntegerField()),
                ("kind", models.CharField(max_length=8)),
                ("version", models.TextField()),
                ("run_id", models.UUIDField(null=True)),
                ("first_time", models.DateTimeField()),
                ("first_identity", models.UUIDField()),
                ("known_from", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["dataset_id", "-first_time"], name="lineage_version_dataset")],
            },
        ),
        migrations.CreateModel(
            name="Edge",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "job_id", "dataset_id", "direction", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("job_id", models.BigIntegerField()),
                ("dataset_id", models.BigIntegerField()),
                ("direction", models.SmallIntegerField()),
                ("node_id", models.BigIntegerField()),
                ("explicit", models.BooleanField()),
                ("known_from", models.DateTimeField()),
                ("last_time", models.DateTimeField()),
            ],
            options={
                "indexes": [
                    models.Index(fields=["node_id", "direction", "job_id"], name="lineage_edge_node"),
                    models.Index(fields=["dataset_id"], name="lineage_edge_dataset"),
                ],
            },
        ),
        migrations.CreateModel(
            name="EdgeClaim",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "job_id",
                        "dataset_id",
                        "source",
                        "known_from",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("job_id", models.BigIntegerField()),
                ("dataset_id", models.BigIntegerField()),
                ("source", models.SmallIntegerField()),
                ("known_from", models.DateTimeField()),
                ("known_to", models.DateTimeField(null=True)),
                ("event_time", models.DateTimeField()),
                ("identity", models.UUIDField()),
                ("edge_set_id", models.BigIntegerField()),
            ],
            options={
                "indexes": [
                    models.Index(fields=["edge_set_id"], name="lineage_claim_set"),
                    models.Index(fields=["dataset_id"], name="lineage_claim_dataset"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Field",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("dataset_id", models.BigIntegerField()),
                ("name", models.TextField()),
                ("known_from", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["dataset_id"], name="lineage_field_dataset")],
            },
        ),
        migrations.CreateModel(
            name="FieldEdge",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "edge_set_id",
                        "source_dataset_id",
                        "source_field_id",
                        "target_field_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("edge_set_id", models.BigIntegerField()),
                ("source_dataset_id", models.BigIntegerField()),
                ("source_field_id", models.BigIntegerField()),
                ("target_dataset_id", models.BigIntegerField()),
                ("target_field_id", models.BigIntegerField()),
                ("direct", models.BooleanField()),
                ("masking", models.BooleanField()),
                ("transformations", models.JSONField()),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("source_field_id", 0), _negated=True),
                        fields=["source_field_id"],
                        name="lineage_fieldedge_source",
                    ),
                    models.Index(
                        condition=models.Q(("target_field_id", 0), _negated=True),
                        fields=["target_field_id"],
                        name="lineage_fieldedge_target",
                    ),
                    models.Index(
                        condition=models.Q(("target_field_id", 0)), fields=["target_dataset_id"], name="lineage_fieldedge_into"
                    ),
                    models.Index(
                        condition=models.Q(("source_field_id", 0)), fields=["source_dataset_id"], name="lineage_fieldedge_from"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="IoSet",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("job_id", models.BigIntegerField()),
                ("inputs", django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None)),
                ("outputs", django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None)),
                ("known_from", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["job_id"], name="lineage_ioset_job")],
            },
        ),
        migrations.CreateModel(
            name="Job",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("namespace", models.TextField()),
                ("name", models.TextField()),
                ("known_from", models.DateTimeField()),
                ("last_event_at", models.DateTimeField()),
                ("latest_run_id", models.UUIDField(null=True)),
                ("latest_time", models.DateTimeField(null=True)),
                ("latest_identity", models.UUIDField(null=True)),
                ("parent_namespace", models.TextField(null=True)),
                ("parent_name", models.TextField(null=True)),
                ("parent_time", models.DateTimeField(null=True)),
                ("parent_identity", models.UUIDField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["namespace"], name="lineage_job_namespace"),
                    django.contrib.postgres.indexes.GinIndex(
                        fields=["name"], name="lineage_job_search", opclasses=["gin_trgm_ops"]
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Quarantine",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("received_at", models.DateTimeField()),
                ("last_received_at", models.DateTimeField()),
                ("times", models.IntegerField(default=1)),
                ("producer", models.CharField(max_length=100)),
                ("namespace", models.TextField(blank=True)),
                (
                    "stage",
                    models.CharField(
                        choices=[("ingest", "Refused at ingest"), ("projection", "Accepted, not understood by the projection")],
                        default="ingest",
                        max_length=10,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("open", "Open"), ("replayed", "Replayed"), ("dismissed", "Dismissed")],
                        default="open",
                        max_length=9,
                    ),
                ),
                ("path", models.TextField()),
                ("reason", models.TextField()),
                ("body", models.TextField()),
                ("body_bytes", models.IntegerField()),
                ("digest", models.UUIDField()),
                ("event_id", models.BigIntegerField(null=True)),
            ],
            options={
                "verbose_name": "refused event",
                "indexes": [models.Index(fields=["producer", "-last_received_at"], name="lineage_quarantine_producer")],
                "constraints": [
                    models.UniqueConstraint(fields=("digest", "producer", "stage"), name="lineage_quarantine_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Run",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("run_id", models.TextField()),
                ("job_id", models.BigIntegerField()),
                ("job_time", models.DateTimeField()),
                ("job_identity", models.UUIDField()),
                ("known_from", models.DateTimeField()),
                ("first_time", models.DateTimeField()),
                ("last_time", models.DateTimeField()),
                ("started_at", models.DateTimeField(null=True)),
                ("state", models.CharField(max_length=16)),
                ("state_final", models.SmallIntegerField()),
                ("state_time", models.DateTimeField()),
                ("state_identity", models.UUIDField()),
                ("parent_run_id", models.UUIDField(null=True)),
                ("parent_namespace", models.TextField(null=True)),
                ("parent_name", models.TextField(null=True)),
                ("parent_time", models.DateTimeField(null=True)),
                ("parent_identity", models.UUIDField(null=True)),
                ("root_run_id", models.UUIDField(null=True)),
                ("root_time", models.DateTimeField(null=True)),
                ("root_identity", models.UUIDField(null=True)),
                ("nominal_start", models.DateTimeField(null=True)),
                ("nominal_end", models.DateTimeField(null=True)),
                ("nominal_time", models.DateTimeField(null=True)),
                ("nominal_identity", models.UUIDField(null=True)),
                ("io_sets", django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["job_id", "-first_time"], name="lineage_run_job"),
                    models.Index(fields=["-first_time"], name="lineage_run_time"),
                    models.Index(
                        condition=models.Q(("parent_run_id__isnull", False)),
                        fields=["parent_run_id"],
                        name="lineage_run_parent",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RunFacet",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "run_id",
                        "dataset_id",
                        "direction",
                        "name",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("run_id", models.UUIDField()),
                ("dataset_id", models.BigIntegerField()),
                ("direction", models.SmallIntegerField()),
                ("name", models.TextField()),
                ("event_time", models.DateTimeField()),
                ("identity", models.UUIDField()),
                ("recorded_at", models.DateTimeField()),
                ("deleted", models.BooleanField()),
                ("digest", models.CharField(max_length=32)),
                ("body", models.JSONField()),
            ],
            options={
                "indexes": [models.Index(fields=["dataset_id", "-event_time"], name="lineage_runfacet_dataset")],
            },
        ),
        migrations.CreateModel(
            name="Symlink",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("dataset_id", models.BigIntegerField()),
                ("alias_id", models.BigIntegerField()),
                ("namespace", models.TextField()),
                ("name", models.TextField()),
                ("type", models.CharField(max_length=64)),
                ("known_from", models.DateTimeField()),
                ("last_time", models.DateTimeField()),
            ],
            options={
                "indexes": [
                    models.Index(fields=["dataset_id"], name="lineage_symlink_dataset"),
                    models.Index(fields=["alias_id"], name="lineage_symlink_alias"),
                ],
            },
        ),
        migrations.RunSQL(STORE_ONE, "DROP FUNCTION lineage_event_store"),
    ]
