"""Published figures."""

from django.db import models


class KpiValue(models.Model):
    """A KPI's figure for a business day as a run published it. A new row whenever the figure changed."""

    kpi = models.CharField(max_length=60)
    business_date = models.DateField()
    value = models.DecimalField(max_digits=24, decimal_places=6, null=True, help_text="null: not defined")
    numerator = models.DecimalField(max_digits=24, decimal_places=6, null=True)
    denominator = models.DecimalField(max_digits=24, decimal_places=6, null=True)
    as_of = models.DateTimeField()
    computed_at = models.DateTimeField()
    step = models.ForeignKey("pipeline.Step", on_delete=models.PROTECT, related_name="kpi_values")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kpi", "business_date", "step"], name="kpi_value_once_per_step")]
        indexes = [models.Index(fields=["kpi", "-business_date", "-id"], name="kpi_value_latest")]
        ordering = ["-business_date", "-id"]

    def __str__(self) -> str:
        return f"{self.kpi} {self.business_date}"
