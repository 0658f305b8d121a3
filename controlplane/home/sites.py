"""The admin site: Touchstone's frame around every page, and the home page at ``/``."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, path
from unfold.sites import UnfoldAdminSite

from controlplane.accounts.roles import Role
from controlplane.accounts.selectors import roles_of


class TouchstoneSite(UnfoldAdminSite):  # type: ignore[misc]
    """Open to people who hold at least one role; each page and model then asks for its own."""

    login_template = "home/login.html"
    site_title = "Touchstone"
    index_title = "Home"

    def has_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and roles_of(request.user))

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context: dict[str, Any] = super().each_context(request)
        held = roles_of(request.user)
        context["role_names"] = ", ".join(str(role.label) for role in Role if role.value in held)
        return context

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        from controlplane.home.views import home

        return home(request)  # type: ignore[return-value]

    def get_urls(self) -> list[URLPattern | URLResolver]:
        return [path("records/", self.admin_view(self.records), name="records"), *super().get_urls()]

    def records(self, request: HttpRequest) -> HttpResponse:
        """Every model the reader may see: the plain list behind the composed pages."""
        from controlplane.ui.pages import render_page

        return render_page(request, "home/records.html", {"app_list": self.get_app_list(request)}, title="All records")
