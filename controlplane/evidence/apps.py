from django.apps import AppConfig


class EvidenceConfig(AppConfig):
    name = "controlplane.evidence"
    label = "evidence"

    def ready(self) -> None:
        from controlplane.evidence import panels  # noqa: F401  (sidebar and search)
