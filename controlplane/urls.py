"""Every address of the service. The admin site comes last: it answers everything below ``/`` that nothing above it took."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from controlplane.accounts.permissions import HasRole, require_role
from controlplane.accounts.roles import Role
from controlplane.accounts.views import internal_or_role
from controlplane.home import views as home
from controlplane.telemetry import views as telemetry

# The description of the API holds no data, so every role may read it, producers' keys too.
schema = SpectacularAPIView.as_view(permission_classes=[HasRole(*Role)])
docs = require_role(*Role)(SpectacularSwaggerSplitView.as_view(url_name="api_schema", permission_classes=[HasRole(*Role)]))

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", telemetry.healthz, name="healthz"),
    path("readyz", telemetry.readyz, name="readyz"),
    path("metrics", internal_or_role("oncall", "auditor")(telemetry.metrics), name="metrics"),
    path("", include("controlplane.keys.urls")),
    path("find/", home.find, name="find"),
    path("live/home/", home.home_live, name="home_live"),
    path("system/", home.system, name="system"),
    path("system/live/", home.system_live, name="system_live"),
    path("api/schema", schema, name="api_schema"),
    path("api/docs", docs, name="api_docs"),
    path("api/", include("catalog.api.urls")),
    path("api/", include("pipeline.api.urls")),
    path("api/", include("controlplane.evidence.api.urls")),
    path("", include("lineage.urls")),
    path("", include("catalog.urls")),
    path("", include("pipeline.urls")),
    path("", include("controlplane.evidence.urls")),
    path("", admin.site.urls),
]
