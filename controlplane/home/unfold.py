"""Unfold's configuration: names, colours, sidebar, environment badge. Settings import ``UNFOLD`` from here.

Nothing is imported from Django's apps at module level: settings are not loaded yet when this file is read.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

ENVIRONMENT_TONES = {"qa": "warning", "development": "info"}


def environment(_request: HttpRequest) -> tuple[str, str] | None:
    """The badge beside the title. Production has none: what differs from it is what must stand out."""
    from django.conf import settings

    name = settings.ENV.environment
    return None if name == "production" else (name.upper() if name == "qa" else name.capitalize(), ENVIRONMENT_TONES[name])


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar, from what the apps registered, without pages that do not exist or are not open to the reader."""
    from django.urls import NoReverseMatch, reverse

    from controlplane.accounts.permissions import user_has_role
    from controlplane.accounts.roles import Role
    from controlplane.ui import registry

    groups: dict[str, list[dict[str, Any]]] = {}
    found: list[dict[str, Any]] = []
    for item in registry.nav_items():
        if not user_has_role(request.user, *item.roles, Role.AUDITOR):
            continue
        try:
            url = reverse(item.url_name)
        except NoReverseMatch:
            continue
        active = request.path == url if url == "/" else request.path.startswith(url)
        found.append({"title": item.title, "icon": item.icon, "link": url, "active": active})
        groups.setdefault(item.group, []).append(found[-1])
    # Of entries whose addresses lie below one another, the nearest is where the reader is.
    nearest = max((len(entry["link"]) for entry in found if entry["active"]), default=0)
    for entry in found:
        entry["active"] = entry["active"] and len(entry["link"]) == nearest
    return [{"title": title, "items": items} for title, items in groups.items()]


def favicon(_request: HttpRequest) -> str:
    from django.templatetags.static import static

    return static("touchstone/logo.svg")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Touchstone",
    "SITE_HEADER": "Touchstone",
    "SITE_URL": None,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": favicon}],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "ENVIRONMENT": "controlplane.home.unfold.environment",
    "BORDER_RADIUS": "7px",
    "COLORS": {
        "base": {
            "50": "oklch(98.4% .003 264)",
            "100": "oklch(96.5% .005 264)",
            "200": "oklch(92.6% .008 264)",
            "300": "oklch(86.5% .013 262)",
            "400": "oklch(70% .024 262)",
            "500": "oklch(54% .03 262)",
            "600": "oklch(45% .032 262)",
            "700": "oklch(36.5% .033 263)",
            "800": "oklch(28.5% .03 264)",
            "900": "oklch(22.5% .024 264)",
            "950": "oklch(16% .02 264)",
        },
        "primary": {
            "50": "oklch(97.2% .014 262)",
            "100": "oklch(94% .03 262)",
            "200": "oklch(88.5% .058 262)",
            "300": "oklch(81% .1 262)",
            "400": "oklch(71% .15 262)",
            "500": "oklch(60.5% .19 262)",
            "600": "oklch(51% .19 263)",
            "700": "oklch(45% .18 264)",
            "800": "oklch(39.5% .15 264)",
            "900": "oklch(34% .115 264)",
            "950": "oklch(25% .08 264)",
        },
        "font": {
            "subtle-light": "var(--color-base-600)",
            "subtle-dark": "var(--color-base-400)",
            "default-light": "var(--color-base-800)",
            "default-dark": "var(--color-base-200)",
            "important-light": "var(--color-base-900)",
            "important-dark": "var(--color-base-100)",
        },
    },
    "SIDEBAR": {"show_search": False, "navigation": navigation},
}
