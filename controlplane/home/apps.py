from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class HomeConfig(AppConfig):
    name = "controlplane.home"
    label = "home"

    def ready(self) -> None:
        from controlplane.home import (
            kpi_metrics,  # noqa: F401  (adds a ticker)
            registrations,  # noqa: F401  (adds the home page and the pages' search)
        )
        from controlplane.settings.checks import register_checks

        register_checks()


class TouchstoneAdminConfig(admin_apps.AdminConfig):
    """Takes the place of ``django.contrib.admin`` in INSTALLED_APPS, so that every ``@admin.register`` finds our site."""

    default_site = "controlplane.home.sites.TouchstoneSite"
    default = False
