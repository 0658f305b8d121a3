from django.apps import AppConfig


class SubjectsConfig(AppConfig):
    name = "controlplane.subjects"
    label = "subjects"
