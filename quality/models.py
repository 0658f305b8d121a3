"""Verdicts on datasets, whoever measured them."""

from django.db import models


class ResultStatus(models.TextChoices):
    PASSING = "passing", "Passing"
    FAILING = "failing", "Failing"
    ERROR = "error", "Error"  # the rule could not be evaluated; not the same as failing


class QualityResult(models.Model):
    """One rule's verdict on one refresh of a dataset. Holds no values of the data."""

    dataset = models.CharField(max_length=200)
    rule = models.CharField(max_length=200)
    column = models.CharField(max_length=200, blank=True)
    status = models.CharField(max_length=10, choices=ResultStatus.choices)
    observed = models.FloatField(help_text="ratio (0 to 1) or rows, as unit says")
    limit = models.FloatField()
    unit = models.CharField(max_length=10)
    critical = models.BooleanField(default=False)
    run_key = models.CharField(max_length=64, help_text="step or outside run that was judged")
    evaluated_at = models.DateTimeField()
    source = models.CharField(max_length=40, default="gate")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run_key", "dataset", "rule"], name="quality_result_once")]
        indexes = [models.Index(fields=["dataset", "-evaluated_at"], name="quality_result_dataset")]
        ordering = ["-evaluated_at", "id"]

    def __str__(self) -> str:
        return f"{self.dataset} {self.rule}: {self.status}"
