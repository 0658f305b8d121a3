import uuid

import django.contrib.postgres.fields
from django.db import migrations, models

FOLD_AGAIN = """
TRUNCATE lineage_namespace, lineage_dataset, lineage_job, lineage_run, lineage_field,
    lineage_datasetversion, lineage_facet, lineage_runfacet, lineage_ioset, lineage_edgeset,
    lineage_edgeclaim, lineage_fieldedge, lineage_symlink;
INSERT INTO lineage_pending (event_id, recorded_at, size_bytes)
    SELECT id, recorded_at, octet_length(body) FROM lineage_event ON CONFLICT DO NOTHING;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("lineage", "0001_initial"),
    ]

    operations = [
        # Edges become intervals, and the graph says more than before: every stored event is folded again in the background.
        migrations.RunSQL(FOLD_AGAIN, migrations.RunSQL.noop),
        migrations.DeleteModel(name="Edge"),
        migrations.CreateModel(
            name="Edge",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "job_id",
                        "dataset_id",
                        "direction",
                        "node_id",
                        "known_from",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("job_id", models.BigIntegerField()),
                ("dataset_id", models.BigIntegerField()),
                ("direction", models.SmallIntegerField()),
                ("node_id", models.BigIntegerField()),
                ("explicit", models.BooleanField()),
                ("known_from", models.DateTimeField()),
                ("known_to", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["node_id", "direction", "job_id"], name="lineage_edge_node"),
                    models.Index(fields=["dataset_id"], name="lineage_edge_dataset"),
                    models.Index(fields=["job_id", "known_to"], name="lineage_edge_job"),
                ],
            },
        ),
        migrations.DeleteModel(name="Life"),
        migrations.CreateModel(
            name="Life",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "dataset_id",
                        "event_time",
                        "identity",
                        "alive",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
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
                "indexes": [
                    models.Index(
                        condition=models.Q(("renamed_to__isnull", False)), fields=["renamed_to"], name="lineage_life_renamed"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Mention",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "dataset_id", "job_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("dataset_id", models.BigIntegerField()),
                ("job_id", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Place",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("dataset_id", models.BigIntegerField()),
                ("known_from", models.DateTimeField()),
                ("known_to", models.DateTimeField(null=True)),
                ("after_time", models.DateTimeField(null=True)),
                ("after_identity", models.UUIDField(null=True)),
                ("until_time", models.DateTimeField(null=True)),
                ("until_identity", models.UUIDField(null=True)),
                ("node_id", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Retention",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("cut", models.DateTimeField(unique=True)),
                ("partitions", django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
                ("events", models.BigIntegerField()),
                ("first_recorded_at", models.DateTimeField(null=True)),
                ("last_recorded_at", models.DateTimeField(null=True)),
                ("rows", models.JSONField(help_text="rows of the snapshot, by table")),
                ("finished_at", models.DateTimeField()),
            ],
            options={
                "ordering": ["-cut"],
            },
        ),
        migrations.CreateModel(
            name="Statement",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "job_id", "known_from", "identity", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("job_id", models.BigIntegerField()),
                ("known_from", models.DateTimeField()),
                ("identity", models.UUIDField()),
                ("event_time", models.DateTimeField()),
                ("run_id", models.UUIDField()),
                ("io_set_id", models.BigIntegerField()),
                ("done", models.BooleanField()),
                ("effect", models.BooleanField()),
                ("run_first_time", models.DateTimeField(null=True)),
                ("run_first_identity", models.UUIDField(null=True)),
                ("run_done_time", models.DateTimeField(null=True)),
                ("run_done_identity", models.UUIDField(null=True)),
                ("base_run_id", models.UUIDField(null=True)),
                ("base_time", models.DateTimeField(null=True)),
                ("base_identity", models.UUIDField(null=True)),
                ("floor_time", models.DateTimeField(null=True)),
                ("floor_identity", models.UUIDField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="SymlinkWord",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "dataset_id",
                        "link_id",
                        "known_from",
                        "event_time",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("dataset_id", models.BigIntegerField()),
                ("link_id", models.BigIntegerField()),
                ("known_from", models.DateTimeField()),
                ("event_time", models.DateTimeField()),
            ],
        ),
        migrations.RemoveIndex(
            model_name="edgeclaim",
            name="lineage_claim_set",
        ),
        migrations.AddField(
            model_name="ioset",
            name="explicit",
            field=django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, size=None),
        ),
        migrations.AddIndex(
            model_name="edgeclaim",
            index=models.Index(
                condition=models.Q(("known_to__isnull", True)), fields=["edge_set_id"], name="lineage_claim_now"
            ),
        ),
        migrations.AddIndex(
            model_name="edgeclaim",
            index=models.Index(fields=["edge_set_id", "known_from"], name="lineage_claim_then"),
        ),
        migrations.AddIndex(
            model_name="place",
            index=models.Index(fields=["dataset_id", "known_to"], name="lineage_place_dataset"),
        ),
        migrations.AddIndex(
            model_name="place",
            index=models.Index(fields=["node_id"], name="lineage_place_node"),
        ),
        migrations.AddIndex(
            model_name="statement",
            index=models.Index(fields=["job_id", "run_id", "known_from"], name="lineage_statement_run"),
        ),
        migrations.AddIndex(
            model_name="statement",
            index=models.Index(fields=["job_id", "event_time"], name="lineage_statement_time"),
        ),
    ]
