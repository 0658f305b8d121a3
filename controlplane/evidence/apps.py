from django.apps import AppConfig


class EvidenceConfig(AppConfig):
    name = "controlplane.evidence"
    label = "evidence"

    def ready(self) -> None:
        from controlplane.evidence import panels, tasks  # noqa: F401  (panels: sidebar and search)
        from controlplane.outbox.registry import ticker
        from controlplane.subjects.registry import exempt

        ticker("evidence.reproductions", 5.0)(tasks.tick_reproductions)
        exempt("evidence", reason="Reproductions name datasets, files and figures, never people but who started them.")
