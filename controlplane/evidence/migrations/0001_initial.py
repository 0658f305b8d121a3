import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("pipeline", "0003_step_rows"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Reproduction",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("kpi", models.CharField(max_length=60)),
                ("business_date", models.DateField()),
                (
                    "source",
                    models.CharField(
                        choices=[("bronze", "from the raw files"), ("delta", "from the lake's versions")],
                        default="bronze",
                        max_length=10,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("queued", "Queued"), ("running", "Running"), ("done", "Done"), ("failed", "Failed")],
                        default="queued",
                        max_length=10,
                    ),
                ),
                (
                    "progress",
                    models.JSONField(default=dict, help_text="{done, total, now, files_checked, files_total}"),
                ),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("reproduced", "Reproduced"),
                            ("reproduced_except_erasure", "Reproduced, except for an erasure"),
                            ("differs", "Differs"),
                            ("not_reproducible", "Not reproducible any more"),
                        ],
                        max_length=30,
                    ),
                ),
                ("result", models.JSONField(default=dict, help_text="what was found; see docs/evidence.md")),
                ("error", models.TextField(blank=True)),
                ("attempts", models.IntegerField(default=0)),
                ("correlation_id", models.CharField(blank=True, max_length=64)),
                ("requested_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("heartbeat_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "started_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="reproductions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "value",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reproductions",
                        to="pipeline.kpivalue",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(fields=["kpi", "business_date", "-id"], name="reproduction_figure"),
                    models.Index(
                        condition=models.Q(("state__in", ["queued", "running"])),
                        fields=["state"],
                        name="reproduction_open",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state__in", ["queued", "running"])),
                        fields=("value", "source"),
                        name="reproduction_one_at_a_time",
                    )
                ],
            },
        ),
    ]
