from django.apps import AppConfig


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
