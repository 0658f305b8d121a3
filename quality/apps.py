from django.apps import AppConfig


class QualityConfig(AppConfig):
    name = "quality"

    def ready(self) -> None:
        from controlplane.subjects.registry import exempt

        exempt("quality", reason="Verdicts hold ratios and counts of rules, never values of the data.")
