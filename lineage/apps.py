from django.apps import AppConfig


class LineageConfig(AppConfig):
    name = "lineage"

    def ready(self) -> None:
        from lineage import handlers, panels, subject_holdings  # noqa: F401  (each registers what it holds)
