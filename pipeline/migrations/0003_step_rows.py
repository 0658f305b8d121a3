import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("pipeline", "0002_provenance"),
    ]

    operations = [
        migrations.CreateModel(
            name="StepRows",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("rows", django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None)),
                (
                    "bronze_file",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="pipeline.bronzefile"),
                ),
                (
                    "step",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="judged_rows", to="pipeline.step"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("step", "bronze_file"), name="step_rows_once")],
            },
        ),
    ]
