from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = "catalog"

    def ready(self) -> None:
        from catalog import panels  # noqa: F401  (sidebar and search)
        from catalog.subject_holdings import NamedInContracts
        from controlplane.subjects.registry import register

        register(NamedInContracts())
