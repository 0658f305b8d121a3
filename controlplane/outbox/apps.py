from django.apps import AppConfig


class OutboxConfig(AppConfig):
    name = "controlplane.outbox"
    label = "outbox"

    def ready(self) -> None:
        from controlplane.outbox import (
            handlers,  # noqa: F401  (registers its topic)
            housekeeping,
        )
        from controlplane.telemetry import health

        health.register("relay", housekeeping.check_relay)
