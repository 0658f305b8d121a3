from django.apps import AppConfig


class LakeConfig(AppConfig):
    name = "controlplane.lake"
    label = "lake"
