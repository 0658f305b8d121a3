from django.apps import AppConfig

from controlplane.telemetry import metrics

# App configurations are imported before anything that may import the Prometheus client.
metrics.prepare()


class TelemetryConfig(AppConfig):
    name = "controlplane.telemetry"
    label = "telemetry"

    def ready(self) -> None:
        from controlplane.telemetry import (
            health,
            tasks,  # noqa: F401  (connects Celery's signals)
        )

        health.register("database", health.check_database)
        health.register("migrations", health.check_migrations)
        health.register("redis", health.check_redis)
