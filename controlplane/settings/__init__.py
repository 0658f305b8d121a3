"""Django settings. Every value a deployment may change comes from ``env.Env``."""

from __future__ import annotations

import contextlib
import json
import secrets
from typing import Any
from urllib.parse import unquote, urlsplit

from . import env as _env

ENV, ENV_FAULTS = _env.load()
BASE_DIR = _env.ROOT
HOME = ENV.home if ENV.home.is_absolute() else (BASE_DIR / ENV.home)


def _services() -> dict[str, Any]:
    """Addresses of the embedded services, as their supervisor wrote them (empty when it is not running)."""
    try:
        found: dict[str, Any] = json.loads((HOME / "run" / "services.json").read_text())
    except (OSError, ValueError):
        return {}
    return found


def _secret(name: str) -> str:
    """A secret of this installation, made once and kept with mode 600."""
    path = HOME / "secrets" / name
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    value = secrets.token_urlsafe(48)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return value  # a HOME that cannot be written is reported by a system check, which needs settings to run at all
    temporary = path.with_name(f".{name}.{secrets.token_hex(4)}")
    temporary.touch(mode=0o600)
    temporary.write_text(value)
    try:
        path.hardlink_to(temporary)  # two processes starting at once agree on the first value
    except FileExistsError:
        value = path.read_text().strip()
    finally:
        temporary.unlink()
    return value


def _database(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "touchstone",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": 5, "application_name": "touchstone"},
    }


_running = _services()
DATABASE_URL = ENV.database_url or _running.get("database_url") or "postgresql://touchstone@127.0.0.1:5432/touchstone"
REDIS_URL = ENV.redis_url or _running.get("redis_url") or "redis://127.0.0.1:6379/0"
EMBEDDED = {"postgres": ENV.database_url is None, "redis": ENV.redis_url is None}

SECRET_KEY = ENV.secret_key or _secret("django-secret-key")
DEBUG = ENV.debug
ALLOWED_HOSTS = ENV.allowed_hosts
BASE_URL = (ENV.base_url or f"http://localhost:{ENV.port}").rstrip("/")
CSRF_TRUSTED_ORIGINS = [ENV.base_url] if ENV.base_url else []

INSTALLED_APPS = [
    # The first that has a template wins: ours replace Unfold's frame, Unfold's replace the admin's.
    "controlplane.ui",
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "controlplane.home.apps.TouchstoneAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "django_htmx",
    "django_celery_beat",
    # Touchstone, lowest layer first.
    "controlplane.telemetry",
    "controlplane.outbox",
    "controlplane.keys",
    "controlplane.audit",
    "controlplane.accounts",
    "controlplane.notify",
    "controlplane.subjects",
    "controlplane.lake",
    "controlplane.backup",
    "catalog",
    "lineage",
    "quality",
    "privacy",
    "pipeline",
    "controlplane.evidence",
    "controlplane.home",
]

MIDDLEWARE = [
    "controlplane.telemetry.middleware.CorrelationMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "controlplane.urls"
WSGI_APPLICATION = "controlplane.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {"default": _database(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "touchstone",
    }
}
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BASE_URL.startswith("https://")
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["controlplane.accounts.backends.RoleBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

LANGUAGE_CODE = "en-gb"
USE_TZ = True
TIME_ZONE = "UTC"
BUSINESS_TIME_ZONE = ENV.time_zone

STATIC_URL = "static/"
STATIC_ROOT = HOME / "static"
WHITENOISE_USE_FINDERS = True  # a source checkout serves its static files without a collectstatic step
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 2**20

LAKE_URL = ENV.lake_url or str(HOME / "lake")
LANDING_DIR = HOME / "landing"

CELERY_BROKER_URL = ENV.broker_url or REDIS_URL
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CONCURRENCY = ENV.worker_concurrency
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 6 * 3600}
CELERY_TIMEZONE = "UTC"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "controlplane.accounts.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["controlplane.accounts.permissions.DenyAll"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Touchstone API",
    "DESCRIPTION": "Data observability and governance control plane.",
    "VERSION": "0.1.0",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SERVE_INCLUDE_SCHEMA": False,
    # What an operation is filed under: the word behind the prefix, unless the view names a tag.
    "SCHEMA_PATH_PREFIX": "/api(/v1)?",
    "SORT_OPERATIONS": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "lineage.api.openapi.add_ingest",
    ],
    "SECURITY": [{"apiKey": []}, {"cookieAuth": []}],
}

from controlplane.home.unfold import UNFOLD as UNFOLD  # noqa: E402
from controlplane.telemetry.logs import logging_config  # noqa: E402  (needs ENV)

LOGGING = logging_config(level=ENV.log_level)

__all__ = [name for name in dir() if name.isupper()]
with contextlib.suppress(OSError):  # reported by a system check
    STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # WhiteNoise warns of a folder that is not there
