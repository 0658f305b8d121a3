from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = "catalog"

    def ready(self) -> None:
        from catalog import overlays, panels  # noqa: F401  (over the lineage graph; sidebar and search)
        from catalog.subject_holdings import NamedInContracts
        from controlplane.subjects.registry import register

        register(NamedInContracts())
