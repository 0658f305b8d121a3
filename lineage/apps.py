from django.apps import AppConfig


class LineageConfig(AppConfig):
    name = "lineage"

    def ready(self) -> None:
        from lineage import handlers, panels  # noqa: F401  (outbox topics, tickers; sidebar, search, picture)
