from django.apps import AppConfig


class HomeConfig(AppConfig):
    name = "controlplane.home"
    label = "home"
