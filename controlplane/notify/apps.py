from django.apps import AppConfig


class NotifyConfig(AppConfig):
    name = "controlplane.notify"
    label = "notify"
