from django.apps import AppConfig


class SubjectsConfig(AppConfig):
    name = "controlplane.subjects"
    label = "subjects"

    def ready(self) -> None:
        from controlplane.subjects.lower import register_lower

        register_lower()
