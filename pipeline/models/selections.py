"""Which records of a file a step judged, when it was not all of them."""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class StepRows(models.Model):
    """Records (0-based ordinals) of a Bronze file that a Silver step judged again; a step without a row here judged them all.

    Without it nobody could tell later under which contract version a record was accepted.
    """

    step = models.ForeignKey("pipeline.Step", on_delete=models.CASCADE, related_name="judged_rows")
    bronze_file = models.ForeignKey("pipeline.BronzeFile", on_delete=models.CASCADE, related_name="+")
    rows = ArrayField(models.BigIntegerField())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["step", "bronze_file"], name="step_rows_once")]

    def __str__(self) -> str:
        return f"{len(self.rows)} records"
