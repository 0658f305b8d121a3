from django.apps import AppConfig


class LineageConfig(AppConfig):
    name = "lineage"

    def ready(self) -> None:
        from lineage import handlers  # noqa: F401  (registers the outbox topics and the tickers)
