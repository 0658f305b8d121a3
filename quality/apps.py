from django.apps import AppConfig


class QualityConfig(AppConfig):
    name = "quality"

    def ready(self) -> None:
        from controlplane.subjects.registry import exempt
        from quality import overlays  # noqa: F401  (over the lineage graph)

        exempt("quality", reason="Verdicts hold ratios and counts of rules, never values of the data.")
