"""KPIs as gauges, for Grafana and Prometheus' alerts. Set by the relay: it runs wherever Touchstone does."""

from __future__ import annotations

from django.utils import timezone

from controlplane.outbox.registry import ticker
from controlplane.telemetry.metrics import gauge
from pipeline.selectors_kpi import kpi_readings

VALUE = gauge("kpi_value", "Newest value of a KPI, in its unit; NaN while it is not defined", "kpi", "unit")
AGE = gauge("kpi_age_seconds", "Time since a KPI was last refreshed", "kpi")
MAX_AGE = gauge("kpi_max_age_seconds", "The age up to which a KPI is on time", "kpi")


@ticker("kpi-metrics", every_s=10)
def measure() -> None:
    now = timezone.now()
    for reading in kpi_readings(now):
        value = float("nan") if reading.value is None else float(reading.value)
        VALUE.set(value, kpi=reading.kpi.key, unit=reading.kpi.unit)
        age_s = reading.freshness.age_s(now)
        if age_s is not None:
            AGE.set(age_s, kpi=reading.kpi.key)
        MAX_AGE.set(reading.freshness.max_age_s, kpi=reading.kpi.key)
